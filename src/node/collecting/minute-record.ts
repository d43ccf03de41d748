import type { Place } from '../../core/layout.js'
import type { Storage } from '../../ports/storage.js'
import { decodeMinute, encodeMinute } from '../../wire/records.js'

/** Moves a record of a minute up, unless another node has moved it further. Returns what stands. */
export async function raiseMinute(storage: Storage, place: Place, to: number): Promise<number> {
  let [record] = await storage.get([place])
  for (;;) {
    if (record !== undefined) {
      const stands = decodeMinute(record)
      if (stands >= to) return stands
    }
    const result = await storage.compareAndSwap(place, record, encodeMinute(to))
    if (result.swapped) return to
    record = result.current
  }
}
