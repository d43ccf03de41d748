import type { Coordinates } from '../core/cut.js'
import type { Decision, StoredValue, StoredWrite } from '../core/decision.js'
import type { HybridClock } from '../core/hlc.js'
import type { TxnId } from '../core/ids.js'
import { blobKey, blobName, lateKey, txnMinute } from '../core/layout.js'
import type { Writes } from '../core/write-set.js'
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
    const { writes, blobs } = this.#place(transaction)
    await this.#prepare(txn, blobs)
    // Looked at as late as can be: from here on only the decision itself is awaited.
    transaction.checkDeadline(this.#world.clock.now())
    const hlc = this.#clock.tick(this.#world.clock.now())
    const decision: Decision = { status: 'committed', attempt, hlc, cut, writes, result }
    const stands = await this.#decisions.decide(txn, decision, (late) => this.#ledger.adopt(txn, late))
    // One context may be committed twice, which is one attempt; its clock tells whether it is this very decision.
    const replayed = stands.attempt !== attempt || stands.hlc !== hlc
    return this.#apply(txn, stands, replayed)
  }

  /** Whatever becomes of these writes, there is no decision yet: a failure here is a definite one. */
  async #prepare(txn: TxnId, blobs: readonly StorageEntry[]): Promise<void> {
    try {
      const early = [...blobs, ...(await this.#announcement(txn))]
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

  /** Decides which values go into the decision and which to storage on their own. */
  #place(transaction: OpenTransaction): { writes: readonly StoredWrite[]; blobs: readonly StorageEntry[] } {
    const all = transaction.allWrites()
    const outside = this.#tooLarge(all)
    const blobs: StorageEntry[] = []
    const writes: StoredWrite[] = []
    for (const [key, bytes] of all) {
      let value: StoredValue
      if (bytes === null) value = { kind: 'tombstone' }
      else if (!outside.has(key)) value = { kind: 'inline', bytes }
      else {
        const blob = blobName(transaction.start.attempt, `v${this.#ledger.origin}:${this.#blobs++}`)
        value = { kind: 'blob', blob, size: bytes.length }
        blobs.push({ ...blobKey(transaction.start.txn, blob), value: bytes })
      }
      writes.push({ key, value })
    }
    return { writes, blobs }
  }

  /** Makes names of blobs unique over all executions of one attempt. */
  #blobs = 0

  #tooLarge(writes: Writes): ReadonlySet<string> {
    const { inlineValueBytesMax, inlineDecisionBytesMax } = this.#config
    const outside = new Set<string>()
    let inline = 0
    for (const [key, bytes] of writes) {
      if (bytes === null) continue
      if (bytes.length > inlineValueBytesMax) outside.add(key)
      else inline += bytes.length
    }
    if (inline <= inlineDecisionBytesMax) return outside
    const bySize = [...writes].filter(([key, bytes]) => bytes !== null && !outside.has(key))
    bySize.sort(([, a], [, b]) => b!.length - a!.length)
    for (const [key, bytes] of bySize) {
      if (inline <= inlineDecisionBytesMax) break
      outside.add(key)
      inline -= bytes!.length
    }
    return outside
  }

  /** A decision that a boot would not find by the minute of its id is announced first. */
  async #announcement(txn: TxnId): Promise<readonly StorageEntry[]> {
    const announced = this.#minutes.announcement(txn, this.#world.clock.now())
    const minute = Math.max(txnMinute(txn), announced ?? 0)
    if (!this.#minutes.covers(minute)) await this.#minutes.raise(minute)
    return announced === undefined ? [] : [{ ...lateKey(txn, announced), value: new Uint8Array(0) }]
  }
}
