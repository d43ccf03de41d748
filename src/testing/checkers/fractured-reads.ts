import type { Committed, History, Read, Violation } from './history.js'
import { Order } from './order.js'

/**
 * I1 and I2, after Bailis et al. (RAMP, SIGMOD 2014): a snapshot that reads one write of a transaction reads no older
 * version of any other key that the transaction wrote. That a key is absent is a read like any other.
 */
export function checkFracturedReads(history: History): Violation[] {
  const order = new Order(history)
  const out: Violation[] = []
  for (const reads of bySnapshot(history.reads)) {
    const seen = new Map<Committed, Read>()
    for (const read of reads) {
      const writer = order.writerOf(read.tag)
      if (writer !== undefined && !seen.has(writer)) seen.set(writer, read)
    }
    for (const read of reads) {
      for (const [writer, by] of seen) {
        if (!writer.writes.has(read.key) || order.mayFollow(read.key, read.tag, writer)) continue
        const { snapshot, number, node } = read.execution
        const other = `${writer.txn}, whose ${by.key} e${by.execution.number} on ${by.execution.node} read`
        out.push({
          rule: 'I2 no fractured reads',
          what: `s${snapshot.number} of ${snapshot.txn}: e${number} on ${node} read ${read.key} as ${read.tag}, older than that of ${other}`,
        })
      }
    }
  }
  return out
}

/** Reads that came from a snapshot, of each snapshot. */
export function bySnapshot(reads: readonly Read[]): Iterable<readonly Read[]> {
  const out = new Map<number, Read[]>()
  for (const read of reads) {
    const { snapshot } = read.execution
    if (read.own !== undefined || snapshot.mode === 'lww') continue
    const of = out.get(snapshot.number)
    if (of === undefined) out.set(snapshot.number, [read])
    else of.push(read)
  }
  return out.values()
}
