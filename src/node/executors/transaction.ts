import type { WriteSet } from '../../core/context.js'
import type { Cut } from '../../core/cut.js'
import type { Attempt, TxnId } from '../../core/ids.js'
import type { Mode } from '../../core/modes.js'
import { WriteSetBuilder, type Writes } from '../../core/write-set.js'
import { VirgaError } from '../../errors.js'
import type { Limits } from '../../limits.js'

/** What a function sees before its snapshot: the write sets upstream of it. */
export interface Upstream {
  /** By `(hlc, id)`. */
  readonly lineage: readonly WriteSet[]
  readonly heads: readonly string[]
  /** For each key that was written upstream, the write that counts. */
  readonly overlay: Writes
}

export const NO_UPSTREAM: Upstream = { lineage: [], heads: [], overlay: new Map() }

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
  /** A commit or handoff is under way: the transaction outlives its session and deadline until that is decided. */
  busy = false
  /** Bytes of writes that were sent ahead and count against the node's budget. */
  aheadBytes = 0

  constructor(start: TransactionStart, limits: Limits) {
    this.start = start
    this.own = new WriteSetBuilder(limits)
  }

  /** A write of this function or upstream of it: undefined if there is none, null if it deletes. */
  written(key: string): Uint8Array | null | undefined {
    const own = this.own.get(key)
    return own !== undefined ? own : this.start.upstream.overlay.get(key)
  }

  /** All that the transaction has written when this function ends it. */
  allWrites(): Writes {
    const { overlay } = this.start.upstream
    if (overlay.size === 0) return this.own.writes
    return new Map([...overlay, ...this.own.writes])
  }

  checkDeadline(nowMs: number): void {
    if (nowMs > this.start.deadlineMs) throw deadlineExceeded(this.start.txn)
  }
}

export function deadlineExceeded(txn: TxnId): VirgaError {
  return new VirgaError('DeadlineExceeded', `the deadline of ${txn} has passed`)
}
