// @ts-check
import { zipf } from '../dice.mjs'

/**
 * What the functions of a transaction do, and on which keys. `batched`: a function asks for all that it reads in one request.
 *
 * @typedef {object} Shape
 * @property {number} functions
 * @property {number} operations of each function
 * @property {number} readShare of the operations, 0 to 1; the others write
 * @property {number} keys
 * @property {number} exponent of the Zipf distribution
 * @property {number} valueBytes
 * @property {boolean} [batched]
 */

/** @typedef {{ readonly reads: readonly string[], readonly writes: readonly string[] }} FunctionPlan */
/** @typedef {readonly FunctionPlan[]} Plan */

/** The shape that AFT was measured with: two functions, each two reads and a write of 4 KiB. @type {Shape} */
export const AFT_SHAPE = {
  functions: 2,
  operations: 3,
  readShare: 2 / 3,
  keys: 1_000,
  exponent: 1,
  valueBytes: 4_096,
}

export const keyOf = (/** @type {number} */ i) => `key:${i}`

/** Makes one transaction after the other, each with keys of its own draw. @param {Shape} shape @param {import('../dice.mjs').Dice} dice */
export function planner({ functions, operations, readShare, keys, exponent }, dice) {
  const draw = zipf(keys, exponent, dice)
  // The same number of reads in each function, where that comes out even; else by chance, so that the share holds.
  const even = Math.round(operations * readShare)
  const isEven = Math.abs(even - operations * readShare) < 1e-9
  const readsOf = () => {
    if (isEven) return even
    let reads = 0
    for (let i = 0; i < operations; i++) if (dice.next() < readShare) reads++
    return reads
  }
  const someKeys = (/** @type {number} */ count) => Array.from({ length: count }, () => keyOf(draw()))
  /** @returns {Plan} */
  return () =>
    Array.from({ length: functions }, () => {
      const reads = readsOf()
      return { reads: someKeys(reads), writes: someKeys(operations - reads) }
    })
}
