// @ts-check
import { performance } from 'node:perf_hooks'

/** What was spent on one thing: how often it came, and the time of the real processor. @typedef {{ events: number, ms: number }} Account */

/**
 * Charges the time of the real processor to whom it is spent for. The simulated clock lets one thing happen at a time, and sees
 * all that follows from it without waiting through before the next: so all that runs between two entries belongs to the first.
 */
export class Meter {
  /** Of the simulator, the clients, and whoever looks on. @type {Account} */
  others = { events: 0, ms: 0 }
  #account = this.others
  #sinceMs = performance.now()

  /** From now on this is paid for. @param {Account} account */
  enter(account) {
    const nowMs = performance.now()
    this.#account.ms += nowMs - this.#sinceMs
    this.#sinceMs = nowMs
    this.#account = account
    account.events++
  }

  /** From now on nobody is charged. */
  leave() {
    this.enter(this.others)
  }
}

/** Where a node's time goes. */
export const KINDS = /** @type {const} */ ([
  'executors',
  'commits',
  'published',
  'heartbeats',
  'requests',
  'storage',
  'timers',
])
/** @typedef {(typeof KINDS)[number]} Kind */
/** @typedef {Record<Kind, Account>} Accounts */

/** @returns {Accounts} */
export function noAccounts() {
  return /** @type {Accounts} */ (Object.fromEntries(KINDS.map((kind) => [kind, { events: 0, ms: 0 }])))
}
