import { CLUSTER_DEPARTED, CLUSTER_WATERMARK, MEMBER_BUCKET } from '../../core/layout.js'
import type { Storage } from '../../ports/storage.js'
import { decodeDeparted, decodeLease, decodeWatermark } from '../../wire/records.js'

/**
 * Whether the watermark in force names places that nobody knows any more: their origin has died after it had raised the
 * watermark over them and before it had compacted them, with all who had applied them. What stood there has been adopted
 * under other places, so a cut of later can't show that it includes them.
 *
 * A known limit of part 8 of the design: until the origin departs at such places, contexts whose sender is gone are refused
 * as `SnapshotTooOld`, also durable ones. Never a wrong value; the transaction can be run again.
 */
export async function hasLostPlaces(storage: Storage): Promise<boolean> {
  const [watermark, departed] = await storage.get([CLUSTER_WATERMARK, CLUSTER_DEPARTED])
  if (watermark === undefined) return false
  const known = new Map<string, number>()
  const know = (origin: string, seq: number): void => {
    known.set(origin, Math.max(seq, known.get(origin) ?? 0))
  }
  for await (const { value } of storage.list(MEMBER_BUCKET, { values: true }))
    if (value !== undefined) for (const [origin, seq] of decodeLease(value).applied) know(origin, seq)
  if (departed !== undefined)
    for (const { origin, seq } of decodeDeparted(departed).departures) know(origin, seq)
  return [...decodeWatermark(watermark).cut].some(([origin, seq]) => seq > (known.get(origin) ?? 0))
}
