import type { Origin } from '../../core/ids.js'
import { mark } from '../../marks.js'
import type { Clock, Timer } from '../../ports/clock.js'

interface Gone {
  readonly sinceMs: number
  dueMs: number
}

export interface LaterLooksParts {
  readonly clock: Clock
  /** From when a member is gone until the first look. */
  readonly firstMs: number
  /** For so long what a member that is gone decides may come. */
  readonly lastMs: number
  /** Between two looks, however many members are gone. */
  readonly leastMs: number
  readonly onDue: (origin: Origin) => void
}

/**
 * When to look again for what members decided that are gone. Whoever is gone may stand still, and write a decision when it goes
 * on, until the deadline of its last transaction. So it is looked for time and again, each time after as long as all the times
 * before took together: it is found after twice as long as it took to come, at most. What comes later still is found when
 * the minute of its id is passed.
 *
 * So it is with what this node decided itself, where too many outcomes are unknown for each to be looked into.
 *
 * A process that starts and dies all day leaves thousands that are gone: those that are due together have one look.
 */
export class LaterLooks {
  readonly #parts: LaterLooksParts
  readonly #gone = new Map<Origin, Gone>()
  #timer: Timer | undefined
  #timerMs = Number.POSITIVE_INFINITY
  #lookedAtMs = Number.NEGATIVE_INFINITY
  #stopped = false

  constructor(parts: LaterLooksParts) {
    this.#parts = parts
  }

  /** Members that are looked for. */
  get size(): number {
    return this.#gone.size
  }

  /** Of one that is looked for already the next look stays when it was. */
  add(origin: Origin): void {
    if (this.#stopped) return
    const sinceMs = this.#parts.clock.monotonic()
    const dueMs = Math.min(
      sinceMs + this.#parts.firstMs,
      this.#gone.get(origin)?.dueMs ?? Number.POSITIVE_INFINITY,
    )
    this.#gone.set(origin, { sinceMs, dueMs })
    this.#wait()
  }

  /** It is there again: what it decides it tells itself. */
  drop(origin: Origin): void {
    this.#gone.delete(origin)
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#gone.clear()
  }

  #wait(): void {
    const { clock, leastMs } = this.#parts
    let dueMs = Number.POSITIVE_INFINITY
    for (const gone of this.#gone.values()) if (gone.dueMs < dueMs) dueMs = gone.dueMs
    const atMs = Math.max(dueMs, this.#lookedAtMs + leastMs)
    if (this.#stopped || atMs >= this.#timerMs || dueMs === Number.POSITIVE_INFINITY) return
    this.#timer?.cancel()
    this.#timerMs = atMs
    this.#timer = clock.timer(Math.max(0, atMs - clock.monotonic()), () => this.#look())
  }

  #look(): void {
    const { clock, firstMs, lastMs, onDue } = this.#parts
    this.#timerMs = Number.POSITIVE_INFINITY
    const nowMs = clock.monotonic()
    for (const [origin, gone] of [...this.#gone]) {
      if (gone.dueMs > nowMs) continue
      this.#lookedAtMs = nowMs
      mark(gone.dueMs === gone.sinceMs + firstMs ? 'member.second-look' : 'member.later-look')
      const goneForMs = nowMs - gone.sinceMs
      if (goneForMs > lastMs) this.#gone.delete(origin)
      else gone.dueMs = nowMs + goneForMs
      onDue(origin)
    }
    this.#wait()
  }
}
