import type { Clock } from '../../ports/clock.js'

/**
 * Lets the node's other work have its turn in long loops. Storage that answers from memory gives no turn by itself: what it
 * returns is settled already.
 */
export class Turns {
  readonly #clock: Clock
  readonly #stepsPerTurn: number
  #steps = 0

  constructor(clock: Clock, stepsPerTurn: number) {
    this.#clock = clock
    this.#stepsPerTurn = stepsPerTurn
  }

  /** Undefined, as is usual: go on. */
  step(steps = 1): Promise<void> | undefined {
    this.#steps += steps
    if (this.#steps < this.#stepsPerTurn) return undefined
    this.#steps = 0
    return new Promise((resolve) => this.#clock.defer(resolve))
  }
}
