import type { Clock } from '../../ports/clock.js'

/**
 * Lets the node's other work have its turn in long loops. Storage that answers from memory gives no turn by itself: what it
 * returns is settled already.
 */
export class Turns {
  readonly #clock: Clock
  readonly #stepsPerTurn: number
  /** So many times as many steps in a turn. */
  #share = 1
  #steps = 0

  constructor(clock: Clock, stepsPerTurn: number) {
    this.#clock = clock
    this.#stepsPerTurn = stepsPerTurn
  }

  /** Takes so many times as long turns from now on, 1 or more. */
  takeShare(share: number): void {
    this.#share = share
  }

  /** Undefined, as is usual: go on. */
  step(steps = 1): Promise<void> | undefined {
    this.#steps += steps
    if (this.#steps < this.#stepsPerTurn * this.#share) return undefined
    this.#steps = 0
    return new Promise((resolve) => this.#clock.defer(resolve))
  }
}
