import { isTxnId, type TxnId } from '../../core/ids.js'
import {
  CLUSTER_SWEPT,
  CLUSTER_SWEPT_VALUES,
  decisionBuckets,
  decisionKey,
  lateBucket,
  MINUTE_MS,
  type Place,
  txnMinute,
} from '../../core/layout.js'
import { mark } from '../../marks.js'
import { decodeMinute, decodeStanding } from '../../wire/records.js'
import { getAll, inPieces } from './batches.js'
import { raiseMinute } from './minute-record.js'
import type { OrphanValues } from './orphan-values.js'
import type { CollectingParts, Permit } from './parts.js'
import { removeTombstones, TOMBSTONE_MARGIN_MINUTES } from './tombstones.js'
import { Turns } from './turns.js'

/** Clocks of nodes differ, and a write may be on its way for a while. */
const RETENTION_MARGIN_MS = 60 * MINUTE_MS
const RECORDS_AT_ONCE = 1_000
const STEPS_PER_TURN = 200
/** A minute that could not be retired is not looked through again before that. */
const AGAIN_MS = 60_000

/**
 * Deletes what is left of a minute of ids when no attempt at any of them can begin or go on: markers, fences, abortions,
 * announcements, large values without a reference.
 *
 * - Not earlier than the idempotency window and the longest deadline after its end: an attempt that began at the very end of the
 *   window may go on for as long, and must meet what stands (I6). An id that is older is refused.
 * - Minutes in their order, values first, and the record of swept values raised before the first record goes. The names of
 *   large values that bases refer to stand in markers alone: once those are gone, nobody may judge values of that minute.
 * - A record that is no marker yet (a snapshot holds up collection) keeps its minute from being retired. One that is not known here was
 *   written so late that nobody looked for it any more: it is adopted, and compacted in its turn.
 *
 * A crash leaves the minute to be gone through again. It is assumed that no write arrives in storage later than all this after it
 * was sent; a process that stops in the middle of one for more than a day, and goes on, could leave a record behind that is never
 * deleted, or bring back a base that a tombstone has hidden.
 */
export class Retiring {
  readonly #parts: CollectingParts
  readonly #orphans: OrphanValues
  readonly #permit: Permit
  readonly #turns: Turns
  #notBeforeMs = Number.NEGATIVE_INFINITY

  constructor(parts: CollectingParts, orphans: OrphanValues, permit: Permit) {
    this.#parts = parts
    this.#orphans = orphans
    this.#permit = permit
    this.#turns = new Turns(parts.state.world.clock, STEPS_PER_TURN)
  }

  /** The first minute that is not deleted. */
  async next(): Promise<number> {
    const [record] = await this.#parts.state.world.storage.get([CLUSTER_SWEPT])
    return record === undefined ? this.#parts.minutes.checkpoint : decodeMinute(record)
  }

  isDue(minute: number, nowMs: number): boolean {
    const { idempotencyWindowMs, deadlineMsMax } = this.#parts.state.config
    const lastsMs = idempotencyWindowMs + deadlineMsMax + RETENTION_MARGIN_MS
    return minute < this.#parts.minutes.checkpoint && nowMs > (minute + 1) * MINUTE_MS + lastsMs
  }

  /** Deletes a minute that is due, all before it being deleted. False: something is left that must stay for now. */
  async retire(minute: number, nowMs: number): Promise<boolean> {
    const { world, counters } = this.#parts.state
    if (world.clock.monotonic() < this.#notBeforeMs) return false
    if (!(await this.#retireValues(minute, nowMs)) || !(await this.#deleteRecords(minute))) {
      this.#notBeforeMs = world.clock.monotonic() + AGAIN_MS
      return false
    }
    const tombstones = minute - TOMBSTONE_MARGIN_MINUTES
    if (tombstones >= 0)
      counters.tombstonesDeleted += await removeTombstones(world.storage, tombstones, this.#permit)
    this.#permit.check()
    await raiseMinute(world.storage, CLUSTER_SWEPT, minute + 1)
    return true
  }

  async #retireValues(minute: number, nowMs: number): Promise<boolean> {
    const { storage } = this.#parts.state.world
    const [record] = await storage.get([CLUSTER_SWEPT_VALUES])
    if (record !== undefined && decodeMinute(record) > minute) return true
    if (!(await this.#orphans.sweep(minute, nowMs))) return false
    this.#permit.check()
    await raiseMinute(storage, CLUSTER_SWEPT_VALUES, minute + 1)
    return true
  }

  async #deleteRecords(minute: number): Promise<boolean> {
    const { storage } = this.#parts.state.world
    let isAll = true
    for (const bucket of decisionBuckets(minute)) {
      let dead: Place[] = []
      for await (const { id, value } of storage.list(bucket, { values: true })) {
        const standing = value && decodeStanding(value)
        if (standing?.status === 'committed') {
          isAll = false
          if (isTxnId(id)) await this.#parts.adoptOne(id, standing)
        } else dead.push({ bucket, id })
        if (dead.length >= RECORDS_AT_ONCE) {
          await this.#delete(dead)
          dead = []
        }
        const turn = this.#turns.step()
        if (turn !== undefined) await turn
      }
      await this.#delete(dead)
    }
    if (!(await this.#deleteAnnouncements(minute))) isAll = false
    return isAll
  }

  /** What was announced lies in this minute or an earlier one; there it may have come after that one was retired. */
  async #deleteAnnouncements(minute: number): Promise<boolean> {
    const { storage } = this.#parts.state.world
    const bucket = lateBucket(minute)
    const ids: string[] = []
    for await (const { id } of storage.list(bucket)) ids.push(id)
    let isAll = true
    for (const piece of inPieces(ids.filter(isTxnId))) {
      const records = await getAll(storage, piece.map(decisionKey))
      const gone: TxnId[] = []
      const dead: Place[] = []
      for (const [i, txn] of piece.entries()) {
        const standing = records[i] && decodeStanding(records[i])
        if (standing?.status === 'committed') {
          isAll = false
          await this.#parts.adoptOne(txn, standing)
        } else {
          gone.push(txn)
          if (standing !== undefined && txnMinute(txn) <= minute) dead.push(decisionKey(txn))
        }
      }
      await this.#delete(dead)
      this.#permit.check()
      await storage.delete(gone.map((id) => ({ bucket, id })))
    }
    return isAll
  }

  async #delete(dead: readonly Place[]): Promise<void> {
    if (dead.length === 0) return
    this.#permit.check()
    await this.#parts.state.world.storage.delete(dead)
    mark('marker.deleted')
    this.#parts.state.counters.markersDeleted += dead.length
  }
}
