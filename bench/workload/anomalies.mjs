// @ts-check

/**
 * What a transaction did, in the attempt that counts. Where writes become visible at once, `startMs` and `endMs` of all of
 * them are those of the commit.
 *
 * @typedef {object} Witnessed
 * @property {number} id
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
    if (transaction.reads.some(({ own, tag }) => own && tag.writer !== transaction.id)) readYourWrites++
    if (isFractured(transaction, byId)) fractured++
  }
  return { transactions: all.length, readYourWrites, fractured }
}

/** @param {Witnessed} transaction @param {ReadonlyMap<number, Witnessed>} byId */
function isFractured({ reads }, byId) {
  /** @type {Map<string, import('./tag.mjs').Tag>} */
  const seen = new Map()
  for (const { key, tag, own } of reads) {
    if (own) continue
    const before = seen.get(key)
    if (before !== undefined && before.writer !== tag.writer) return true
    seen.set(key, tag)
  }
  for (const [x, { writer, writeSet }] of seen) {
    for (const y of writeSet) {
      const other = seen.get(y)
      if (y === x || other === undefined || other.writer === writer) continue
      if (isSurelyOlder(y, other.writer, writer, byId)) return true
    }
  }
  return false
}

/** @param {string} key @param {number} older @param {number} newer @param {ReadonlyMap<number, Witnessed>} byId */
function isSurelyOlder(key, older, newer, byId) {
  if (older === 0) return true
  const ended = byId.get(older)?.writes.get(key)?.endMs
  const began = byId.get(newer)?.writes.get(key)?.startMs
  if (ended === undefined || began === undefined)
    throw new Error(`a value of ${key} was read that nobody wrote: by ${older} or ${newer}`)
  return ended < began
}
