// @ts-check

/**
 * Which attempt of which transaction wrote a value, and what else it wrote: as AFT tagged its values. Writer 0 is what was
 * there before all.
 *
 * @typedef {{ readonly writer: number, readonly attempt: number, readonly writeSet: readonly string[] }} Tag
 */

/** @param {Tag} tag @param {number} bytes */
export function tagged({ writer, attempt, writeSet }, bytes) {
  return `${writer} ${attempt} ${writeSet.join(' ')}|`.padEnd(bytes, '.')
}

/** @param {string} value @returns {Tag} */
export function tagOf(value) {
  const [writer, attempt, ...writeSet] = value.slice(0, value.indexOf('|')).split(' ')
  return { writer: Number(writer), attempt: Number(attempt), writeSet }
}
