import { VirgaError } from '../errors.js'
import type { Clock, Timer } from '../ports/clock.js'
import { SlotMap } from '../slot-map.js'
import type { Reply } from '../wire/messages.js'

interface Waiting {
  readonly resolve: (reply: Reply) => void
  readonly reject: (error: VirgaError) => void
  readonly expiresAt: number
  readonly what: string
  readonly signal: AbortSignal | undefined
  readonly onAbort: (() => void) | undefined
}

/** How late a time-out may be noticed: one timer serves all requests, since a timer each would cost more than the rest. */
const SWEEP_MS = 25
/** For so long one that was given up counts as one that the node is at, if no answer comes. */
const ABANDONED_MS = 10_000

/** Requests that wait for their answers, by number. A number is never used again, so a late answer finds nobody. */
export class Pending {
  readonly #clock: Clock
  readonly #waiting = new SlotMap<number, Waiting>()
  readonly #beforeJudging: () => void
  readonly #onSettled: () => void
  /** Given up, and not answered: by when nobody counts on that any more. */
  readonly #abandoned = new SlotMap<number, number>()
  #sweeper: Timer | undefined

  /**
   * @param beforeJudging settles what has come, before anything is given up for not having come
   * @param onSettled one fewer waits
   */
  constructor(
    clock: Clock,
    beforeJudging: () => void = () => undefined,
    onSettled: () => void = () => undefined,
  ) {
    this.#clock = clock
    this.#beforeJudging = beforeJudging
    this.#onSettled = onSettled
  }

  get size(): number {
    return this.#waiting.size
  }

  /** Those that wait, and those that were given up and that the node may be at still. */
  get underWay(): number {
    return this.#waiting.size + this.#abandoned.size
  }

  has(request: number): boolean {
    return this.#waiting.has(request)
  }

  add(request: number, what: string, timeoutMs: number, signal: AbortSignal | undefined): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const onAbort = signal === undefined ? undefined : () => this.#abandon(request, interrupted(signal))
      if (onAbort !== undefined) signal!.addEventListener('abort', onAbort, { once: true })
      const expiresAt = this.#clock.monotonic() + timeoutMs
      this.#waiting.set(request, { resolve, reject, expiresAt, what, signal, onAbort })
      this.#sweeper ??= this.#clock.timer(SWEEP_MS, () => this.#sweep())
    })
  }

  settle(reply: Reply): void {
    const waiting = this.#take(reply.request)
    if (waiting === undefined) this.#abandoned.delete(reply.request)
    else waiting.resolve(reply)
    this.#onSettled()
  }

  fail(request: number, error: VirgaError): void {
    this.#take(request)?.reject(error)
    this.#onSettled()
  }

  #abandon(request: number, error: VirgaError): void {
    this.#abandoned.set(request, this.#clock.monotonic() + ABANDONED_MS)
    this.fail(request, error)
  }

  failAll(error: () => VirgaError): void {
    this.#abandoned.clear()
    for (const request of [...this.#waiting.keys()]) this.fail(request, error())
  }

  #take(request: number): Waiting | undefined {
    const waiting = this.#waiting.take(request)
    if (waiting?.onAbort !== undefined) waiting.signal!.removeEventListener('abort', waiting.onAbort)
    return waiting
  }

  #isAnyDue(now: number): boolean {
    for (const { expiresAt } of this.#waiting.values()) if (now >= expiresAt) return true
    return false
  }

  #sweep(): void {
    this.#sweeper = undefined
    const now = this.#clock.monotonic()
    if (this.#isAnyDue(now)) this.#beforeJudging()
    for (const [request, { expiresAt, what }] of this.#waiting) {
      if (now < expiresAt) continue
      this.#abandon(
        request,
        new VirgaError('Timeout', `the node did not answer a ${what} in time`, { outcome: 'indefinite' }),
      )
    }
    if (this.#abandoned.size > 0) this.#forget(now)
    if (this.underWay > 0) this.#sweeper ??= this.#clock.timer(SWEEP_MS, () => this.#sweep())
  }

  #forget(now: number): void {
    for (const [request, untilMs] of this.#abandoned) if (now >= untilMs) this.#abandoned.delete(request)
    this.#onSettled()
  }
}

export function interrupted(signal: AbortSignal): VirgaError {
  return new VirgaError('Interrupted', 'interrupted by the signal of the caller', {
    outcome: 'indefinite',
    cause: signal.reason,
  })
}
