import { type Guard, isIdle } from '../../core/claim.js'
import { markerOf, type Standing } from '../../core/decision.js'
import type { TxnId } from '../../core/ids.js'
import { decisionKey, guardBuckets, guardKey } from '../../core/layout.js'
import { mark } from '../../marks.js'
import { decodeGuard, decodeStanding } from '../../wire/records.js'
import type { Counters } from '../counters.js'
import type { World } from '../world.js'
import type { Decided } from './base-raiser.js'
import { eachOf, getAll, inPieces } from './batches.js'
import type { Permit } from './parts.js'

const SWAPS_MAX = 64
const GUARDS_AT_ONCE = 500

interface Found {
  readonly key: string
  readonly record: Uint8Array
  readonly guard: Guard
}

/**
 * Removes guards that say nothing which a live snapshot doesn't include anyhow (core/claim.ts), by compare-and-swap from
 * what was read: a claim that comes meanwhile stays. Of what stands under the ids in a guard is asked after the guard was read.
 * A crash leaves guards behind that cost a look at the next claim, and are removed when their bucket has its turn.
 */
export class GuardCleaner {
  readonly #world: World
  readonly #counters: Counters
  readonly #permit: Permit

  constructor(world: World, counters: Counters, permit: Permit) {
    this.#world = world
    this.#counters = counters
    this.#permit = permit
  }

  /** The guards of the keys that a batch claimed. All of it is at or below a watermark in force: in every live cut. */
  async cleanAfter(batch: readonly Decided[]): Promise<void> {
    const claimed = batch.filter(({ decision }) => decision.claimed)
    if (claimed.length === 0) return
    const keys = [...new Set(claimed.flatMap(({ decision }) => decision.writes.map(({ key }) => key)))]
    const inEveryCut = new Map<TxnId, Standing>(batch.map(({ txn, decision }) => [txn, markerOf(decision)]))
    for (const piece of inPieces(keys, GUARDS_AT_ONCE)) {
      const records = await getAll(this.#world.storage, piece.map(guardKey))
      await this.#clean(
        piece.flatMap((key, i) => foundIn(key, records[i])),
        inEveryCut,
      )
    }
  }

  /** All guards of one of the buckets that hold them, which take turns. */
  async cleanBucket(turn: number): Promise<void> {
    const buckets = guardBuckets()
    const { storage } = this.#world
    let found: Found[] = []
    for await (const { id, value } of storage.list(buckets[turn % buckets.length]!, { values: true })) {
      found.push(...foundIn(id, value))
      if (found.length < GUARDS_AT_ONCE) continue
      await this.#clean(found, new Map())
      found = []
    }
    await this.#clean(found, new Map())
  }

  async #clean(found: readonly Found[], known: ReadonlyMap<TxnId, Standing>): Promise<void> {
    if (found.length === 0) return
    const { storage } = this.#world
    const named = found.flatMap(({ guard: { last, claimant } }) => [last, claimant?.txn])
    const asked = [...new Set(named)].filter((txn) => txn !== undefined && !known.has(txn)) as TxnId[]
    const records = await getAll(storage, asked.map(decisionKey))
    const read = new Map(asked.map((txn, i) => [txn, records[i] && decodeStanding(records[i])]))
    const standing = (txn: TxnId | undefined): Standing | undefined =>
      txn && (known.get(txn) ?? read.get(txn))
    const idle = found.filter(({ guard }) =>
      isIdle(guard, { last: standing(guard.last), claimant: standing(guard.claimant?.txn) }),
    )
    this.#permit.check()
    await eachOf(idle, SWAPS_MAX, async ({ key, record }) => {
      const result = await storage.compareAndSwap(guardKey(key), record, undefined)
      if (!result.swapped) return
      mark('guard.removed')
      this.#counters.guardsDeleted++
    })
  }
}

function foundIn(key: string, record: Uint8Array | undefined): readonly Found[] {
  return record === undefined ? [] : [{ key, record, guard: decodeGuard(record) }]
}
