import type { Try } from '../../core/decision.js'
import type { Origin } from '../../core/ids.js'
import { type Place, pinBuckets, pinKey, pinnedTry } from '../../core/layout.js'
import type { Storage } from '../../ports/storage.js'
import { decodePin, type Pin } from '../../wire/records.js'
import { getAll } from './batches.js'

/** After a deadline has passed by the clocks that all members told in their leases. */
const DEADLINE_MARGIN_MS = 30_000

/**
 * The cuts that durable contexts have pinned. A pin is never rewritten with another cut or deadline, so one that was read
 * once is only looked for again. Bounded by the pins that there are.
 */
export class PinnedCuts {
  readonly #storage: Storage
  #known: ReadonlyMap<string, Pin> = new Map()

  constructor(storage: Storage) {
    this.#storage = storage
  }

  /** All pins in storage: those that were there when this was called, and have not been deleted since, are among them. */
  async read(): Promise<readonly Pin[]> {
    const places: Place[] = []
    for (const bucket of pinBuckets())
      for await (const { id } of this.#storage.list(bucket)) places.push({ bucket, id })
    const known = this.#known
    const fresh = places.filter(({ id }) => !known.has(id))
    const records = await getAll(this.#storage, fresh)
    const read = new Map(fresh.flatMap(({ id }, i) => (records[i] ? [[id, decodePin(records[i])]] : [])))
    const next = new Map<string, Pin>()
    for (const { id } of places) {
      const pin = known.get(id) ?? read.get(id)
      if (pin !== undefined) next.set(id, pin)
    }
    this.#known = next
    return [...next.values()]
  }

  /** Whether an attempt had a pin, when they were read last, whose deadline may not have passed everywhere. */
  holds(tried: Try, nowMs: number): boolean {
    const pin = this.#known.get(pinKey(tried).id)
    return pin !== undefined && !hasExpired(pin, nowMs)
  }

  /** The highest place of an origin that a pinned cut sees, of the pins that were read last; 0 if none names it. */
  highest(origin: Origin): number {
    let highest = 0
    for (const { cut } of this.#known.values()) highest = Math.max(highest, cut.get(origin) ?? 0)
    return highest
  }

  /** Pins that nobody may resume any more. */
  expired(nowMs: number): readonly Place[] {
    return [...this.#known].flatMap(([id, pin]) => {
      const tried = hasExpired(pin, nowMs) ? pinnedTry(id) : undefined
      return tried === undefined ? [] : [pinKey(tried)]
    })
  }
}

export function hasExpired({ deadlineMs }: Pin, nowMs: number): boolean {
  return nowMs > deadlineMs + DEADLINE_MARGIN_MS
}
