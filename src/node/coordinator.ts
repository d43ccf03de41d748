import type { Coordinates } from '../core/cut.js'
import type { Decision } from '../core/decision.js'
import type { HybridClock } from '../core/hlc.js'
import type { TxnId } from '../core/ids.js'
import { blobKey, blobName, lateKey, txnMinute } from '../core/layout.js'
import { type PlacedBlob, placeWrites } from '../core/placement.js'
import { VirgaError } from '../errors.js'
import type { StorageEntry } from '../ports/storage.js'
import type { NodeConfig } from './config.js'
import type { Counters } from './counters.js'
import type { Decisions } from './decisions.js'
import type { Ledger } from './ledger.js'
import type { Minutes } from './minutes.js'
import type { OpenTransaction } from './transaction.js'
import type { World } from './world.js'

/** What a commit came to: the decision that stands for the transaction, whoever made it. */
export interface Committed {
  readonly txn: TxnId
  readonly decision: Decision
  readonly at: Coordinates
  /** Another attempt had committed. */
  readonly replayed: boolean
}

/**
 * Commits transactions: large values first, then one decision, then the history (DESIGN: prepare, decide, apply).
 *
 * A crash after the large values leaves orphans that nothing refers to. A crash after the decision leaves it to be found:
 * at boot, or by a retry of the same id, which gets its result. The client is answered only after the decision is durable
 * and applied here, so its next transaction on this node sees it.
 */
export class Coordinator {
  readonly #world: World
  readonly #config: NodeConfig
  readonly #clock: HybridClock
  readonly #minutes: Minutes
  readonly #decisions: Decisions
  readonly #ledger: Ledger
  readonly #counters: Counters
  /** Makes names of blobs unique over all executions of one attempt. */
  #blobs = 0

  constructor(
    world: World,
    config: NodeConfig,
    clock: HybridClock,
    minutes: Minutes,
    decisions: Decisions,
    ledger: Ledger,
    counters: Counters,
  ) {
    this.#world = world
    this.#config = config
    this.#clock = clock
    this.#minutes = minutes
    this.#decisions = decisions
    this.#ledger = ledger
    this.#counters = counters
  }

  async commit(transaction: OpenTransaction, result: Uint8Array | undefined): Promise<Committed> {
    const { txn, attempt, cut } = transaction.start
    const { writes, blobs } = placeWrites(transaction.allWrites(), this.#config, () =>
      blobName(attempt, `v${this.#ledger.origin}:${this.#blobs++}`),
    )
    // Awaited only where there is something to await: most commits have one write to storage.
    const minute = txnMinute(txn)
    const announced = this.#minutes.announcement(minute, this.#world.clock.now())
    if (blobs.length > 0 || announced !== undefined || !this.#minutes.covers(minute)) {
      await this.#prepare(txn, blobs, announced)
    }
    // Looked at as late as can be: from here on only the decision itself is awaited.
    const now = this.#world.clock.now()
    transaction.checkDeadline(now)
    const hlc = this.#clock.tick(now)
    const decision: Decision = { status: 'committed', attempt, hlc, cut, writes, result }
    const stands = await this.#decisions.decide(txn, decision, (late) => this.#ledger.adopt(txn, late))
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
      if (early.length > 0) await this.#world.storage.put(early)
    } catch (error) {
      if (!VirgaError.is(error) || error.outcome === 'definite') throw error
      throw new VirgaError(error.code, `${error.message}; nothing was decided`, { cause: error })
    }
  }

  #apply(txn: TxnId, decision: Decision, replayed: boolean): Committed {
    if (replayed) this.#counters.commitsReplayed++
    const at = replayed ? this.#ledger.adopt(txn, decision) : this.#ledger.publish(txn, decision)
    return { txn, decision, at, replayed }
  }
}
