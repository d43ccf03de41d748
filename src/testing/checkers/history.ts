import type { Coordinates, Cut } from '../../core/cut.js'

/**
 * What a run is judged by: what clients did and saw, and the order of what was decided. Checkers read this and nothing
 * else. Events are numbered over the whole run; `at` is such a number.
 */

/** Names one write: no two puts of a run have the same. Null: a deletion, or a key that is absent. */
export type Tag = string | null

/** One transaction that is decided, as storage had it at the moment of the decision. */
export interface Committed {
  readonly txn: string
  readonly attempt: string
  readonly hlc: number
  readonly writes: ReadonlyMap<string, Tag>
  readonly result: unknown
  readonly at: number
  /** Its key claims are in force: see the mode `parallel-snapshot`. */
  readonly claimed: boolean
  /** The snapshot that it read, as its record names it. */
  readonly cut: Cut
}

export type Mode = 'read-atomic' | 'parallel-snapshot' | 'lww'

/** One attempt at a transaction: all its functions read one snapshot. */
export interface Snapshot {
  readonly number: number
  readonly txn: string
  readonly mode: Mode
  /** The caller chose the id, so that a decision is recorded even where nothing was written. */
  readonly keyed: boolean
  /** The node at which it began. */
  readonly node: string
  /** Its begin was not asked for before this. */
  readonly beganAt: number
  /** It had begun by then: a client may have tried for long. */
  readonly openAt: number
  /** Commits that were to be visible: those whose tokens were given. */
  readonly after: readonly string[]
  /** As the node named it; undefined if no answer told. */
  attempt: string | undefined
}

/** One run of one function. */
export interface Execution {
  readonly number: number
  readonly snapshot: Snapshot
  readonly node: string
  /** The executions whose contexts it resumed. */
  readonly upstream: readonly Execution[]
  readonly writes: Map<string, Tag>
}

export interface Read {
  readonly at: number
  readonly execution: Execution
  readonly key: string
  readonly tag: Tag
  /** What it had to see, since the function or one upstream of it wrote the key: any of these. Undefined: none did. */
  readonly own: ReadonlySet<Tag> | undefined
}

/** One call that may have decided a transaction. */
export interface CommitCall {
  readonly txn: string
  readonly node: string
  /** What each execution that may have been committed by this call would have written: for each key any of the tags. */
  readonly candidates: Candidate[]
  /** `unknown` until its caller was told otherwise. */
  outcome: 'committed' | 'failed' | 'unknown'
  /** The last event before it was called for. */
  readonly askedAt: number
  /** The number of the event in which the caller was told. */
  toldAt: number | undefined
  result: unknown
  code: string | undefined
}

export interface Candidate {
  readonly snapshot: Snapshot
  readonly writes: ReadonlyMap<string, ReadonlySet<Tag>>
  /** What is recorded with the decision. */
  readonly result: unknown
  /** What the caller gets: the same, or what only it knows of. */
  readonly said: unknown
}

/** What the whole of a transaction's story was asked for by its id. */
export interface Told {
  readonly txn: string
  readonly askedAt: number
  readonly at: number
  readonly said: 'committed' | 'open' | 'aborted' | 'expired' | 'cancelled' | 'not cancelled'
  readonly result: unknown
  /** How old the id was when it was told, by any clock, as it was at any time since that was asked for. */
  readonly ageMsMax: number
}

export interface History {
  readonly committed: ReadonlyMap<string, Committed>
  readonly snapshots: readonly Snapshot[]
  readonly executions: readonly Execution[]
  readonly reads: readonly Read[]
  readonly commits: readonly CommitCall[]
  readonly told: readonly Told[]
  /** So old an id must be to be refused. */
  readonly idempotencyWindowMs: number
  readonly raised: readonly Raised[]
  /** Where commits that claimed their keys stand: a cut sees one if it sees any of its places. */
  readonly places: ReadonlyMap<string, readonly Coordinates[]>
  /** When a decision's record became a marker: what began later sees it in the bases, if not by its place. */
  readonly shrunk: ReadonlyMap<string, number>
  /** By origin. A cut that has the number of a departure sees all up to the last place, and need not name the origin. */
  readonly departures: ReadonlyMap<string, { readonly number: number; readonly last: number }>
  /** Functions that ran under an id that was looked up first; `calledAt` is when their caller asked for that. */
  readonly ran: readonly { readonly txn: string; readonly calledAt: number }[]
}

/** A key's base in storage became this version: from then on every live snapshot is to see it. */
export interface Raised {
  readonly key: string
  readonly txn: string
  readonly at: number
}

export interface Violation {
  /** The invariant, or the checker. */
  readonly rule: string
  readonly what: string
}
