import { type Cut, coversBut, EMPTY_CUT, sameCut } from '../../core/cut.js'
import type { History } from '../../core/history.js'
import { CLUSTER_WATERMARK } from '../../core/layout.js'
import type { Storage } from '../../ports/storage.js'
import { decodeWatermark, encodeWatermark, type Watermark } from '../../wire/records.js'

export const NO_WATERMARK: Watermark = { cut: EMPTY_CUT, joins: 0, restored: [] }

/** Cuts of nodes that were restored, the latest first. What durable contexts were made under earlier ones is refused. */
const RESTORED_MAX = 4

/** The watermark in force, and the record that says so now. */
export interface Joined extends Watermark {
  readonly record: Uint8Array
}

/**
 * For a node that starts or comes back, once its lease stands: returns the watermark in force, and sees to it that none is
 * raised that was computed before, without this node. Whoever raises it swaps the very record that it began from.
 */
export async function joinWatermark(storage: Storage): Promise<Joined> {
  let [record] = await storage.get([CLUSTER_WATERMARK])
  for (;;) {
    const stands = record === undefined ? NO_WATERMARK : decodeWatermark(record)
    const next = encodeWatermark({ ...stands, joins: stands.joins + 1 })
    const result = await storage.compareAndSwap(CLUSTER_WATERMARK, record, next)
    if (result.swapped) return { ...stands, record: next }
    record = result.current
  }
}

/** Of the cuts that see all that a watermark does, one that another cut includes; undefined if that sees less. */
export function floorBelow(
  cut: Cut,
  watermark: Watermark,
  history: Pick<History, 'seesUnnamed'>,
): Cut | undefined {
  const sees = (floor: Cut): boolean => coversBut(cut, floor, (at) => history.seesUnnamed(cut, at))
  return [watermark.cut, ...watermark.restored].find(sees)
}

/**
 * A node has looked through all of storage since it joined, so this cut of its own sees all that the watermark does. If
 * somebody has raised that meanwhile it may see less: then nothing is told. A crash before it is told leaves it so as well.
 */
export async function tellRestored(storage: Storage, joined: Joined, cut: Cut): Promise<void> {
  let stands: Watermark = joined
  let record: Uint8Array | undefined = joined.record
  while (sameCut(stands.cut, joined.cut)) {
    const restored = [cut, ...stands.restored].slice(0, RESTORED_MAX)
    const next = encodeWatermark({ cut: stands.cut, joins: stands.joins + 1, restored })
    const result = await storage.compareAndSwap(CLUSTER_WATERMARK, record, next)
    if (result.swapped) return
    // Others have joined meanwhile, or told of theirs.
    record = result.current
    stands = record === undefined ? NO_WATERMARK : decodeWatermark(record)
  }
}
