import type { Decision, StoredValue } from '../../core/decision.js'
import { hlcMs } from '../../core/hlc.js'
import type { TxnId } from '../../core/ids.js'
import { baseKey, blobKey, minuteAt, type Place, tombstoneKey } from '../../core/layout.js'
import { compareStamps, type Stamp } from '../../core/version.js'
import { mark } from '../../marks.js'
import { type Base, decodeBase, encodeBase } from '../../wire/records.js'
import type { Counters } from '../counters.js'
import type { World } from '../world.js'
import { deleteAll, eachOf, getAll, putAll } from './batches.js'
import type { NewestAt } from './newest-at.js'
import type { Permit } from './parts.js'

/** A decision, with the id that it stands under. */
export interface Decided {
  readonly txn: TxnId
  readonly decision: Decision
}

/** Swaps under way at once. */
const SWAPS_MAX = 256
const EMPTY = new Uint8Array(0)

/** What a batch of decisions wrote to one key, as far as it is to become a base. */
interface Written {
  readonly key: string
  /** The newest of it. */
  version: Stamp & { readonly value: StoredValue }
  /** Versions with a large value, the newest too if it has one. */
  large: (Stamp & { readonly blob: string })[] | undefined
}

/** A large value that nothing refers to any more, nor ever will. */
type Garbage = Place[]

/**
 * Moves what a batch of decisions wrote into the bases. All of it is at or below a watermark in force.
 *
 * Why no crash, and no second one that does the same at the same time, changes what a live snapshot reads (I1, I2, I9):
 * - A base is only ever replaced by a newer version of its key, by compare-and-swap, and only by one that every live
 *   snapshot sees. So a base never shows a snapshot too much, and whoever comes late with an older version finds it done.
 * - A version may be left out if every live snapshot sees a newer one of the same key: nobody reads it any more. That
 *   one is in a decision's record until it is itself moved, or left out for one that is newer still; the newest never
 *   is. So of a key that is overwritten all the time, few versions become bases.
 * - A large value is deleted only when the base in storage is newer than its version, so that no base refers to it now or
 *   later. That is why no version with a large value is left out. The base that replaces another names the large
 *   value of that one as `stale` until it has been deleted: who crashes in between does it when the batch is done again, or
 *   whoever replaces this base does it before.
 *
 * A reader that finds a base, and its large value gone, reads the base again.
 */
export class BaseRaiser {
  readonly #world: World
  readonly #counters: Counters
  readonly #permit: Permit

  constructor(world: World, counters: Counters, permit: Permit) {
    this.#world = world
    this.#counters = counters
    this.#permit = permit
  }

  /** Until it resolves, the records must stay as they are: a batch that failed is done again. Rejects as storage does. */
  async raise(batch: readonly Decided[], newest: NewestAt): Promise<void> {
    const raised = [...writtenBy(batch, newest).values()]
    if (raised.length === 0) return
    const { storage } = this.#world
    const records = await getAll(
      storage,
      raised.map(({ key }) => baseKey(key)),
    )
    this.#permit.check()
    await this.#announceTombstones(raised)
    const garbage: Garbage = []
    await eachOf(
      raised.map((written, i) => ({ written, record: records[i] })),
      SWAPS_MAX,
      ({ written, record }) => this.#raise(written, record, garbage),
    )
    this.#permit.check()
    await deleteAll(storage, garbage)
    if (garbage.length > 0) mark('base.garbage')
    this.#counters.blobsDeleted += garbage.length
  }

  /** Whoever removes tombstones later finds them by their minute. Before the base, so that none is missed. */
  async #announceTombstones(raised: readonly Written[]): Promise<void> {
    const entries = raised
      .filter(({ version }) => version.value.kind === 'tombstone')
      .map(({ key, version }) => ({ ...tombstoneKey(minuteAt(hlcMs(version.hlc)), key), value: EMPTY }))
    if (entries.length > 0) mark('base.tombstone')
    await putAll(this.#world.storage, entries)
  }

  async #raise(written: Written, read: Uint8Array | undefined, garbage: Garbage): Promise<void> {
    const { storage } = this.#world
    const { key, version } = written
    let record = read
    let base: Base | undefined
    for (;;) {
      base = record === undefined ? undefined : decodeBase(record)
      if (base !== undefined && compareStamps(base, version) >= 0) {
        mark('base.newer-stands')
        break
      }
      // Else nobody would know of it any more if this node crashed after the swap.
      if (base?.stale !== undefined) {
        mark('base.stale-value')
        await storage.delete([blobKey(base.stale.txn, base.stale.blob)])
      }
      const next: Base = { ...version, stale: base && largeValueOf(base) }
      this.#permit.check()
      const result = await storage.compareAndSwap(baseKey(key), record, encodeBase(next))
      if (result.swapped) {
        mark('base.raised')
        this.#counters.basesWritten++
        base = next
        break
      }
      mark('base.raced')
      record = result.current
    }
    // Left by a crash, if it is this version that stands.
    if (compareStamps(base, version) === 0 && base.stale !== undefined)
      garbage.push(blobKey(base.stale.txn, base.stale.blob))
    for (const { hlc, txn, blob } of written.large ?? [])
      if (compareStamps(base, { hlc, txn }) > 0) garbage.push(blobKey(txn, blob))
  }
}

/** By key, less what is superseded: most of it, where few keys are overwritten all the time. */
function writtenBy(batch: readonly Decided[], newest: NewestAt): ReadonlyMap<string, Written> {
  const all = new Map<string, Written>()
  for (const { txn, decision } of batch) {
    const stamp: Stamp = { hlc: decision.hlc, txn }
    for (const { key, value } of decision.writes) {
      const isLarge = value.kind === 'blob'
      if (!isLarge && newest.supersedes(key, stamp)) {
        mark('base.superseded')
        continue
      }
      let written = all.get(key)
      if (written === undefined) {
        written = { key, version: { ...stamp, value }, large: undefined }
        all.set(key, written)
      } else if (compareStamps(stamp, written.version) > 0) written.version = { ...stamp, value }
      if (!isLarge) continue
      written.large ??= []
      written.large.push({ ...stamp, blob: value.blob })
    }
  }
  return all
}

function largeValueOf({ txn, value }: Base): Base['stale'] {
  return value.kind === 'blob' ? { txn, blob: value.blob } : undefined
}
