import { type Cut, covers, cutOf, departuresOf, intersection, union } from '../../core/cut.js'
import { CLUSTER_DEPARTED, CLUSTER_WATERMARK } from '../../core/layout.js'
import { mark } from '../../marks.js'
import { decodeDeparted, decodeWatermark, encodeWatermark } from '../../wire/records.js'
import { NO_WATERMARK } from './join-watermark.js'
import type { CollectingParts, Permit } from './parts.js'
import { hasExpired, type PinnedCuts } from './pinned-cuts.js'

/**
 * Raises the watermark in force: a cut that every live snapshot includes. What is at or below it may be collected.
 *
 * The order of reading is what makes it safe (I9):
 *
 * - The record first, then the leases, then the pins; and the record is replaced only if it is still, byte for byte, what was
 *   read first. A node that joins, returns, or takes up an old snapshot renews its lease and then counts up `joins` in this
 *   record. Either its lease was there when the leases were read, or the record has changed and the swap fails. The record
 *   never becomes what it once was, since neither the cut nor `joins` ever goes back: a swap that arrives late is refused,
 *   or nobody has joined, and then what it says still holds.
 * - Pins after leases: what a node pinned before it died is not in the lease of anyone. While its lease counted, it held the
 *   cut; when it no longer does, the pin is there to be read.
 * - Of an origin that is written down as departed, nothing beyond the last place is raised to that was written down with it. Who has
 *   learned of it names it no more, and must see all of it that the watermark names (`History.seesUnnamed`). A round that did not
 *   find the departure yet raised to what all members had applied, who learn of it later; and who was none joins first, or returns.
 * - A snapshot passes from node to node while both count it, for longer than a round may take: a round that took longer
 *   ends without a result, since it may have read the one's lease before and the other's after.
 *
 * A crash at any point leaves the record as it was, or raised.
 */
export class WatermarkRounds {
  readonly #parts: CollectingParts
  readonly #pins: PinnedCuts
  readonly #permit: Permit

  constructor(parts: CollectingParts, pins: PinnedCuts, permit: Permit) {
    this.#parts = parts
    this.#pins = pins
    this.#permit = permit
  }

  /** One round. Returns a cut that is in force, the highest that is known here. Rejects as storage does. */
  async raise(): Promise<Cut> {
    const { state, membership } = this.#parts
    const { clock, storage } = state.world
    const startedAtMs = clock.monotonic()
    const [record, departed] = await storage.get([CLUSTER_WATERMARK, CLUSTER_DEPARTED])
    const stands = record === undefined ? NO_WATERMARK : decodeWatermark(record)
    await membership.look()
    const lows = membership.counted().map(({ lease }) => lease)
    const pins = await this.#pins.read()
    this.#permit.check()
    const isSlow = clock.monotonic() - startedAtMs > state.config.leaseTtlMs / 2
    if (isSlow) mark('watermark.slow')
    // Without its own lease it would collect what it needs itself.
    if (isSlow || !lows.some(({ origin }) => origin === state.ledger.origin)) return stands.cut
    const nowMs = Math.min(clock.now(), ...lows.map((lease) => lease.nowMs))
    const pinned = pins.filter((pin) => !hasExpired(pin, nowMs)).map(({ cut }) => cut)
    const low = upToDeparted(lowest([...lows.map((lease) => lease.low), ...pinned]), departed)
    if (pinned.length > 0) mark('watermark.pinned')
    if (covers(stands.cut, low)) return stands.cut
    const restored = stands.restored.map((cut) => union(cut, low))
    const raised = { cut: union(stands.cut, low), joins: stands.joins, restored }
    const result = await storage.compareAndSwap(CLUSTER_WATERMARK, record, encodeWatermark(raised))
    if (result.swapped) {
      mark('watermark.raised')
      state.counters.watermarksRaised++
      return raised.cut
    }
    mark('watermark.joined')
    // Someone joined, or raised it: this round is over. Whatever stands is in force.
    return result.current === undefined ? stands.cut : decodeWatermark(result.current).cut
  }
}

function upToDeparted(low: Cut, record: Uint8Array | undefined): Cut {
  if (record === undefined) return low
  const out = new Map(low)
  for (const { origin, seq } of decodeDeparted(record).departures)
    if ((out.get(origin) ?? 0) > seq) out.set(origin, seq)
  return cutOf(out, departuresOf(low))
}

function lowest(cuts: readonly Cut[]): Cut {
  return cuts.reduce((low, cut) => (low === cut ? low : intersection(low, cut)))
}
