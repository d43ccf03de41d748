import type { WriteSet } from '../../core/context.js'
import type { Cut } from '../../core/cut.js'
import type { Attempt, TxnId } from '../../core/ids.js'
import type { Mode } from '../../core/modes.js'
import { WriteSetBuilder, type Writes } from '../../core/write-set.js'
import { VirgaError } from '../../errors.js'
import type { Limits } from '../../limits.js'
import { mark } from '../../marks.js'

/** What a function sees before its snapshot: the write sets upstream of it. */
export interface Upstream {
  /** By `(hlc, id)`. */
  readonly lineage: readonly WriteSet[]
  readonly heads: readonly string[]
  /** For each key that was written upstream, the write that counts. Undefined: some are on other nodes still. */
  readonly overlay: Writes | undefined
}

export const NO_UPSTREAM: Upstream = { lineage: [], heads: [], overlay: new Map() }

/** Snapshots live within one epoch. A node that comes back after others may have taken it for dead begins another. */
export interface SnapshotLife {
  epoch: number
}

export interface TransactionStart {
  readonly txn: TxnId
  readonly attempt: Attempt
  readonly deadlineMs: number
  readonly mode: Mode
  readonly keyed: boolean
  readonly cut: Cut
  readonly upstream: Upstream
}

/**
 * One function execution within a transaction, as the node knows it: its snapshot, what is upstream of it, and what its
 * executor has sent of its writes so far.
 */
export class OpenTransaction {
  readonly start: TransactionStart
  readonly own: WriteSetBuilder
  /** As `start.upstream.overlay`; fetched when it is first asked for. */
  upstream: Writes | undefined
  fetching: Promise<void> | undefined
  /** A commit or handoff is under way: the transaction outlives its session and deadline until that is decided. */
  busy = false
  /** Some of its writes were refused: what is left of them must not be committed. */
  failure: VirgaError | undefined
  /** Bytes of writes that were sent ahead and count against the node's budget. */
  aheadBytes = 0
  readonly #life: SnapshotLife
  readonly #bornIn: number

  constructor(start: TransactionStart, limits: Limits, life: SnapshotLife) {
    this.start = start
    this.own = new WriteSetBuilder(limits)
    this.upstream = start.upstream.overlay
    this.#life = life
    this.#bornIn = life.epoch
  }

  /** A write of this function or, where those are here, upstream of it: undefined if there is none, null if it deletes. */
  written(key: string): Uint8Array | null | undefined {
    const own = this.own.get(key)
    return own !== undefined ? own : this.upstream?.get(key)
  }

  /** Whether the transaction has written nothing, in this function and upstream of it. */
  get isReadOnly(): boolean {
    return this.own.size === 0 && this.start.upstream.lineage.length === 0
  }

  /** Throws `SnapshotTooOld`: what the snapshot needs may have been collected while the node was out of touch. */
  checkSnapshot(): void {
    if (this.#bornIn === this.#life.epoch) return
    mark('fail.snapshot-too-old')
    throw new VirgaError('SnapshotTooOld', `the node was out of touch since ${this.start.txn} began`)
  }

  checkDeadline(nowMs: number): void {
    if (nowMs <= this.start.deadlineMs) return
    mark('commit.too-late')
    throw deadlineExceeded(this.start.txn)
  }
}

export function deadlineExceeded(txn: TxnId): VirgaError {
  return new VirgaError('DeadlineExceeded', `the deadline of ${txn} has passed`)
}
