import { isOrigin, type Origin } from '../../core/ids.js'
import {
  guardBuckets,
  minuteAt,
  ORDERED_BUCKET,
  orderBucket,
  orderedKey,
  type Place,
} from '../../core/layout.js'
import { mark } from '../../marks.js'
import { deleteAll } from './batches.js'
import type { GuardCleaner } from './guard-cleaner.js'
import { Interval } from './interval.js'
import type { CollectingParts, Permit } from './parts.js'
import type { PinnedCuts } from './pinned-cuts.js'

/** Stretches of orders as named in storage: `first-last`. */
const STRETCH = /^(\d+)-(\d+)$/
const CLEAN_EVERY_MS = 60_000
const GUARD_TURNS = guardBuckets().length

/**
 * What is looked for once a minute, since little of it is ever left: pins of contexts past their deadlines, stretches of
 * orders that every cut sees anyhow, guards that nobody needs.
 *
 * A stretch may go when it ends at or below what is compacted of its origin: whoever restores a pinned cut begins above
 * that. One that reaches beyond it stays while its origin lives, or any member has applied what stands there: a cut that needs it may
 * come to be pinned, by who relies on its being there. Of an origin that has been dead for long, whose last decisions others
 * may have adopted as their own, what nobody has applied may go when no pinned cut reaches into it.
 * A pin may go when nobody may resume its context any more. All of it is deletion of what nobody reads, so a crash leaves
 * the rest for the next time.
 */
export class Leftovers {
  readonly #parts: CollectingParts
  readonly #pins: PinnedCuts
  readonly #guards: GuardCleaner
  readonly #permit: Permit
  /** Since when origins of which there are stretches are known to be dead. */
  readonly #deadSinceMs = new Map<Origin, number>()
  readonly #interval: Interval
  /** The minute up to which guards have been looked through. */
  #guardsLookedAt: number | undefined

  constructor(parts: CollectingParts, pins: PinnedCuts, guards: GuardCleaner, permit: Permit) {
    this.#parts = parts
    this.#pins = pins
    this.#guards = guards
    this.#permit = permit
    this.#interval = new Interval(parts.state.world.clock, CLEAN_EVERY_MS)
  }

  async clean(nowMs: number): Promise<void> {
    if (!this.#interval.isDue()) return
    const { membership, state } = this.#parts
    const minute = minuteAt(state.world.clock.now())
    await this.#cleanOrders()
    if (membership.isPicked(`pins/${minute}`)) await this.#cleanPins(nowMs)
    await this.#cleanGuards(minute)
  }

  /** Of each bucket in its minute, or later: rounds come a bit less often than minutes, and a bucket's next turn is an hour away. */
  async #cleanGuards(minute: number): Promise<void> {
    const last = this.#guardsLookedAt ?? minute - 1
    for (let turn = Math.max(last + 1, minute - GUARD_TURNS + 1); turn <= minute; turn++) {
      if (this.#parts.membership.isPicked(`guards/${turn}`)) await this.#guards.cleanBucket(turn)
    }
    this.#guardsLookedAt = minute
  }

  async #cleanPins(nowMs: number): Promise<void> {
    const { world, counters } = this.#parts.state
    const expired = this.#pins.expired(nowMs)
    this.#permit.check()
    await deleteAll(world.storage, expired)
    if (expired.length > 0) mark('pin.expired')
    counters.pinsDeleted += expired.length
  }

  async #cleanOrders(): Promise<void> {
    const { state, membership } = this.#parts
    const origins: Origin[] = []
    for await (const { id } of state.world.storage.list(ORDERED_BUCKET)) if (isOrigin(id)) origins.push(id)
    for (const origin of this.#deadSinceMs.keys())
      if (!origins.includes(origin)) this.#deadSinceMs.delete(origin)
    for (const origin of origins) {
      const isOwn = origin === state.ledger.origin
      const isDead = !isOwn && this.#isLongDead(origin)
      if (isOwn || (isDead && membership.isPicked(origin))) await this.#cleanOrder(origin, isDead)
    }
  }

  async #cleanOrder(origin: Origin, isDead: boolean): Promise<void> {
    const { world, counters, history } = this.#parts.state
    const needed = isDead
      ? Math.max(this.#pins.highest(origin), this.#highestApplied(origin))
      : Number.POSITIVE_INFINITY
    const through = history.compacted.get(origin) ?? 0
    const bucket = orderBucket(origin)
    const dead: Place[] = []
    let isEmpty = true
    for await (const { id } of world.storage.list(bucket)) {
      const [, first, last] = STRETCH.exec(id) ?? []
      if (Number(last) <= through || Number(first) > needed) dead.push({ bucket, id })
      else isEmpty = false
    }
    this.#permit.check()
    await deleteAll(world.storage, dead)
    if (dead.length > 0) mark('order.deleted')
    counters.ordersDeleted += dead.length
    // Last, so that a crash leaves it to be found again.
    if (isEmpty && isDead) await world.storage.delete([orderedKey(origin)])
  }

  #highestApplied(origin: Origin): number {
    const { membership, state } = this.#parts
    const told = membership.counted().map(({ lease }) => lease.applied.get(origin) ?? 0)
    return Math.max(state.history.seqOf(origin), ...told)
  }

  #isLongDead(origin: Origin): boolean {
    const { membership, state } = this.#parts
    const nowMs = state.world.clock.monotonic()
    if (membership.isLive(origin)) {
      this.#deadSinceMs.delete(origin)
      return false
    }
    const sinceMs = this.#deadSinceMs.get(origin) ?? nowMs
    this.#deadSinceMs.set(origin, sinceMs)
    return nowMs - sinceMs >= state.config.departAfterMs
  }
}
