import { equalBytes } from '../../core/bytes.js'
import type { Clock } from '../../ports/clock.js'
import { decodeLease, type Lease } from '../../wire/records.js'

/** A member as an observer knows it. */
export interface Member {
  readonly nodeId: string
  readonly lease: Lease
}

interface Seen extends Member {
  readonly record: Uint8Array
  /** When the observer first saw the lease as it is, by its own monotonic clock. */
  readonly sinceMs: number
}

/**
 * What one observer makes of the leases in storage. A lease has lapsed when the observer's own clock has seen it unchanged
 * for its time to live: no two clocks are ever compared. While the observer could not look, it has seen nothing.
 */
export class LeaseView {
  readonly #clock: Clock
  readonly #ttlMs: number
  #seen: ReadonlyMap<string, Seen> = new Map()
  #lookedAtMs = Number.NEGATIVE_INFINITY

  /** @param ttlMs of the observer, who looks several times in it */
  constructor(clock: Clock, ttlMs: number) {
    this.#clock = clock
    this.#ttlMs = ttlMs
  }

  /** Takes what a listing found. Returns the members whose incarnation ended since: they left, or came back as another. */
  update(records: Iterable<readonly [string, Uint8Array]>): readonly Member[] {
    const nowMs = this.#clock.monotonic()
    const sinceLastMs = nowMs - this.#lookedAtMs
    this.#lookedAtMs = nowMs
    const next = new Map<string, Seen>()
    for (const [nodeId, record] of records) {
      const known = this.#seen.get(nodeId)
      // Several looks find the same one.
      const lease =
        known !== undefined && equalBytes(known.record, record) ? known.lease : decodeLease(record)
      // Also a lease of a shorter time to live than it looks for, of a node that was started otherwise, must lapse.
      const hasLooked = sinceLastMs <= Math.max(lease.ttlMs, this.#ttlMs) / 2
      const isSame =
        hasLooked && known?.lease.origin === lease.origin && known.lease.renewal === lease.renewal
      next.set(nodeId, { nodeId, lease, record, sinceMs: isSame ? known.sinceMs : nowMs })
    }
    const ended = [...this.#seen.values()].filter(
      ({ nodeId, lease }) => next.get(nodeId)?.lease.origin !== lease.origin,
    )
    this.#seen = next
    return ended
  }

  /** Every member whose lease has not lapsed for longer than `margin` times its time to live. */
  members(margin = 1): readonly Member[] {
    return [...this.#seen.values()].filter(
      ({ sinceMs, lease }) => this.#lookedAtMs - sinceMs <= lease.ttlMs * margin,
    )
  }

  /** The records of leases that have been unchanged for so long. */
  unchangedFor(ms: number): readonly (readonly [string, Uint8Array])[] {
    return [...this.#seen.values()]
      .filter(({ sinceMs }) => this.#lookedAtMs - sinceMs >= ms)
      .map(({ nodeId, record }) => [nodeId, record])
  }

  /** Every member, lapsed ones included. */
  all(): readonly Member[] {
    return [...this.#seen.values()]
  }
}
