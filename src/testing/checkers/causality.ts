import { leftNoTrace } from './acknowledgements.js'
import { bySnapshot } from './fractured-reads.js'
import type { Committed, History, Read, Snapshot, Violation } from './history.js'
import { compareCommits, Order } from './order.js'

/** Of each key the newest version that something must have seen. */
type Past = ReadonlyMap<string, Committed>

/**
 * I7. A snapshot sees what it began after: commits that were acknowledged on its node before it began, and those whose
 * tokens it was given. And whoever sees a transaction sees what that one saw. So for each snapshot, and each key of a
 * transaction in its causal past, it reads that version or a newer one.
 */
export function checkCausality(history: History): Violation[] {
  const order = new Order(history)
  const pasts = new Pasts(history, order)
  const out: Violation[] = []
  for (const reads of bySnapshot(history.reads)) {
    const { snapshot } = reads[0]!.execution
    const past = pasts.ofSnapshot(snapshot, reads)
    for (const { key, tag, execution } of reads) {
      const must = past.get(key)
      if (must === undefined || order.mayFollow(key, tag, must)) continue
      const why = pasts.why(snapshot, reads, key, must)
      out.push({
        rule: 'I7 causality',
        what: `s${snapshot.number} of ${snapshot.txn}: e${execution.number} on ${execution.node} read ${key} as ${tag}, older than that of ${must.txn}, ${why}`,
      })
    }
  }
  return out
}

class Pasts {
  readonly #history: History
  readonly #order: Order
  /** What was acknowledged on a node, in the order in which it was. */
  readonly #acknowledged = new Map<string, { readonly at: number; readonly by: Committed }[]>()
  /** Of each node, for each number of acknowledgements: what whoever begins there then must see. */
  readonly #after = new Map<string, Map<string, Committed>[]>()
  readonly #ofCommitted = new Map<Committed, Past>()
  /** Of each committed attempt, its snapshot and what that read. */
  readonly #snapshots = new Map<string, Snapshot>()
  readonly #reads = new Map<Snapshot, readonly Read[]>()

  constructor(history: History, order: Order) {
    this.#history = history
    this.#order = order
    for (const call of history.commits) {
      const { outcome, toldAt, txn, node } = call
      const by = history.committed.get(txn)
      if (outcome !== 'committed' || by === undefined || leftNoTrace(call)) continue
      const list = this.#acknowledged.get(node) ?? []
      list.push({ at: toldAt!, by })
      this.#acknowledged.set(node, list)
    }
    for (const snapshot of history.snapshots) {
      if (snapshot.attempt !== undefined && snapshot.mode !== 'lww')
        this.#snapshots.set(snapshot.attempt, snapshot)
    }
    for (const reads of bySnapshot(history.reads)) this.#reads.set(reads[0]!.execution.snapshot, reads)
  }

  ofSnapshot(snapshot: Snapshot, reads: readonly Read[]): Past {
    const past = new Map(this.#acknowledgedBefore(snapshot))
    const shown = snapshot.after.flatMap((txn) => this.#history.committed.get(txn) ?? [])
    for (const seen of [...shown, ...this.#readBy(reads)]) this.#include(past, seen)
    return past
  }

  /** For whoever looks into a violation: how the snapshot came to owe that. */
  why(snapshot: Snapshot, reads: readonly Read[], key: string, must: Committed): string {
    const direct = this.#begunAfter(snapshot)
    if (direct.includes(must))
      return snapshot.after.includes(must.txn)
        ? 'whose token it was given'
        : 'acknowledged on that node before it began'
    const via = [...direct, ...this.#readBy(reads)].find(
      (seen) => seen === must || this.#of(seen).get(key) === must,
    )
    const how = via !== undefined && direct.includes(via) ? 'began after' : 'read from'
    return `which is in the past of ${via?.txn}, which it ${how}`
  }

  #include(past: Map<string, Committed>, seen: Committed): void {
    for (const [key, committed] of this.#of(seen)) add(past, key, committed)
    for (const key of seen.writes.keys()) add(past, key, seen)
  }

  /** All that was acknowledged on a node when a snapshot began there. Kept for each acknowledgement, since many ask. */
  #acknowledgedBefore({ node, beganAt }: Snapshot): Past {
    const list = this.#acknowledged.get(node) ?? []
    const known = this.#after.get(node) ?? [new Map()]
    this.#after.set(node, known)
    let count = 0
    while (count < list.length && list[count]!.at <= beganAt) count++
    while (known.length <= count) {
      // Whatever this needs was acknowledged earlier.
      const next = new Map(known.at(-1))
      const { by } = list[known.length - 1]!
      this.#include(next, by)
      known.push(next)
    }
    return known[count]!
  }

  #readBy(reads: readonly Read[]): readonly Committed[] {
    return [...new Set(reads.flatMap(({ tag }) => this.#order.writerOf(tag) ?? []))]
  }

  #begunAfter({ node, beganAt, after }: Snapshot): readonly Committed[] {
    const here = (this.#acknowledged.get(node) ?? []).filter(({ at }) => at <= beganAt).map(({ by }) => by)
    const shown = after.flatMap((txn) => this.#history.committed.get(txn) ?? [])
    return [...here, ...shown]
  }

  /** What the snapshot of a transaction must have seen. Known before it is needed by a later one, unless there is a cycle. */
  #of(committed: Committed): Past {
    const known = this.#ofCommitted.get(committed)
    if (known !== undefined) return known
    this.#ofCommitted.set(committed, new Map())
    const snapshot = this.#snapshots.get(committed.attempt)
    const past =
      snapshot === undefined ? new Map() : this.ofSnapshot(snapshot, this.#reads.get(snapshot) ?? [])
    this.#ofCommitted.set(committed, past)
    return past
  }
}

function add(into: Map<string, Committed>, key: string, committed: Committed): void {
  const before = into.get(key)
  if (before === undefined || compareCommits(committed, before) > 0) into.set(key, committed)
}
