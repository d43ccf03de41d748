// @ts-check
/** @typedef {import('./meter.mjs').Kind} Kind */

/**
 * The processor of one simulated node: it does one thing at a time, each takes a while, and what comes meanwhile waits. Without
 * prices everything is done at once.
 */
export class Processor {
  /** How long one of each takes; of what is published, one decision. @type {Readonly<Record<Kind, number>> | undefined} */
  pricesMs
  #clock
  #accounts
  #meter
  #freeAtMs = 0

  /**
   * @param {import('../../src/ports/clock.js').Clock} clock
   * @param {import('./meter.mjs').Meter} meter
   * @param {import('./meter.mjs').Accounts} accounts
   */
  constructor(clock, meter, accounts) {
    this.#clock = clock
    this.#meter = meter
    this.#accounts = accounts
  }

  /** Something comes to the node. @param {Kind} kind @param {() => void} run @param {number} [times] how much of it */
  come(kind, run, times = 1) {
    const go = () => {
      this.#meter.enter(this.#accounts[kind])
      run()
    }
    if (this.pricesMs === undefined) {
      go()
      return
    }
    const nowMs = this.#clock.monotonic()
    this.#freeAtMs = Math.max(nowMs, this.#freeAtMs) + this.pricesMs[kind] * times
    this.#clock.timer(this.#freeAtMs - nowMs, go)
  }
}
