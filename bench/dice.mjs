// @ts-check

const UINT32 = 2 ** 32

/** @typedef {ReturnType<typeof diceOf>} Dice */

/** Repeatable chance (mulberry32): one seed, one sequence. @param {number} seed */
export function diceOf(seed) {
  let state = seed >>> 0
  /** From 0 up to, but never, 1. */
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / UINT32
  }
  const below = (/** @type {number} */ limit) => Math.floor(next() * limit)
  return {
    next,
    below,
    /** @template T @param {readonly T[]} items */
    shuffled(items) {
      const all = [...items]
      for (let i = all.length - 1; i > 0; i--) {
        const j = below(i + 1)
        const [a, b] = [/** @type {T} */ (all[i]), /** @type {T} */ (all[j])]
        all[i] = b
        all[j] = a
      }
      return all
    },
  }
}

/**
 * Draws from 0 to `count` - 1, the nth of them with a weight of 1 / n^exponent: at 0 all alike, at 1 a few are most.
 *
 * @param {number} count @param {number} exponent @param {Dice} dice
 */
export function zipf(count, exponent, dice) {
  const upTo = new Float64Array(count)
  let sum = 0
  for (let i = 0; i < count; i++) {
    sum += 1 / (i + 1) ** exponent
    upTo[i] = sum
  }
  return () => {
    const at = dice.next() * sum
    let [low, high] = [0, count - 1]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (/** @type {number} */ (upTo[middle]) > at) high = middle
      else low = middle + 1
    }
    return low
  }
}
