// @ts-check
/** What the demo counts, and what it must never find. */
import { say } from '../demo/narrator.mjs'

/** What is looked for, each in every transaction of its kind. */
export const ANOMALIES = {
  audit: 'an audit that does not add up',
  snapshot: 'functions of one transaction that saw different balances',
  upstream: 'a join that did not see what was written upstream',
  session: 'a commit that was acknowledged, and is not seen with its session token',
  replay: 'a request sent again that got another answer',
  lost: 'a transfer that was acknowledged, and is not there',
  balance: 'a balance that is not the sum of its transfers',
}

/** @typedef {keyof typeof ANOMALIES} Anomaly */
const TOLD_MAX = 10

export class Tally {
  #startedAt = performance.now()
  /** @type {Map<string, number>} */
  #counts = new Map()
  /** @type {Map<string, number>} */
  retries = new Map()
  /** @type {Map<Anomaly, number>} */
  anomalies = new Map()

  /** Since the load began. */
  get seconds() {
    return ((performance.now() - this.#startedAt) / 1000).toFixed(1)
  }

  begin() {
    this.#startedAt = performance.now()
  }

  /** @param {string} name */
  add(name) {
    this.#counts.set(name, this.of(name) + 1)
  }

  /** @param {string} name */
  of(name) {
    return this.#counts.get(name) ?? 0
  }

  /** @param {string} code */
  retried(code) {
    this.retries.set(code, (this.retries.get(code) ?? 0) + 1)
  }

  /** Adds one to what was looked at, and to what was found if it is not as it must be.
   *
   * @param {Anomaly} kind @param {boolean} isRight @param {() => string} detail
   */
  check(kind, isRight, detail) {
    this.add(kind)
    if (isRight) return
    const found = this.anomalies.get(kind) ?? 0
    this.anomalies.set(kind, found + 1)
    if (found < TOLD_MAX) say(`   ANOMALY           ${ANOMALIES[kind]}: ${detail()}`)
  }
}

/** @param {ReadonlyMap<string, number>} counts */
export const total = (counts) => [...counts.values()].reduce((sum, count) => sum + count, 0)

/** `12 (Conflict 9, SessionLost 3)`, the most frequent first. @param {ReadonlyMap<string, number>} counts */
export function list(counts) {
  if (counts.size === 0) return '0'
  const parts = [...counts].sort(([, a], [, b]) => b - a).map(([name, count]) => `${name} ${count}`)
  return `${total(counts)} (${parts.join(', ')})`
}
