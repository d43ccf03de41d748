import { type Cut, EMPTY_CUT } from '../../core/cut.js'
import { CLUSTER_WATERMARK } from '../../core/layout.js'
import type { Storage } from '../../ports/storage.js'
import { decodeWatermark, encodeWatermark } from '../../wire/records.js'

/**
 * For a node that starts or comes back, once its lease stands: returns the watermark in force, and sees to it that none is
 * raised that was computed before, without this node. Whoever raises it swaps the very record that it began from.
 */
export async function joinWatermark(storage: Storage): Promise<Cut> {
  let [record] = await storage.get([CLUSTER_WATERMARK])
  for (;;) {
    const stands = record === undefined ? { cut: EMPTY_CUT, joins: 0 } : decodeWatermark(record)
    const next = encodeWatermark({ ...stands, joins: stands.joins + 1 })
    const result = await storage.compareAndSwap(CLUSTER_WATERMARK, record, next)
    if (result.swapped) return stands.cut
    record = result.current
  }
}
