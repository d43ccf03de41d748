import type { History, Violation } from './history.js'
import { Order } from './order.js'

/**
 * I4: what is read of another transaction is what that one committed, and it had committed by then: nothing undecided,
 * nothing aborted, nothing that it overwrote itself, nothing made up.
 */
export function checkDirtyReads(history: History): Violation[] {
  const order = new Order(history)
  const out: Violation[] = []
  for (const { at, execution, key, tag, own } of history.reads) {
    if (tag === null || own !== undefined) continue
    const writer = order.writerOf(tag)
    const why =
      writer === undefined
        ? 'which nobody committed'
        : writer.writes.get(key) !== tag
          ? `which ${writer.txn} wrote to another key`
          : writer.at > at
            ? `before ${writer.txn} had committed it`
            : undefined
    if (why === undefined) continue
    const { txn, number } = execution.snapshot
    out.push({
      rule: 'I4 no dirty reads',
      what: `e${execution.number} on ${execution.node}, s${number} of ${txn}, read ${key} as ${tag}, ${why}`,
    })
  }
  return out
}
