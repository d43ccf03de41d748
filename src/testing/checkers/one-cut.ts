import { bySnapshot } from './fractured-reads.js'
import type { Committed, History, Read, Violation } from './history.js'
import { compareCommits, Order } from './order.js'

/**
 * I3, one cut: a snapshot sees what had been decided when it began, and it had begun when the first of its reads was
 * answered. So it reads nothing that was decided after that, on whatever node and however late. Where the key's base had
 * been raised to that version or beyond while the snapshot lived, collection changed what it reads: that is I9.
 */
export function checkOneCut(history: History): Violation[] {
  const order = new Order(history)
  const out: Violation[] = []
  for (const reads of bySnapshot(history.reads)) {
    const begun = Math.min(...reads.map(({ at }) => at))
    for (const read of reads) {
      const writer = order.writerOf(read.tag)
      // Before it was decided at all it is a dirty read.
      if (writer === undefined || writer.at < begun || writer.at > read.at) continue
      const { execution, key, tag } = read
      const { number, txn } = execution.snapshot
      const isCollected = isRaisedMeanwhile(history, read, writer, begun)
      out.push({
        rule: isCollected ? 'I9 safe collection' : 'I3 one cut',
        what: `s${number} of ${txn}: e${execution.number} on ${execution.node} read ${key} as ${tag} of ${writer.txn}, which was decided after the snapshot had begun`,
      })
    }
  }
  return out
}

function isRaisedMeanwhile(
  { raised, committed }: History,
  { key, at }: Read,
  writer: Committed,
  begun: number,
): boolean {
  return raised.some((base) => {
    if (base.key !== key || base.at < begun || base.at > at) return false
    const to = committed.get(base.txn)
    return to !== undefined && compareCommits(to, writer) >= 0
  })
}
