import type { History, Violation } from './history.js'
import { compareCommits, Order } from './order.js'

/**
 * I7, in the order of versions: what a transaction writes is newer than all that it read. Else its writes would be hidden
 * behind what they were made from. (`lww` keeps no snapshot, and promises nothing of the kind.)
 */
export function checkClocks(history: History): Violation[] {
  const order = new Order(history)
  const out: Violation[] = []
  for (const { execution, key, tag, own } of history.reads) {
    const { snapshot, node, number } = execution
    if (own !== undefined || snapshot.mode === 'lww') continue
    const committed = history.committed.get(snapshot.txn)
    const writer = order.writerOf(tag)
    if (committed === undefined || writer === undefined || committed.attempt !== snapshot.attempt) continue
    if (compareCommits(writer, committed) < 0) continue
    out.push({
      rule: 'I7 clocks',
      what: `${committed.txn} committed at ${committed.hlc}, and had read ${key} of ${writer.txn} at ${writer.hlc} (e${number} on ${node})`,
    })
  }
  return out
}
