import { HLC_ZERO, type Hlc } from '../../core/hlc.js'
import { isTxnId, type TxnId } from '../../core/ids.js'
import { decisionBuckets, decisionKey, lateBucket, MINUTE_MS, minuteClosesAtMs } from '../../core/layout.js'
import { mark } from '../../marks.js'
import { decodeStanding } from '../../wire/records.js'
import { getAll } from './batches.js'
import type { CompactedRecord } from './compacted-record.js'
import type { OrphanValues } from './orphan-values.js'
import type { CollectingParts, Permit } from './parts.js'
import { Turns } from './turns.js'

/** After a minute has closed by all clocks. */
const CLOSING_MARGIN_MS = MINUTE_MS
const STEPS_PER_TURN = 200
/** A minute that could not be passed is not looked through again before that. */
const AGAIN_MS = 10_000

interface Minute {
  /** Decisions that are not compacted yet, or not even known here. */
  readonly standing: TxnId | undefined
  readonly isUnknown: boolean
  /** The highest clock of its markers. */
  readonly horizon: Hlc
}

/**
 * Passes minutes of ids: once one is closed, and all that was committed in it is compacted, nobody who starts need look there, and
 * the checkpoint is raised above it.
 *
 * Why what was acknowledged is found by whoever starts (I5):
 * - Closed by the clocks that all members told in their leases, and a while more: whoever commits an id of it now announces
 *   it in a minute that is still open.
 * - What is in it, or was announced in it, and is unknown here, has died with its origin: it is adopted, which makes it
 *   visible to all, and compacted in its turn. Until then the minute is not passed.
 * - The highest clock in the compacted record is at or above those of its markers before the checkpoint is raised: a node that
 *   starts afterwards does not see the markers, and yet looks into bases for all that is not newer.
 *
 * A crash before the checkpoint is raised costs another look.
 */
export class Closing {
  readonly #parts: CollectingParts
  readonly #compacted: CompactedRecord
  readonly #orphans: OrphanValues
  readonly #permit: Permit
  readonly #turns: Turns
  /** What was in the way when the minute was looked through last. */
  #obstacle: { readonly minute: number; readonly txn: TxnId; readonly againAtMs: number } | undefined

  constructor(parts: CollectingParts, compacted: CompactedRecord, orphans: OrphanValues, permit: Permit) {
    this.#parts = parts
    this.#compacted = compacted
    this.#orphans = orphans
    this.#permit = permit
    this.#turns = new Turns(parts.state.world.clock, STEPS_PER_TURN)
  }

  isClosed(minute: number, nowMs: number): boolean {
    return nowMs > minuteClosesAtMs(minute) + CLOSING_MARGIN_MS
  }

  /** Passes the minute at the checkpoint, if it can be passed. */
  async pass(minute: number, nowMs: number): Promise<boolean> {
    const { minutes, state, adopt } = this.#parts
    if (await this.#isObstructed(minute)) return false
    const { standing, isUnknown, horizon } = await this.#look(minute)
    if (standing !== undefined) {
      mark(isUnknown ? 'minute.unknown' : 'minute.obstructed')
      const againAtMs = state.world.clock.monotonic() + AGAIN_MS
      this.#obstacle = { minute, txn: standing, againAtMs }
      this.#permit.check()
      if (isUnknown) await adopt()
      return false
    }
    this.#permit.check()
    await this.#orphans.sweep(minute, nowMs)
    this.#permit.check()
    await this.#compacted.raiseHorizon(horizon)
    await minutes.pass(minute + 1)
    mark('minute.passed')
    this.#obstacle = undefined
    return true
  }

  /** Whether one decision that was in the way still is: asking for it costs less than looking through the minute. */
  async #isObstructed(minute: number): Promise<boolean> {
    const obstacle = this.#obstacle
    if (obstacle?.minute !== minute) return false
    const { clock, storage } = this.#parts.state.world
    if (clock.monotonic() < obstacle.againAtMs) return true
    const [record] = await storage.get([decisionKey(obstacle.txn)])
    return record !== undefined && decodeStanding(record).status === 'committed'
  }

  async #look(minute: number): Promise<Minute> {
    const { world, history } = this.#parts.state
    const { storage } = world
    let standing: TxnId | undefined
    let isUnknown = false
    let horizon: Hlc = HLC_ZERO
    const take = (txn: string, record: Uint8Array | undefined): void => {
      if (record === undefined || !isTxnId(txn)) return
      const found = decodeStanding(record)
      if (found.status === 'compacted' && found.hlc > horizon) horizon = found.hlc
      if (found.status !== 'committed') return
      standing = txn
      if (!history.has(txn)) isUnknown = true
    }
    for (const bucket of decisionBuckets(minute)) {
      for await (const { id, value } of storage.list(bucket, { values: true })) {
        take(id, value)
        const turn = this.#turns.step()
        if (turn !== undefined) await turn
      }
    }
    const late: TxnId[] = []
    for await (const { id } of storage.list(lateBucket(minute))) if (isTxnId(id)) late.push(id)
    const records = await getAll(storage, late.map(decisionKey))
    for (const [i, txn] of late.entries()) take(txn, records[i])
    return { standing, isUnknown, horizon }
  }
}
