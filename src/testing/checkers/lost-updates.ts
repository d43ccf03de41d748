import type { History, Violation } from './history.js'
import { Order } from './order.js'

/**
 * Parallel snapshot isolation: of two transactions that write one key, the later has the earlier in its snapshot. So
 * whoever read a key that it wrote read the version that is next below its own. Only for keys that no other mode writes.
 */
export function checkLostUpdates(history: History): Violation[] {
  const order = new Order(history)
  const out: Violation[] = []
  const snapshots = new Map(history.snapshots.map((snapshot) => [snapshot.attempt, snapshot]))
  for (const read of history.reads) {
    const { snapshot } = read.execution
    const committed = history.committed.get(snapshot.txn)
    if (snapshot.mode !== 'parallel-snapshot' || read.own !== undefined) continue
    if (committed === undefined || snapshot.attempt !== committed.attempt) continue
    const writers = order.writersOf(read.key)
    const place = writers.indexOf(committed)
    if (place < 0) continue
    const before = writers[place - 1]
    const due = before?.writes.get(read.key) ?? null
    const isAlone = before === undefined || snapshots.get(before.attempt)?.mode === 'parallel-snapshot'
    if (!isAlone || read.tag === due) continue
    out.push({
      rule: 'lost update',
      what: `${committed.txn} wrote ${read.key} over ${due} of ${before?.txn}, and had read ${read.tag}`,
    })
  }
  return out
}
