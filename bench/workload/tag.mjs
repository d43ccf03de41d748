// @ts-check

/** Which transaction wrote a value, and what else it wrote: as AFT tagged its values. 0 is what was there before all. */
/** @typedef {{ readonly writer: number, readonly writeSet: readonly string[] }} Tag */

/** @param {Tag} tag @param {number} bytes */
export function tagged({ writer, writeSet }, bytes) {
  return `${writer} ${writeSet.join(' ')}|`.padEnd(bytes, '.')
}

/** @param {string} value @returns {Tag} */
export function tagOf(value) {
  const [writer, ...writeSet] = value.slice(0, value.indexOf('|')).split(' ')
  return { writer: Number(writer), writeSet }
}
