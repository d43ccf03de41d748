import type { Origin } from '../../core/ids.js'
import { minuteAt, orderBucket, type Place } from '../../core/layout.js'
import { deleteAll } from './batches.js'
import type { GuardCleaner } from './guard-cleaner.js'
import type { CollectingParts, Permit } from './parts.js'
import type { PinnedCuts } from './pinned-cuts.js'

/** Stretches of orders as named in storage: `first-last`. */
const STRETCH = /^\d+-(\d+)$/

/**
 * What is looked for once a minute, since little of it is ever left: pins of contexts past their deadlines, stretches of
 * orders that every cut sees anyhow, guards that nobody needs.
 *
 * A stretch may go when it ends at or below what is compacted of its origin: whoever restores a pinned cut begins above
 * that. One that reaches beyond it stays, whole: a cut that needs it may be pinned, or may come to be. A pin may go when nobody
 * may resume its context any more. All of it is deletion of what nobody reads, so a crash leaves the rest for the next time.
 */
export class Leftovers {
  readonly #parts: CollectingParts
  readonly #pins: PinnedCuts
  readonly #guards: GuardCleaner
  readonly #permit: Permit
  /** Dead origins of which nothing is left. One entry for each origin that a cut names. */
  readonly #done = new Set<Origin>()
  #minute = Number.NEGATIVE_INFINITY

  constructor(parts: CollectingParts, pins: PinnedCuts, guards: GuardCleaner, permit: Permit) {
    this.#parts = parts
    this.#pins = pins
    this.#guards = guards
    this.#permit = permit
  }

  async clean(nowMs: number): Promise<void> {
    const minute = minuteAt(nowMs)
    if (minute <= this.#minute) return
    const { membership } = this.#parts
    await this.#cleanOrders()
    if (membership.isPicked(`pins/${minute}`)) await this.#cleanPins(nowMs)
    if (membership.isPicked(`guards/${minute}`)) await this.#guards.cleanBucket(minute)
    this.#minute = minute
  }

  async #cleanPins(nowMs: number): Promise<void> {
    const { world, counters } = this.#parts.state
    const expired = this.#pins.expired(nowMs)
    this.#permit.check()
    await deleteAll(world.storage, expired)
    counters.pinsDeleted += expired.length
  }

  async #cleanOrders(): Promise<void> {
    const { state, membership } = this.#parts
    const own = state.ledger.origin
    for (const [origin, through] of state.history.compacted) {
      if (this.#done.has(origin)) continue
      const isOwn = origin === own
      if (!isOwn && (membership.isLive(origin) || !membership.isPicked(origin))) continue
      if ((await this.#cleanOrder(origin, through)) && !isOwn) this.#done.add(origin)
    }
  }

  /** Returns whether nothing is left. */
  async #cleanOrder(origin: Origin, through: number): Promise<boolean> {
    const { world, counters } = this.#parts.state
    const bucket = orderBucket(origin)
    const dead: Place[] = []
    let isEmpty = true
    for await (const { id } of world.storage.list(bucket)) {
      const last = Number(STRETCH.exec(id)?.[1] ?? Number.POSITIVE_INFINITY)
      if (last <= through) dead.push({ bucket, id })
      else isEmpty = false
    }
    this.#permit.check()
    await deleteAll(world.storage, dead)
    counters.ordersDeleted += dead.length
    return isEmpty
  }
}
