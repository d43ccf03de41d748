import type { Coordinates } from '../../core/cut.js'
import type { Decision } from '../../core/decision.js'
import type { TxnId } from '../../core/ids.js'
import { blobKey, blobName, lateKey, txnMinute } from '../../core/layout.js'
import { type PlacedBlob, placeWrites } from '../../core/placement.js'
import { VirgaError } from '../../errors.js'
import type { StorageEntry } from '../../ports/storage.js'
import type { Minutes } from '../collecting/minutes.js'
import type { OpenTransaction } from '../executors/transaction.js'
import type { NodeState } from '../state.js'

/** What a commit came to: the decision that stands for the transaction, whoever made it. */
export interface Committed {
  readonly txn: TxnId
  readonly decision: Decision
  readonly at: Coordinates
  /** Another attempt had committed. */
  readonly replayed: boolean
}

/**
 * Commits transactions: large values first, then one decision, then the history.
 *
 * A crash after the large values leaves orphans that nothing refers to. A crash after the decision leaves it to be found:
 * at boot, or by a retry of the same id, which gets its result. The client is answered only after the decision is durable
 * and applied here, so its next transaction on this node sees it.
 */
export class Coordinator {
  readonly #state: NodeState
  readonly #minutes: Minutes
  /** Makes names of blobs unique over all executions of one attempt. */
  #blobs = 0

  constructor(state: NodeState, minutes: Minutes) {
    this.#state = state
    this.#minutes = minutes
  }

  async commit(transaction: OpenTransaction, result: Uint8Array | undefined): Promise<Committed> {
    const { txn, attempt, cut } = transaction.start
    const { writes, blobs } = placeWrites(transaction.allWrites(), this.#state.config, () =>
      blobName(attempt, `v${this.#state.ledger.origin}:${this.#blobs++}`),
    )
    // Awaited only where there is something to await: most commits have one write to storage.
    const minute = txnMinute(txn)
    const announced = this.#minutes.announcement(minute, this.#state.world.clock.now())
    if (blobs.length > 0 || announced !== undefined || !this.#minutes.covers(minute)) {
      await this.#prepare(txn, blobs, announced)
    }
    // Looked at as late as can be: from here on only the decision itself is awaited.
    const now = this.#state.world.clock.now()
    transaction.checkDeadline(now)
    const hlc = this.#state.clock.tick(now)
    const decision: Decision = { status: 'committed', attempt, hlc, cut, writes, result }
    const stands = await this.#state.decisions.decide(txn, decision, (late) =>
      this.#state.ledger.adopt(txn, late),
    )
    // One context may be committed twice, which is one attempt; its clock tells whether it is this very decision.
    const replayed = stands.attempt !== attempt || stands.hlc !== hlc
    return this.#apply(txn, stands, replayed)
  }

  /**
   * Sees to it that large values are there, and that a boot finds the decision. Whatever becomes of these writes, there is
   * no decision yet: a failure here is a definite one.
   */
  async #prepare(txn: TxnId, blobs: readonly PlacedBlob[], announced: number | undefined): Promise<void> {
    const early: StorageEntry[] = blobs.map(({ blob, bytes }) => ({ ...blobKey(txn, blob), value: bytes }))
    if (announced !== undefined) early.push({ ...lateKey(txn, announced), value: new Uint8Array(0) })
    try {
      await this.#minutes.raise(Math.max(txnMinute(txn), announced ?? 0))
      if (early.length > 0) await this.#state.world.storage.put(early)
    } catch (error) {
      if (!VirgaError.is(error) || error.outcome === 'definite') throw error
      throw new VirgaError(error.code, `${error.message}; nothing was decided`, { cause: error })
    }
  }

  #apply(txn: TxnId, decision: Decision, replayed: boolean): Committed {
    if (replayed) this.#state.counters.commitsReplayed++
    const at = replayed ? this.#state.ledger.adopt(txn, decision) : this.#state.ledger.publish(txn, decision)
    return { txn, decision, at, replayed }
  }
}
