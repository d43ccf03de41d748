// @ts-check

/** @typedef {{ at: (value: number) => number, ticks: readonly number[] }} Scale where a value lies between `from` and `to`, and which are written at the axis */

const TICKS_WANTED = 5

/** From 0 up to a round number above all values. @param {readonly number[]} values @param {number} from @param {number} to @returns {Scale} */
export function linearScale(values, from, to) {
  const top = Math.max(...values, 0) || 1
  const rough = top / TICKS_WANTED
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = /** @type {number} */ ([1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= rough))
  const count = Math.ceil(top / step - 1e-9)
  const ticks = Array.from({ length: count + 1 }, (_, i) => i * step)
  const end = count * step
  return { at: (value) => from + ((to - from) * value) / end, ticks }
}

/** @param {readonly number[]} values above 0 @param {number} from @param {number} to @returns {Scale} */
export function logScale(values, from, to) {
  const low = Math.log10(Math.min(...values))
  const high = Math.log10(Math.max(...values))
  // Room around what lies at the ends.
  const slack = Math.max(0.08, (high - low) * 0.05)
  const [start, end] = [low - slack, high + slack]
  const decades = Array.from(
    { length: Math.ceil(end) - Math.floor(start) + 1 },
    (_, i) => 10 ** (Math.floor(start) + i),
  )
  const steps = end - start > 2.5 ? [1] : [1, 2, 5]
  const inside = (/** @type {number} */ tick) => Math.log10(tick) >= start && Math.log10(tick) <= end
  return {
    at: (value) => from + ((to - from) * (Math.log10(value) - start)) / (end - start),
    ticks: decades.flatMap((decade) => steps.map((n) => n * decade)).filter(inside),
  }
}

/** Shows these values and no others at the axis. @param {Scale} scale @param {readonly number[]} values @returns {Scale} */
export function withTicks(scale, values) {
  return { at: scale.at, ticks: values }
}
