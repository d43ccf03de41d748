import type { History, Read, Violation } from './history.js'

/** I3, repeatable reads: all functions of one attempt, on whichever node, read the same of a key that none of them wrote. */
export function checkRepeatableReads({ reads }: History): Violation[] {
  const out: Violation[] = []
  const first = new Map<string, Read>()
  for (const read of reads) {
    const { snapshot, node } = read.execution
    if (read.own !== undefined || snapshot.mode === 'lww') continue
    const name = `${snapshot.number} ${read.key}`
    const before = first.get(name)
    if (before === undefined) first.set(name, read)
    else if (before.tag !== read.tag) {
      const then = `e${before.execution.number} on ${before.execution.node} read ${before.tag}`
      const now = `e${read.execution.number} on ${node} read ${read.tag}`
      out.push({
        rule: 'I3 repeatable reads',
        what: `s${snapshot.number} of ${snapshot.txn}, ${read.key}: ${then}, then ${now}`,
      })
    }
  }
  return out
}
