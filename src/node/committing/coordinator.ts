import type { Coordinates } from '../../core/cut.js'
import { type Commit, type Decision, isCommit } from '../../core/decision.js'
import type { TxnId } from '../../core/ids.js'
import { blobKey, blobName, lateKey, txnMinute } from '../../core/layout.js'
import { type AllWrites, type PlacedBlob, placeWrites } from '../../core/placement.js'
import { VirgaError } from '../../errors.js'
import { mark } from '../../marks.js'
import type { StorageEntry } from '../../ports/storage.js'
import type { Minutes } from '../collecting/minutes.js'
import type { OpenTransaction, TransactionStart } from '../executors/transaction.js'
import type { Adoption } from '../sharing/adoption.js'
import type { NodeState } from '../state.js'
import type { Claimed, Claims } from './claims.js'

/** What a commit came to: what stands for the transaction, whoever decided it. */
export interface Committed {
  readonly txn: TxnId
  readonly commit: Commit
  readonly at: Coordinates
  /** Another attempt had committed. */
  readonly replayed: boolean
}

export interface CoordinatorParts {
  readonly state: NodeState
  readonly minutes: Minutes
  readonly adoption: Adoption
  readonly claims: Claims
  /** All that a transaction has written, also what other nodes hold of it. */
  readonly gather: (transaction: OpenTransaction) => Promise<AllWrites>
}

/**
 * Commits transactions: what other nodes hold of it is prepared, large values are put into storage, keys are claimed where
 * the mode says so, then one decision, then the history.
 *
 * A crash before the decision leaves blobs that nothing refers to and claims of an attempt that never commits, which
 * whoever meets them fences. A crash after the decision leaves it to be found: by whoever adopts, or by a retry of the
 * same id, which gets its result. The client is answered only after the decision is durable and applied here, so its next
 * transaction on this node sees it.
 */
export class Coordinator {
  readonly #parts: CoordinatorParts
  readonly #state: NodeState
  readonly #minutes: Minutes
  /** Makes names of blobs unique over all executions of one attempt. */
  #blobs = 0

  constructor(parts: CoordinatorParts) {
    this.#parts = parts
    this.#state = parts.state
    this.#minutes = parts.minutes
  }

  async commit(transaction: OpenTransaction, result: Uint8Array | undefined): Promise<Committed> {
    const { start } = transaction
    // Awaited only where there is something to await: most commits have one write to storage.
    const all = start.upstream.lineage.length === 0 ? transaction.own.writes : await this.#gather(transaction)
    if ('replayed' in all) return all
    const { writes, blobs } = placeWrites(all, this.#state.config, () =>
      blobName(start.attempt, `v${this.#state.ledger.origin}:${this.#blobs++}`),
    )
    const minute = txnMinute(start.txn)
    const announced = this.#announcement(minute)
    if (blobs.length > 0 || announced !== undefined || !this.#minutes.covers(minute)) {
      await this.#store(start.txn, blobs, announced)
    }
    const foundAt = announced ?? minute
    if (!start.mode.claims) return this.#decide(transaction, writes, result, false, foundAt)
    const claimed = await this.#claim(start, writes)
    try {
      return await this.#decide(transaction, writes, result, true, foundAt)
    } catch (error) {
      // Where it is not known whether the decision stands, the claims stay: they count for as long as it may.
      if (VirgaError.is(error) && error.outcome === 'definite') await claimed.release()
      throw error
    }
  }

  /** What the transaction's commit needs no more is let go. So whoever commits it again may meet nothing but its decision. */
  async #gather(transaction: OpenTransaction): Promise<AllWrites | Committed> {
    try {
      return await this.#parts.gather(transaction)
    } catch (error) {
      if (!VirgaError.is(error) || error.code !== 'WriteSetLost') throw error
      const { txn } = transaction.start
      const standing = await this.#state.decisions.find(txn)
      if (!isCommit(standing)) throw error
      mark('prepare.lost-and-replayed')
      this.#state.counters.commitsReplayed++
      await this.#afterwards(txn, this.#parts.adoption.adopt(txn, standing))
      return { txn, commit: standing, at: this.#state.ledger.placeOf(txn), replayed: true }
    }
  }

  #claim({ txn, attempt, cut, deadlineMs }: TransactionStart, writes: Decision['writes']): Promise<Claimed> {
    const keys = writes.map(({ key }) => key)
    return this.#parts.claims.claim({ txn, attempt }, cut, keys, deadlineMs)
  }

  async #decide(
    transaction: OpenTransaction,
    writes: Decision['writes'],
    result: Uint8Array | undefined,
    claimed: boolean,
    foundAt: number,
  ): Promise<Committed> {
    const { txn, attempt, cut } = transaction.start
    let at = foundAt
    for (let due = this.#announcement(at); due !== undefined; due = this.#announcement(at)) {
      mark('commit.announced-again')
      await this.#store(txn, [], due)
      at = due
    }
    // Looked at as late as can be: from here on only the decision itself is awaited.
    const now = this.#state.world.clock.precise()
    transaction.checkDeadline(now)
    const hlc = this.#state.clock.tick(now)
    const decision: Decision = { status: 'committed', attempt, hlc, cut, writes, claimed, result }
    const stands = await this.#state.decisions.decide(txn, decision, (late) => this.#adoptLate(txn, late))
    // One context may be committed twice, which is one attempt; its clock tells whether it is this very decision.
    const replayed = stands.attempt !== attempt || stands.hlc !== hlc
    if (replayed || stands.status === 'compacted') {
      if (replayed) {
        mark(stands.attempt === attempt ? 'decide.same-attempt-twice' : 'decide.another-stands')
        this.#state.counters.commitsReplayed++
      }
      await this.#afterwards(txn, this.#parts.adoption.adopt(txn, stands))
    } else if (stands === decision) this.#state.ledger.publish(txn, decision)
    // It was read back. Of the same attempt and clock it may be what another node decided, with other values.
    else this.#state.ledger.publishFound(txn, stands)
    const late = stands.status === 'compacted' ? undefined : this.#announcement(at)
    if (late !== undefined) {
      mark('commit.announced-late')
      await this.#afterwards(txn, this.#minutes.announce(txn, late))
    }
    return { txn, commit: stands, at: this.#state.ledger.placeOf(txn), replayed }
  }

  /** The minute to announce a decision in, if it would not be found at the minute `at`. */
  #announcement(at: number): number | undefined {
    return this.#minutes.announcement(at, this.#state.world.clock.now())
  }

  /** A decision stands, maybe of this very attempt: what fails from then on is no definite failure. */
  async #afterwards(txn: TxnId, following: Promise<void>): Promise<void> {
    try {
      await following
    } catch (cause) {
      throw new VirgaError('OutcomeUnknown', `${txn} is decided, and can't be told of yet: ask again`, {
        outcome: 'indefinite',
        cause,
      })
    }
  }

  /**
   * Sees to it that large values are there, and that a boot finds the decision. Whatever becomes of these writes, there is
   * no decision yet: a failure here is a definite one.
   */
  async #store(txn: TxnId, blobs: readonly PlacedBlob[], announced: number | undefined): Promise<void> {
    const early: StorageEntry[] = blobs.map(({ blob, bytes }) => ({ ...blobKey(txn, blob), value: bytes }))
    if (blobs.length > 0) mark('commit.large')
    if (announced !== undefined) {
      mark('commit.announced')
      early.push({ ...lateKey(txn, announced), value: new Uint8Array(0) })
    }
    try {
      await this.#minutes.raise(Math.max(txnMinute(txn), announced ?? 0))
      if (early.length > 0) await this.#state.world.storage.put(early)
    } catch (error) {
      if (!VirgaError.is(error) || error.outcome === 'definite') throw error
      throw new VirgaError(error.code, `${error.message}; nothing was decided`, { cause: error })
    }
  }

  #adoptLate(txn: TxnId, commit: Commit): void {
    this.#parts.adoption.adopt(txn, commit).catch((error: unknown) => {
      this.#state.world.log.warn(
        { txn, err: error },
        'a late decision could not be adopted: it is found again',
      )
    })
  }
}
