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

/** Requests that wait for their answers, by number. A number is never used again, so a late answer finds nobody. */
export class Pending {
  readonly #clock: Clock
  readonly #waiting = new SlotMap<number, Waiting>()
  readonly #beforeJudging: () => void
  #sweeper: Timer | undefined

  /** @param beforeJudging settles what has come, before anything is given up for not having come */
  constructor(clock: Clock, beforeJudging: () => void = () => undefined) {
    this.#clock = clock
    this.#beforeJudging = beforeJudging
  }

  get size(): number {
    return this.#waiting.size
  }

  has(request: number): boolean {
    return this.#waiting.has(request)
  }

  add(request: number, what: string, timeoutMs: number, signal: AbortSignal | undefined): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const onAbort = signal === undefined ? undefined : () => this.fail(request, interrupted(signal))
      if (onAbort !== undefined) signal!.addEventListener('abort', onAbort, { once: true })
      const expiresAt = this.#clock.monotonic() + timeoutMs
      this.#waiting.set(request, { resolve, reject, expiresAt, what, signal, onAbort })
      this.#sweeper ??= this.#clock.timer(SWEEP_MS, () => this.#sweep())
    })
  }

  settle(reply: Reply): void {
    this.#take(reply.request)?.resolve(reply)
  }

  fail(request: number, error: VirgaError): void {
    this.#take(request)?.reject(error)
  }

  failAll(error: () => VirgaError): void {
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
      this.fail(
        request,
        new VirgaError('Timeout', `the node did not answer a ${what} in time`, { outcome: 'indefinite' }),
      )
    }
    if (this.#waiting.size > 0) this.#sweeper = this.#clock.timer(SWEEP_MS, () => this.#sweep())
  }
}

export function interrupted(signal: AbortSignal): VirgaError {
  return new VirgaError('Interrupted', 'interrupted by the signal of the caller', {
    outcome: 'indefinite',
    cause: signal.reason,
  })
}
