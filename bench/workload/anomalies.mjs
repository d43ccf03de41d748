// @ts-check

/**
 * What a transaction did, in the attempt that counts. Where writes become visible at once, `startMs` and `endMs` of all of
 * them are those of the commit.
 *
 * @typedef {object} Witnessed
 * @property {number} id
 * @property {number} attempt the one that committed
 * @property {{ readonly key: string, readonly tag: import('./tag.mjs').Tag, readonly own: boolean }[]} reads in order; `own`: the transaction had written the key before
 * @property {Map<string, { startMs: number, endMs: number }>} writes
 */

/**
 * How many transactions saw what no transaction should see, by the measures of AFT (EuroSys'20, table 2).
 *
 * - Read your writes: it had written a key, and read another one's value there.
 * - Fractured: it read x of one transaction that wrote y as well, and an older y; or it read a key twice, and not the same.
 *
 * "Older" is taken only where it is sure: the writer of what was read had its answer before the other began to write. So
 * what is counted is a lower bound, and no order that a system gave to concurrent writers is ever taken for an anomaly.
 *
 * @param {readonly Witnessed[]} all
 */
export function countAnomalies(all) {
  const byId = new Map(all.map((transaction) => [transaction.id, transaction]))
  let readYourWrites = 0
  let fractured = 0
  for (const transaction of all) {
    if (transaction.reads.some(({ own, tag }) => own && !isOf(tag, transaction))) readYourWrites++
    if (isFractured(transaction, byId)) fractured++
  }
  return { transactions: all.length, readYourWrites, fractured }
}

/** @param {import('./tag.mjs').Tag} tag @param {Witnessed} transaction */
function isOf({ writer, attempt }, transaction) {
  return writer === transaction.id && attempt === transaction.attempt
}

/** @param {Witnessed} transaction @param {ReadonlyMap<number, Witnessed>} byId */
function isFractured({ reads }, byId) {
  /** @type {Map<string, import('./tag.mjs').Tag>} */
  const seen = new Map()
  for (const { key, tag, own } of reads) {
    if (own) continue
    const before = seen.get(key)
    if (before !== undefined && (before.writer !== tag.writer || before.attempt !== tag.attempt)) return true
    seen.set(key, tag)
  }
  for (const [x, tag] of seen) {
    for (const y of tag.writeSet) {
      const other = seen.get(y)
      if (y === x || other === undefined || other.writer === tag.writer) continue
      if (isSurelyOlder(y, other, tag, byId)) return true
    }
  }
  return false
}

/**
 * Of an attempt that was given up nobody can say when it took effect, if it did.
 *
 * @param {string} key @param {import('./tag.mjs').Tag} older @param {import('./tag.mjs').Tag} newer @param {ReadonlyMap<number, Witnessed>} byId
 */
function isSurelyOlder(key, older, newer, byId) {
  if (older.writer === 0) return true
  const [former, latter] = [byId.get(older.writer), byId.get(newer.writer)]
  if (former === undefined || latter === undefined)
    throw new Error(`a value of ${key} was read that nobody wrote: by ${older.writer} or ${newer.writer}`)
  if (!isOf(older, former) || !isOf(newer, latter)) return false
  const ended = former.writes.get(key)?.endMs
  const began = latter.writes.get(key)?.startMs
  if (ended === undefined || began === undefined)
    throw new Error(
      `a value of ${key} was read whose writer did not write it: ${older.writer} or ${newer.writer}`,
    )
  return ended < began
}
