import type { Clock } from '../ports/clock.js'

/** Work on messages before timers, answers and whatever else waits have their turn. */
const TURN_MS_MAX = 2

/** Work that comes from many connections, and together may take only so long before everything else has its turn. */
export class Turns {
  readonly #clock: Clock
  #spentMs = 0
  #waiting: (() => void)[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Enough was done: what is left has to wait for a later turn. */
  get isOver(): boolean {
    return this.#spentMs >= TURN_MS_MAX
  }

  /** Does a part of it. */
  spend(work: () => void): void {
    const startMs = this.#clock.monotonic()
    work()
    this.#spentMs += this.#clock.monotonic() - startMs
    if (this.isOver && this.#waiting.length === 0) this.later(() => undefined)
  }

  /** Goes on in the next turn, after those who asked before. */
  later(goOn: () => void): void {
    this.#waiting.push(goOn)
    if (this.#waiting.length > 1) return
    this.#clock.defer(() => {
      const waiting = this.#waiting
      this.#waiting = []
      this.#spentMs = 0
      for (const each of waiting) each()
    })
  }
}
