// @ts-check

/** A figure to three digits or so. @param {number} value */
export function figure(value) {
  if (value >= 1_000) return Math.round(value).toLocaleString('en')
  if (value >= 100 || Number.isInteger(value)) return value.toFixed(0)
  if (value >= 10) return value.toFixed(1)
  return value >= 0.1 || value === 0 ? value.toFixed(2) : value.toPrecision(2)
}

/** @param {number} ratio */
export function ratioText(ratio) {
  return ratio >= 0.1 ? ratio.toFixed(2) : ratio.toPrecision(2)
}
