import type { Coordinates } from '../../core/cut.js'
import type { Committed, History, Violation } from './history.js'
import { Order } from './order.js'

const RULE = 'lost update'

/**
 * Parallel snapshot isolation: of two transactions that write one key, the later has the earlier in its snapshot, whether it
 * has read the key or not. From the inside: every decision of the mode has claimed its keys, and its cut sees the next older writer
 * of each. And from the outside: whoever read a key that it wrote read the version that is next below its own. Writers of
 * other modes claim nothing, and are left out.
 */
export function checkLostUpdates(history: History): Violation[] {
  const order = new Order(history)
  return [...checkClaimed(history), ...checkCuts(history, order), ...checkReads(history, order)]
}

function checkClaimed({ snapshots, committed }: History): Violation[] {
  const claiming = new Set<string>()
  for (const { txn, mode, attempt } of snapshots) {
    const by = committed.get(txn)
    if (mode === 'parallel-snapshot' && by !== undefined && by.writes.size > 0 && by.attempt === attempt)
      claiming.add(txn)
  }
  return [...claiming]
    .filter((txn) => !committed.get(txn)!.claimed)
    .map((txn) => ({ rule: RULE, what: `${txn} was decided, and had not claimed what it wrote` }))
}

/** Of all pairs of writers of a key: cuts are causally closed, so of those next to each other. */
function checkCuts(history: History, order: Order): Violation[] {
  const keys = new Set([...history.committed.values()].flatMap(({ writes }) => [...writes.keys()]))
  const out: Violation[] = []
  for (const key of keys) {
    const claimed = order.writersOf(key).filter((writer) => writer.claimed)
    for (const [i, by] of claimed.entries()) {
      const before = claimed[i - 1]
      if (before === undefined || doesSee(history, by, before)) continue
      out.push({
        rule: RULE,
        what: `${by.txn} wrote ${key} over ${before.writes.get(key)} of ${before.txn}, which its snapshot does not see`,
      })
    }
  }
  return out
}

function doesSee(history: History, { txn, attempt, cut }: Committed, before: Committed): boolean {
  const { places, departures, shrunk, snapshots } = history
  const isSeen = ({ origin, seq }: Coordinates): boolean => {
    if (seq <= (cut.get(origin) ?? 0)) return true
    const departure = departures.get(origin)
    return departure !== undefined && seq <= departure.last && departure.number <= (cut.departures ?? 0)
  }
  if (places.get(before.txn)?.some(isSeen)) return true
  // A node that was restored from storage alone sees what is in the bases, and can't tell at which places that stood.
  const shrunkAt = shrunk.get(before.txn) ?? Number.POSITIVE_INFINITY
  return snapshots.some(
    (each) => each.txn === txn && (each.attempt ?? attempt) === attempt && each.openAt >= shrunkAt,
  )
}

function checkReads(history: History, order: Order): Violation[] {
  const out: Violation[] = []
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
    if (before?.claimed === false || read.tag === due) continue
    out.push({
      rule: RULE,
      what: `${committed.txn} wrote ${read.key} over ${due} of ${before?.txn}, and had read ${read.tag}`,
    })
  }
  return out
}
