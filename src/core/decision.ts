import type { Cut } from './cut.js'
import type { Hlc } from './hlc.js'
import type { Attempt, TxnId } from './ids.js'

/**
 * A value as a decision holds it. `blob`: the bytes lie in storage on their own, under the id `blob` in the value bucket
 * of the transaction's minute.
 */
export type StoredValue =
  | { readonly kind: 'inline'; readonly bytes: Uint8Array }
  | { readonly kind: 'blob'; readonly blob: string; readonly size: number }
  | { readonly kind: 'tombstone' }

export const TOMBSTONE: StoredValue = { kind: 'tombstone' }

export interface StoredWrite {
  readonly key: string
  readonly value: StoredValue
}

/** The durable record that says a transaction committed, with all it wrote. */
export interface Decision {
  readonly status: 'committed'
  readonly attempt: Attempt
  readonly hlc: Hlc
  /** The snapshot that the transaction read. Whoever applies the decision applies these first. */
  readonly cut: Cut
  readonly writes: readonly StoredWrite[]
  /** The keys were claimed before: each has a guard in storage. */
  readonly claimed: boolean
  /** The function's result, encoded as a value. Undefined: it had none. */
  readonly result: Uint8Array | undefined
}

/**
 * What a decision shrinks to when its writes have gone into bases: every snapshot that begins sees it. It still says that
 * the transaction committed, and with which result.
 */
export interface Marker {
  readonly status: 'compacted'
  readonly attempt: Attempt
  readonly hlc: Hlc
  readonly result: Uint8Array | undefined
  /** The large values that the decision referred to: collected with the bases that refer to them, and by nobody else. */
  readonly blobs: readonly string[]
}

/** Attempts up to this one can no longer commit. Later ones can. */
export interface Fence {
  readonly status: 'fenced'
  readonly upTo: Attempt
}

/** The caller cancelled the transaction for good. */
export interface Abortion {
  readonly status: 'aborted'
}

/** The transaction committed. */
export type Commit = Decision | Marker

/** What stands under a transaction's id, if anything does. */
export type Standing = Commit | Fence | Abortion

export function isCommit(standing: Standing | undefined): standing is Commit {
  return standing?.status === 'committed' || standing?.status === 'compacted'
}

/**
 * What a coordinator must do next about an attempt of its own, given what stands under the transaction's id:
 * - `write`: nothing stands in its way; replace what stands by the decision.
 * - `ours`: this very attempt is what committed.
 * - `replay`: another attempt committed; its result is the answer.
 * - `fenced`: this attempt can't commit any more; a later one can.
 * - `aborted`: no attempt ever will.
 */
export type Verdict = 'write' | 'ours' | 'replay' | 'fenced' | 'aborted'

export function judge(standing: Standing | undefined, attempt: Attempt): Verdict {
  if (standing === undefined) return 'write'
  switch (standing.status) {
    case 'committed':
    case 'compacted':
      return standing.attempt === attempt ? 'ours' : 'replay'
    case 'aborted':
      return 'aborted'
    case 'fenced':
      return attempt > standing.upTo ? 'write' : 'fenced'
  }
}

/** What a fence of `attempt` replaces `standing` by; undefined if it already cannot commit, or already has. */
export function fenceOver(standing: Standing | undefined, attempt: Attempt): Fence | undefined {
  if (judge(standing, attempt) !== 'write') return undefined
  return { status: 'fenced', upTo: attempt }
}

/** What a decision shrinks to. */
export function markerOf({ attempt, hlc, result, writes }: Decision): Marker {
  const blobs = writes.flatMap(({ value }) => (value.kind === 'blob' ? [value.blob] : []))
  return { status: 'compacted', attempt, hlc, result, blobs }
}

/** A transaction and one attempt at it. */
export interface Try {
  readonly txn: TxnId
  readonly attempt: Attempt
}
