import type { History, Read, Tag, Violation } from './history.js'

/**
 * I3, read your writes: a key that the function wrote, or one upstream of it did, reads as it was written last there. Of
 * writes on parallel branches one counts, the same in every function downstream of both.
 */
export function checkOwnWrites({ reads }: History): Violation[] {
  const out: Violation[] = []
  const chosen = new Map<string, Tag>()
  for (const read of reads) {
    if (read.own === undefined) continue
    if (!read.own.has(read.tag)) out.push(violation(read, `where ${[...read.own].join(' or ')} was written`))
    // Deletions have no names: those of two functions can't be told apart.
    if (read.own.size < 2 || read.own.has(null)) continue
    const branches = `${read.key} ${[...read.own].sort().join(' ')}`
    const before = chosen.get(branches)
    if (before !== undefined && before !== read.tag)
      out.push(violation(read, `where ${before} had been chosen`))
    chosen.set(branches, read.tag)
  }
  return out
}

function violation({ execution, key, tag }: Read, why: string): Violation {
  const { txn, number } = execution.snapshot
  return {
    rule: 'I3 read your writes',
    what: `e${execution.number} of ${txn} (s${number}) read ${key} as ${tag} ${why}`,
  }
}
