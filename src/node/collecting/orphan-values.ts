import { isCommit, judge, type Standing } from '../../core/decision.js'
import { hlcMs } from '../../core/hlc.js'
import { type Attempt, attemptHlc, type TxnId } from '../../core/ids.js'
import {
  blobBuckets,
  CLUSTER_SWEPT_VALUES,
  decisionKey,
  MINUTE_MS,
  type Place,
  placedBlob,
} from '../../core/layout.js'
import { mark } from '../../marks.js'
import { decodeMinute, decodeStanding } from '../../wire/records.js'
import { deleteAll, eachOf, getAll } from './batches.js'
import type { CollectingParts, Permit } from './parts.js'
import type { PinnedCuts } from './pinned-cuts.js'

/** Beyond its longest deadline an attempt is over, clocks that differ by so much included. */
const OVER_MARGIN_MS = 10 * MINUTE_MS
const VALUES_AT_ONCE = 1_000
const FENCES_MAX = 64

interface Large {
  readonly place: Place
  readonly txn: TxnId
  readonly attempt: Attempt
  readonly blob: string
}

/**
 * Deletes large values and durable write sets that nothing refers to.
 *
 * Whether one may go is told by what stands under its transaction's id, which no crash takes back (I5, I9):
 * - Its attempt has committed: its decision, or its marker, names what it refers to. That is compaction's to delete. The rest
 *   was of no use, or of an execution that handed off: a context of a decided transaction is answered by the decision.
 * - Its attempt can't commit any more, since another has, or it is fenced, or all are: it may go.
 * - Its attempt may still commit: it stays, until no deadline can be that long, and no pin is there that has not expired.
 *   Then the attempt is fenced first, and what then stands is obeyed. So nobody who lives is cut off, and a commit that is on its way in
 *   spite of all clocks finds the fence.
 *
 * What stands must not be judged by a record that was deleted for its age: those are deleted only after the record of swept
 * values was raised above their minute, so that one is read last. A crash, or a second one at the same time, leaves less to
 * delete.
 */
export class OrphanValues {
  readonly #parts: CollectingParts
  readonly #pins: PinnedCuts
  readonly #permit: Permit

  constructor(parts: CollectingParts, pins: PinnedCuts, permit: Permit) {
    this.#parts = parts
    this.#pins = pins
    this.#permit = permit
  }

  /**
   * Looks through the values of one minute of ids.
   * @returns whether it was seen through: nothing is left whose attempt may still commit
   */
  async sweep(minute: number, nowMs: number): Promise<boolean> {
    let isDone = true
    for (const bucket of blobBuckets(minute)) {
      let found: Large[] = []
      for await (const { id } of this.#parts.state.world.storage.list(bucket)) {
        const placed = placedBlob(id)
        if (placed !== undefined) found.push({ place: { bucket, id }, ...placed })
        if (found.length < VALUES_AT_ONCE) continue
        if (!(await this.#sweep(found, minute, nowMs))) isDone = false
        found = []
      }
      if (found.length > 0 && !(await this.#sweep(found, minute, nowMs))) isDone = false
    }
    return isDone
  }

  async #sweep(found: readonly Large[], minute: number, nowMs: number): Promise<boolean> {
    const { storage } = this.#parts.state.world
    const txns = [...new Set(found.map(({ txn }) => txn))]
    const records = await getAll(storage, txns.map(decisionKey))
    const [swept] = await storage.get([CLUSTER_SWEPT_VALUES])
    if (swept !== undefined && decodeMinute(swept) > minute) return false
    const standings = new Map(txns.map((txn, i) => [txn, records[i] && decodeStanding(records[i])]))
    const orphans: Place[] = []
    const open = new Map<string, Large[]>()
    for (const large of found) {
      const standing = standings.get(large.txn)
      if (judge(standing, large.attempt) !== 'write') {
        if (!isNamed(large, standing)) {
          mark('orphan.useless')
          orphans.push(large.place)
        }
        continue
      }
      const tried = `${large.txn} ${large.attempt}`
      const others = open.get(tried)
      if (others === undefined) open.set(tried, [large])
      else others.push(large)
    }
    this.#permit.check()
    let isDone = true
    await eachOf([...open.values()], FENCES_MAX, async (larges) => {
      if (this.#isOver(larges[0]!, nowMs)) orphans.push(...(await this.#fence(larges)))
      else {
        mark('orphan.open')
        isDone = false
      }
    })
    this.#permit.check()
    await deleteAll(storage, orphans)
    this.#parts.state.counters.blobsDeleted += orphans.length
    return isDone
  }

  #isOver({ txn, attempt }: Large, nowMs: number): boolean {
    const { deadlineMsMax } = this.#parts.state.config
    const endMs = hlcMs(attemptHlc(attempt)) + deadlineMsMax + OVER_MARGIN_MS
    return nowMs > endMs && !this.#pins.holds({ txn, attempt }, nowMs)
  }

  /** Of one attempt: what may go, now that it can't commit any more, unless it has. */
  async #fence(larges: readonly Large[]): Promise<readonly Place[]> {
    const { decisions, counters } = this.#parts.state
    const { txn, attempt } = larges[0]!
    this.#permit.check()
    const commit = await decisions.fence(txn, attempt)
    mark('orphan.fenced')
    counters.orphansFenced++
    return larges.filter((large) => !isNamed(large, commit)).map(({ place }) => place)
  }
}

/** Whether the commit that stands is of this value's attempt, and refers to it. */
function isNamed({ attempt, blob }: Large, standing: Standing | undefined): boolean {
  if (!isCommit(standing) || standing.attempt !== attempt) return false
  if (standing.status === 'compacted') return standing.blobs.includes(blob)
  return standing.writes.some(({ value }) => value.kind === 'blob' && value.blob === blob)
}
