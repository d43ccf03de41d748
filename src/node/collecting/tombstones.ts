import { hlcMs } from '../../core/hlc.js'
import { baseKey, blobKey, minuteAt, tombstoneBucket, tombstoneKey } from '../../core/layout.js'
import { mark } from '../../marks.js'
import type { Storage } from '../../ports/storage.js'
import { decodeBase } from '../../wire/records.js'
import { deleteAll, eachOf, getAll, inPieces } from './batches.js'
import type { Permit } from './parts.js'

/**
 * Clocks of nodes may differ by so much, and a decision's clock may be so far behind the minute in which it is written down, before
 * a tombstone is removed too early.
 */
export const TOMBSTONE_MARGIN_MINUTES = 120
const SWAPS_MAX = 64

/**
 * Removes the bases that are tombstones with a clock of this minute: absent reads the same.
 *
 * When nothing older can still come: every decision with a clock of that minute or before has an id, or an announcement, in
 * a minute that has been swept since, `TOMBSTONE_MARGIN_MINUTES` later. So it is a marker, hence in the bases or superseded, and no
 * node has it in a chain: each looks at how far storage is compacted in every round, and one that was out of touch all the
 * time starts anew (`CatchUp.return`). What a process does that
 * stopped in the middle of a swap, and goes on after all this time, is assumed not to arrive (see Sweeper). A simpler rule, a fixed
 * age, was rejected: a snapshot that is held for long keeps old versions from being compacted, and the tombstone would
 * be gone when they are.
 *
 * A base that was replaced meanwhile stays: the swap expects the tombstone. A crash leaves the rest for the next time.
 * @returns how many were removed
 */
export async function removeTombstones(storage: Storage, minute: number, permit: Permit): Promise<number> {
  const keys: string[] = []
  for await (const { id } of storage.list(tombstoneBucket(minute))) keys.push(id)
  let removed = 0
  for (const piece of inPieces(keys)) {
    const records = await getAll(storage, piece.map(baseKey))
    await eachOf(
      piece.map((key, i) => ({ key, record: records[i] })),
      SWAPS_MAX,
      async ({ key, record }) => {
        if (record === undefined) return
        const { value, hlc, stale } = decodeBase(record)
        if (value.kind !== 'tombstone' || minuteAt(hlcMs(hlc)) > minute) return
        permit.check()
        if (stale !== undefined) await storage.delete([blobKey(stale.txn, stale.blob)])
        const result = await storage.compareAndSwap(baseKey(key), record, undefined)
        if (!result.swapped) return
        mark('tombstone.removed')
        removed++
      },
    )
    permit.check()
    await deleteAll(
      storage,
      piece.map((key) => tombstoneKey(minute, key)),
    )
  }
  return removed
}
