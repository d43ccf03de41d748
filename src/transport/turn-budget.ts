import type { Clock } from '../ports/clock.js'

/** Work on messages before timers, answers and whatever else waits have their turn. */
const TURN_MS_MAX = 2

/** Work that comes from many connections, and together may take only so long before everything else has its turn. */
export class TurnBudget {
  readonly #clock: Clock
  #spentMs = 0
  #waiting: (() => void)[] = []
  #isDeferred = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Enough was done: what is left has to wait for a later turn. */
  get isOver(): boolean {
    return this.#spentMs >= TURN_MS_MAX
  }

  /** Does a part of it. */
  spend<T>(work: () => T): T {
    const startMs = this.#clock.monotonic()
    try {
      return work()
    } finally {
      this.#spentMs += this.#clock.monotonic() - startMs
      if (this.isOver) this.#beginAnother()
    }
  }

  /** Goes on in a later turn, after those who have waited for longer. */
  later(goOn: () => void): void {
    this.#waiting.push(goOn)
    this.#beginAnother()
  }

  #beginAnother(): void {
    if (this.#isDeferred) return
    this.#isDeferred = true
    this.#clock.defer(() => {
      this.#isDeferred = false
      this.#spentMs = 0
      const waiting = this.#waiting
      this.#waiting = []
      let next = 0
      try {
        while (next < waiting.length && !this.isOver) waiting[next++]!()
      } finally {
        // Who had no turn is before those who had one.
        this.#waiting = [...waiting.slice(next), ...this.#waiting]
        if (this.#waiting.length > 0) this.#beginAnother()
      }
    })
  }
}
