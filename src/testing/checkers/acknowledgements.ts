import type { Candidate, CommitCall, Committed, History, Violation } from './history.js'

/**
 * I5 and I6, from what callers were told: what was acknowledged is decided, with the result that was told, and every
 * acknowledgement of an id tells the same; what was told to have failed for sure is not; and what is decided is all that
 * some caller asked to commit, and nothing else.
 */
export function checkAcknowledgements(history: History): Violation[] {
  return [
    ...history.commits.flatMap((call) => checkCall(history, call)),
    ...[...history.committed.values()].flatMap((committed) => checkWhole(history, committed)),
    ...checkFailures(history),
    ...checkRunAgain(history),
  ]
}

/** Of an id that is known to be decided, no function is run any more. */
function checkRunAgain(history: History): Violation[] {
  const since = new Map<string, number>()
  for (const call of history.commits) {
    if (call.outcome !== 'committed' || leftNoTrace(call)) continue
    since.set(call.txn, Math.min(call.toldAt!, since.get(call.txn) ?? Number.POSITIVE_INFINITY))
  }
  return history.ran
    .filter(({ txn, calledAt }) => calledAt > (since.get(txn) ?? Number.POSITIVE_INFINITY))
    .map(({ txn }) => ({
      rule: 'I6 exactly once',
      what: `a function ran under ${txn}, though its commit had been acknowledged`,
    }))
}

function checkCall(history: History, call: CommitCall): Violation[] {
  if (call.outcome !== 'committed' || leftNoTrace(call)) return []
  const committed = history.committed.get(call.txn)
  if (committed === undefined) {
    return [lost(`${call.txn} was acknowledged at ${call.node} and is not decided`)]
  }
  if (committed.at > call.toldAt!)
    return [lost(`${call.txn} was acknowledged at ${call.node} before it was decided`)]
  const wanted = resultsOf(history, committed)
  if (wanted.has(call.result)) return []
  const told = `${call.txn} was told the result ${String(call.result)} at ${call.node}`
  return [{ rule: 'I6 exactly once', what: `${told}, where ${[...wanted].map(String).join(' or ')} is due` }]
}

/**
 * It acknowledged a transaction that had nothing to record. Its context may have been committed once more, after a
 * function that wrote something: that is another story.
 */
export function leftNoTrace({ candidates, result }: CommitCall): boolean {
  return candidates.some(
    (candidate) =>
      candidate.writes.size === 0 &&
      candidate.result === undefined &&
      !candidate.snapshot.keyed &&
      candidate.said === result,
  )
}

/** What callers may be told: what is recorded, or what the caller whose attempt it was knows. */
function resultsOf(history: History, committed: Committed): Set<unknown> {
  const out = new Set([committed.result])
  for (const candidate of candidatesOf(history, committed)) out.add(candidate.said)
  return out
}

function checkWhole(history: History, committed: Committed): Violation[] {
  if (candidatesOf(history, committed).length > 0) return []
  const writes = [...committed.writes].map(([key, tag]) => `${key}=${tag}`).join(' ')
  return [
    {
      rule: 'I1 whole commits',
      what: `${committed.txn} committed ${writes || 'nothing'} with the result ${String(committed.result)}, which nobody asked for`,
    },
  ]
}

/** Commits that somebody asked for and that are just what was decided. */
export function candidatesOf(history: History, committed: Committed): Candidate[] {
  return history.commits
    .filter(({ txn }) => txn === committed.txn)
    .flatMap(({ candidates }) => candidates.filter((candidate) => isDecided(candidate, committed)))
}

function isDecided({ writes, result, snapshot }: Candidate, committed: Committed): boolean {
  if (snapshot.attempt !== undefined && snapshot.attempt !== committed.attempt) return false
  if (result !== committed.result || writes.size !== committed.writes.size) return false
  return [...writes].every(([key, tags]) => committed.writes.has(key) && tags.has(committed.writes.get(key)!))
}

/**
 * A transaction that was decided, though every call that asked for just that was told to have failed for sure. That another call
 * of the same transaction was told of the commit makes it no better: whoever was told of a failure may have acted on it.
 */
function checkFailures(history: History): Violation[] {
  const byTxn = new Map<string, CommitCall[]>()
  for (const call of history.commits) byTxn.set(call.txn, [...(byTxn.get(call.txn) ?? []), call])
  const out: Violation[] = []
  for (const committed of history.committed.values()) {
    const all = byTxn.get(committed.txn) ?? []
    const asked = all.filter(({ candidates }) => candidates.some((each) => isDecided(each, committed)))
    const calls = asked.length > 0 ? asked : all
    if (calls.length > 0 && calls.some(({ outcome }) => outcome !== 'failed')) continue
    const codes = calls.map(({ code }) => code).join(', ')
    out.push({
      rule: 'I6 exactly once',
      what: `${committed.txn} is decided, though all ${calls.length} calls surely failed (${codes})`,
    })
  }
  return out
}

function lost(what: string): Violation {
  return { rule: 'I5 durability', what }
}
