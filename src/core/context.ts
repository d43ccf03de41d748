import { VirgaError } from '../errors.js'
import { type Cut, sameCut } from './cut.js'
import type { Hlc } from './hlc.js'
import type { Attempt, Origin, TxnId } from './ids.js'
import type { Consistency } from './modes.js'
import type { Writes } from './write-set.js'

/** Where the writes of a handed-off write set are. */
export type WriteSetBody =
  /** Small: they travel in the context. */
  | { readonly kind: 'inline'; readonly writes: Writes }
  /** In the memory of the node incarnation that sealed it. */
  | ({ readonly kind: 'held'; readonly origin: Origin } & Elsewhere)
  /** In storage, as the blob of this name. */
  | ({ readonly kind: 'durable'; readonly blob: string } & Elsewhere)

interface Elsewhere {
  /** What is written there, if that is not too long. */
  readonly keys?: readonly string[]
  /** That a node has put it there. */
  readonly proof?: Uint8Array
}

/** What one function execution wrote, sealed at its handoff. */
export interface WriteSet {
  /** Unique over all write sets of the transaction. */
  readonly id: string
  /** When it was sealed. Above every write set upstream of it, since the clock travels along. */
  readonly hlc: Hlc
  /** The write sets that its function saw last: its immediate upstream. */
  readonly parents: readonly string[]
  readonly body: WriteSetBody
}

/** What travels along a DAG edge. */
export interface Context {
  readonly txn: TxnId
  readonly attempt: Attempt
  /** Milliseconds since the Unix epoch, after which the transaction may not be decided. */
  readonly deadlineMs: number
  readonly consistency: Consistency
  /** The caller chose the id: its result is recorded even if nothing was written. */
  readonly keyed: boolean
  readonly cut: Cut
  /** The node that handed it over, which serves this cut as long as it lives. */
  readonly sender: Origin
  /** The cut, as executors beside the sender read at it in its view. Absent: they must ask. */
  readonly snapshot?: Uint8Array
  /** Write sets that no other write set of the lineage has as a parent. */
  readonly heads: readonly string[]
  /** All upstream write sets, by `(hlc, id)`: upstream before downstream. */
  readonly lineage: readonly WriteSet[]
}

/** Whose cut is pinned in storage is told by the pin, not by the context. */
export function compareWriteSets(a: WriteSet, b: WriteSet): number {
  return a.hlc - b.hlc || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
}

/**
 * Joins the contexts of parallel branches. They must be of one attempt and one cut (`ContextMismatch`).
 * Of several joined contexts, the first names the sender.
 */
export function joinContexts(contexts: readonly Context[]): Context {
  const first = contexts[0]
  if (first === undefined) throw new VirgaError('InvalidArgument', 'there is no context to resume')
  if (contexts.length === 1) return first
  const byId = new Map<string, WriteSet>()
  for (const context of contexts) {
    checkJoin(first, context)
    for (const writeSet of context.lineage) byId.set(writeSet.id, preferred(byId.get(writeSet.id), writeSet))
  }
  const lineage = [...byId.values()].sort(compareWriteSets)
  const upstream = new Set(lineage.flatMap((writeSet) => writeSet.parents))
  const heads = lineage.map((writeSet) => writeSet.id).filter((id) => !upstream.has(id))
  return { ...first, heads, lineage }
}

function checkJoin(first: Context, other: Context): void {
  const differs =
    first.txn !== other.txn
      ? 'transactions'
      : first.attempt !== other.attempt
        ? 'attempts'
        : sameCut(first.cut, other.cut)
          ? undefined
          : 'snapshots'
  if (differs === undefined) return
  throw new VirgaError(
    'ContextMismatch',
    `contexts of different ${differs} can't be joined (${first.txn}, ${other.txn})`,
  )
}

/** A branch that was handed off durably carries its upstream as durable where another branch carries it as held. */
function preferred(a: WriteSet | undefined, b: WriteSet): WriteSet {
  return a !== undefined && a.body.kind !== 'held' ? a : b
}

/** What a function sees of its upstream: for each key the write set whose write counts, the latest sealed one. */
export function overlay(
  lineage: readonly WriteSet[],
  writesOf: (writeSet: WriteSet) => ReadonlyMap<string, unknown>,
): Map<string, WriteSet> {
  const out = new Map<string, WriteSet>()
  for (const writeSet of lineage) for (const key of writesOf(writeSet).keys()) out.set(key, writeSet)
  return out
}

/**
 * A key that two of the joined branches wrote, neither upstream of the other; undefined if there is none. Only what a
 * branch has and the other has not is compared: what was joined before was judged then.
 */
export function findBranchConflict(
  contexts: readonly Context[],
  writesOf: (writeSet: WriteSet) => Writes,
): { readonly key: string; readonly writeSets: readonly [string, string] } | undefined {
  for (let i = 0; i < contexts.length; i++) {
    for (let j = i + 1; j < contexts.length; j++) {
      const left = contexts[i]!.lineage
      const right = contexts[j]!.lineage
      const onlyLeft = without(left, right)
      const onlyRight = without(right, left)
      const writers = overlay(onlyLeft, writesOf)
      for (const writeSet of onlyRight) {
        for (const key of writesOf(writeSet).keys()) {
          const other = writers.get(key)
          if (other !== undefined) return { key, writeSets: [other.id, writeSet.id] }
        }
      }
    }
  }
  return undefined
}

function without(lineage: readonly WriteSet[], other: readonly WriteSet[]): readonly WriteSet[] {
  const ids = new Set(other.map((writeSet) => writeSet.id))
  return lineage.filter((writeSet) => !ids.has(writeSet.id))
}
