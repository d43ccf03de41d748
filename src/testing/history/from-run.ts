import { candidatesOf, leftNoTrace } from '../checkers/acknowledgements.js'
import type { CommitCall, Committed, Execution, History, Read, Snapshot } from '../checkers/history.js'
import type { RecordedRead, RecordedTransaction, RecordedWrite } from './recorded.js'

/**
 * The history of a simulated run for export. What committed is what callers were told. Storage is asked only which attempt
 * that was, and which of two parallel branches' writes counted: that callers are not told.
 */
export function recordedTransactions(history: History): RecordedTransaction[] {
  const byTxn = new Map<string, RecordedTransaction[]>()
  const calls = groupBy(history.commits, ({ txn }) => txn)
  const executions = groupBy(history.executions, ({ snapshot }) => snapshot)
  const reads = groupBy(history.reads, ({ execution }) => execution.snapshot)
  const decided = new Set([...history.committed.values()].map((committed) => decidedOf(history, committed)))
  const out: RecordedTransaction[] = []
  for (const snapshot of history.snapshots) {
    const { txn } = snapshot
    const ran = executions.get(snapshot) ?? []
    const attempt = recordAttempt(snapshot, {
      calls: calls.get(txn) ?? [],
      committed: history.committed.get(txn),
      isDecided: decided.has(snapshot),
      reads: reads.get(snapshot) ?? [],
      ran,
    })
    // Tokens are those of earlier commits.
    const after = snapshot.after.flatMap((id) => byTxn.get(id) ?? [])
    const recorded = { ...attempt, after }
    out.push(leftBehind(recorded, ran), recorded)
    byTxn.set(txn, [...(byTxn.get(txn) ?? []), recorded])
  }
  return out
}

function groupBy<T, K>(of: readonly T[], keyOf: (each: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>()
  for (const each of of) {
    const key = keyOf(each)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [each])
    else group.push(each)
  }
  return groups
}

interface Facts {
  /** Of its transaction. */
  readonly calls: readonly CommitCall[]
  readonly committed: Committed | undefined
  /** It is this attempt that committed. */
  readonly isDecided: boolean
  readonly reads: readonly Read[]
  readonly ran: readonly Execution[]
}

/** The attempt that committed: by its name, or, where no answer told that, by what it had asked for. */
function decidedOf(history: History, committed: Committed): Snapshot | undefined {
  const asked = candidatesOf(history, committed).map(({ snapshot }) => snapshot)
  return asked.find(({ attempt }) => attempt === committed.attempt) ?? asked[0]
}

function recordAttempt(snapshot: Snapshot, facts: Facts): Omit<RecordedTransaction, 'after'> {
  const { mode, node, beganAt, txn } = snapshot
  const { calls, committed, isDecided, reads } = facts
  const began = { node, at: beganAt }
  // A transaction in this mode reads no snapshot: its reads are of no order with each other.
  const seen = mode === 'lww' ? [] : reads.flatMap(readOf)
  const none = { began, reads: seen, writes: [], acknowledged: undefined }
  if (txn.startsWith('peek ')) return { ...none, outcome: 'committed' }
  const own = calls.filter(({ candidates }) =>
    candidates.some((candidate) => candidate.snapshot === snapshot),
  )
  const told = (isDecided ? calls : own).find(
    (call) => call.outcome === 'committed' && leftNoTrace(call) === !isDecided,
  )
  const outcome = outcomeOf(isDecided ? calls : own, told, committed !== undefined && !isDecided)
  const writes =
    isDecided && committed !== undefined
      ? [...committed.writes].map(([key, value]) => ({ key, value }))
      : writesOf(own, snapshot)
  const acknowledged =
    isDecided && told !== undefined && mode !== 'lww' ? { node: told.node, at: told.toldAt! } : undefined
  return { began, reads: seen, writes, outcome, acknowledged }
}

function outcomeOf(
  calls: readonly CommitCall[],
  told: CommitCall | undefined,
  isOther: boolean,
): RecordedTransaction['outcome'] {
  if (told !== undefined) return 'committed'
  // Another attempt of it committed, so this one did not.
  if (isOther && calls.some(({ outcome }) => outcome === 'committed')) return 'aborted'
  return calls.some(({ outcome }) => outcome !== 'failed') ? 'unknown' : 'aborted'
}

/** A read of what the transaction wrote itself says nothing of others. */
function readOf({ key, tag, at, own }: Read): RecordedRead[] {
  return own === undefined ? [{ key, value: tag, at }] : []
}

/** What the last of its calls asked to commit, as far as that is known. */
function writesOf(calls: readonly CommitCall[], snapshot: Snapshot): RecordedWrite[] {
  const candidate = calls
    .flatMap(({ candidates }) => candidates)
    .findLast((each) => each.snapshot === snapshot)
  return [...(candidate?.writes ?? [])].flatMap(([key, tags]) =>
    [...tags].slice(-1).map((value) => ({ key, value })),
  )
}

/**
 * What functions of the attempt wrote that is no part of its outcome: of executions that were repeated, or written over.
 * Began with it, and stands before it, so that both get into one session.
 */
function leftBehind(recorded: RecordedTransaction, ran: readonly Execution[]): RecordedTransaction {
  const counted = new Set(recorded.writes.map(({ key, value }) => `${key} ${value}`))
  const writes = ran
    .flatMap((execution) => [...execution.writes].map(([key, value]) => ({ key, value })))
    .filter(({ key, value }) => value !== null && !counted.has(`${key} ${value}`))
  return { ...recorded, reads: [], writes, outcome: 'aborted', acknowledged: undefined }
}
