import type { Cut } from '../../core/cut.js'
import { type Decision, isCommit, markerOf, type StoredWrite, TOMBSTONE } from '../../core/decision.js'
import { HLC_ZERO, type Hlc } from '../../core/hlc.js'
import type { Origin, TxnId } from '../../core/ids.js'
import { decisionKey } from '../../core/layout.js'
import type { Applied } from '../../core/version.js'
import { VirgaError } from '../../errors.js'
import { mark } from '../../marks.js'
import type { StorageEntry } from '../../ports/storage.js'
import { decodeStanding, encodeStanding } from '../../wire/records.js'
import type { BaseRaiser, Decided } from './base-raiser.js'
import { putAll } from './batches.js'
import type { CompactedRecord } from './compacted-record.js'
import type { GuardCleaner } from './guard-cleaner.js'
import { NewestAt } from './newest-at.js'
import type { CollectingParts, Permit } from './parts.js'
import { Turns } from './turns.js'

/** A batch: so many decisions, or records of so many bytes. */
const BATCH_DECISIONS_MAX = 1_000
const BATCH_BYTES_MAX = 8 * 1024 * 1024
/** Records of one read: a batch is at most so many above its bytes. */
const READ_DECISIONS = 128
/** Decisions of one round: then the watermark is raised anew, which lets more versions be left out. */
const ROUND_DECISIONS_MAX = 50_000
/** Records decoded, and markers encoded, before others have their turn: about a millisecond. */
const STEPS_PER_TURN = 100
/** With so many decisions waiting to be compacted it takes twice as long turns, and so on: else commits outrun it. */
const WAITING_DECISIONS = 5_000
const SHARE_MAX = 8
/** Places that leave the chains at once: about a millisecond, too. */
const DROPS_PER_TURN = 200

interface Batch {
  readonly last: number
  /** As their records say, or would. */
  readonly decided: readonly Decided[]
  /** The highest clock of all that stands in these places. */
  readonly horizon: Hlc
}

/**
 * Moves what is at or below the watermark in force out of decisions' records into the bases, one origin after the other, each
 * in the order of its places: this node's own, and those of dead origins for which it is picked.
 *
 * Why the state after a crash at any await is right, and who does the rest:
 *
 * | done so far | reads of a live snapshot, or of a node that starts now | the rest |
 * |---|---|---|
 * | some bases are raised | a base is in every live cut; the decisions are still in records and chains, and the newer of the two answers (I1, I2) | the batch is done again: every step of it finds what is done |
 * | large values of older versions are deleted | their bases are newer, so nothing refers to them (I9) | again: deleting twice is harmless |
 * | some records are markers | what they held is in the bases, or superseded for every live cut. A node that starts adopts the other records, and reads bases below the markers' clocks (I5) | again: markers are passed over |
 * | the compacted vector is raised | a node that starts counts these places as seen, and finds all of them in the bases | other nodes hear of it, or read the vector in their next round |
 * | dropped from the chains here | bases answer | none |
 *
 * A marker keeps attempt and result, so whoever retries is told the same (I6). Records shrink only after their bases stand, and
 * chains only after the vector does, so memory is bounded by what is above the watermark (I10).
 *
 * A decision that was made here is taken from the chains and the caches where all that it needs is there. It can't have been
 * compacted elsewhere, with a tombstone that is gone since: the round began with dropping what storage says to be compacted,
 * and nobody else compacts what a node decided while that node is in touch, which is looked at before each write.
 *
 * Two may compact one origin at once, when members are seen differently or one was paused: every step is a swap upwards, a
 * deletion of what nothing refers to, or a write of the same bytes.
 */
export class Compactor {
  readonly #parts: CollectingParts
  readonly #permit: Permit
  readonly #bases: BaseRaiser
  readonly #guards: GuardCleaner
  readonly #compacted: CompactedRecord
  readonly #turns: Turns

  constructor(
    parts: CollectingParts,
    permit: Permit,
    { bases, guards, compacted }: { bases: BaseRaiser; guards: GuardCleaner; compacted: CompactedRecord },
  ) {
    this.#parts = parts
    this.#permit = permit
    this.#bases = bases
    this.#guards = guards
    this.#compacted = compacted
    this.#turns = new Turns(parts.state.world.clock, STEPS_PER_TURN)
  }

  /** Compacts up to a watermark in force. Returns whether there is more to do. Rejects as storage does. */
  async run(inForce: Cut): Promise<boolean> {
    const newest = new NewestAt(this.#parts.state.history, inForce)
    let left = ROUND_DECISIONS_MAX
    const own = this.#parts.state.ledger.origin
    const waiting = (inForce.get(own) ?? 0) - (this.#parts.state.history.compacted.get(own) ?? 0)
    this.#turns.takeShare(Math.min(SHARE_MAX, 1 + Math.floor(waiting / WAITING_DECISIONS)))
    for (const origin of this.#origins()) {
      left -= await this.#compactOrigin(origin, inForce, newest, left)
      if (left <= 0) return true
    }
    return false
  }

  #origins(): readonly Origin[] {
    const { state, membership } = this.#parts
    const own = state.ledger.origin
    const dead = [...state.history.cut().keys()].filter(
      (origin) => origin !== own && !membership.isLive(origin) && membership.isPicked(origin),
    )
    return [own, ...dead]
  }

  /** Returns how many places were compacted. */
  async #compactOrigin(origin: Origin, inForce: Cut, newest: NewestAt, max: number): Promise<number> {
    const { history } = this.#parts.state
    const first = Math.max((history.compacted.get(origin) ?? 0) + 1, history.firstOf(origin))
    const last = Math.min(inForce.get(origin) ?? 0, history.seqOf(origin), first - 1 + max)
    let next = first
    // The next batch is read while this one is written.
    let reading = next <= last ? this.#read(origin, next, last, newest) : undefined
    while (reading !== undefined) {
      const batch: Batch = await reading
      next = batch.last + 1
      reading = next <= last ? this.#read(origin, next, last, newest) : undefined
      // If this batch fails, the failure of that read is no news.
      reading?.catch(() => undefined)
      await this.#compact(origin, batch, newest)
    }
    return Math.max(0, last - first + 1)
  }

  async #read(origin: Origin, first: number, last: number, newest: NewestAt): Promise<Batch> {
    const { world, history } = this.#parts.state
    const decided: Decided[] = []
    let horizon: Hlc = HLC_ZERO
    let bytes = 0
    let next = first
    const end = Math.min(last, first + BATCH_DECISIONS_MAX - 1)
    while (next <= end && bytes < BATCH_BYTES_MAX) {
      const to = Math.min(end, next + READ_DECISIONS - 1)
      // What is not remembered any more was compacted meanwhile.
      const txns: TxnId[] = []
      for (const txn of history.orderOf(origin, next, to)) {
        const applied = history.find(txn)
        const decision = applied && this.#atHand(applied, newest)
        if (decision === undefined) {
          txns.push(txn)
          continue
        }
        decided.push({ txn, decision })
        for (const { value } of decision.writes) if (value.kind === 'inline') bytes += value.bytes.length
        if (decision.hlc > horizon) horizon = decision.hlc
      }
      const records = txns.length === 0 ? [] : await world.storage.get(txns.map(decisionKey))
      for (const [i, txn] of txns.entries()) {
        const record = records[i]
        const standing = record && decodeStanding(record)
        bytes += record?.length ?? 0
        if (!isCommit(standing)) this.#missing(txn)
        else if (standing.hlc > horizon) horizon = standing.hlc
        if (standing?.status === 'committed') decided.push({ txn, decision: standing })
        else mark('compact.already')
        const turn = this.#turns.step()
        if (turn !== undefined) await turn
      }
      next = to + 1
    }
    return { last: next - 1, decided, horizon }
  }

  /** What its record says of what becomes a base, where that is at hand. */
  #atHand({ plainAttempt, txn, hlc, cut, versions }: Applied, newest: NewestAt): Decision | undefined {
    if (plainAttempt === undefined) return undefined
    const writes: StoredWrite[] = []
    for (const version of versions) {
      const { key, source } = version
      if (newest.supersedes(key, { hlc, txn })) {
        mark('base.superseded')
        continue
      }
      const bytes = source === 'tombstone' ? null : this.#parts.values.glance(version)
      if (bytes === undefined) return undefined
      writes.push({ key, value: bytes === null ? TOMBSTONE : { kind: 'inline', bytes } })
    }
    return { status: 'committed', attempt: plainAttempt, hlc, cut, writes, claimed: false, result: undefined }
  }

  async #compact(origin: Origin, { last, decided, horizon }: Batch, newest: NewestAt): Promise<void> {
    const { state } = this.#parts
    this.#permit.check()
    await this.#bases.raise(decided, newest)
    this.#permit.check()
    await this.#guards.cleanAfter(decided)
    if (origin !== state.ledger.origin) mark('compact.dead-origin')
    const markers: StorageEntry[] = []
    for (const { txn, decision } of decided) {
      mark('compact.marker')
      markers.push({ ...decisionKey(txn), value: encodeStanding(markerOf(decision)) })
      const turn = this.#turns.step()
      if (turn !== undefined) await turn
    }
    this.#permit.check()
    await putAll(state.world.storage, markers)
    this.#permit.check()
    await this.#compacted.raise(origin, last, horizon)
    state.counters.compactedDecisions += decided.length
    mark('drop.own')
    await this.drop(origin, last)
  }

  /**
   * What storage holds to be compacted leaves the chains here, a few places at a time. Only while this node is in touch:
   * else its snapshots may be older than that.
   */
  async drop(origin: Origin, through: number): Promise<void> {
    const { state, onCompacted } = this.#parts
    const last = Math.min(through, state.history.seqOf(origin))
    let next = Math.max((state.history.compacted.get(origin) ?? 0) + 1, state.history.firstOf(origin))
    while (next <= last) {
      this.#permit.check()
      onCompacted(origin, Math.min(last, next + DROPS_PER_TURN - 1))
      next += DROPS_PER_TURN
      const turn = this.#turns.step(STEPS_PER_TURN)
      if (turn !== undefined) await turn
    }
  }

  /**
   * The decision of a place is not there: it was compacted so long ago that its marker is gone. As long as this node has it in
   * its chains that should not be, and whatever is the matter, nothing is deleted on account of it.
   */
  #missing(txn: TxnId): void {
    if (!this.#parts.state.history.has(txn)) return
    throw new VirgaError('StorageCorrupt', `storage lacks the decision of ${txn}, which is not compacted`)
  }
}
