import type { Clock } from '../../ports/clock.js'

/** For what a round does now and then only. */
export class Interval {
  readonly #clock: Clock
  readonly #everyMs: number
  #doneAtMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, everyMs: number) {
    this.#clock = clock
    this.#everyMs = everyMs
  }

  /** Whether it is time again. Asked once, it is not until the interval has passed. */
  isDue(): boolean {
    const nowMs = this.#clock.monotonic()
    if (nowMs - this.#doneAtMs < this.#everyMs) return false
    this.#doneAtMs = nowMs
    return true
  }
}
