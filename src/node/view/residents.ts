import { LRUCache } from 'lru-cache'
import type { History } from '../../core/history.js'
import { type HybridClock, hlcAt } from '../../core/hlc.js'
import { compareStamps, type Version } from '../../core/version.js'
import {
  encodeEntry,
  entryKey,
  ITEM_ABSENT,
  ITEM_APART,
  ITEM_ELSEWHERE,
  ITEM_INLINE,
  type ItemValue,
  mayHaveEntry,
  type ViewEntry,
  type ViewItem,
  valueKey,
} from '../../wire/view.js'
import type { Bases, CachedBase } from '../reading/bases.js'
import type { ValueCache } from '../reading/value-cache.js'
import type { OriginNumbers } from './origin-numbers.js'

/** Versions of one key in the view. Older ones are read from the node. */
const ITEMS_MAX = 16
/**
 * What was superseded longer ago is not written again: few transactions are that old, and there is more room for other keys.
 * With values of 4 KiB on 1,000 keys, versions until they were collected left room for half of the keys.
 */
const SUPERSEDED_MS_MAX = 250
/** Larger values stand in records of their own, which are written once and not with each new version of the key. */
const INLINE_BYTES_MAX = 1_024
const PLACES_MAX = 255
/** Keys that are filled in with one batch: it needs room beside what it replaces. */
const WANTED_MAX = 64
/** What LMDB needs for a record beside its bytes. A record that does not fit into half a page takes whole pages. */
const RECORD_BYTES = 64
const PAGE_BYTES = 4_096
const PAGE_HEAD_BYTES = 16
const IN_PAGE_BYTES_MAX = 2_000

/** A value that has a record of its own. */
interface Apart {
  readonly number: number
  readonly bytes: number
}

/** A key in the view. */
interface Resident {
  readonly apart: Map<Version | CachedBase, Apart>
  /** A value, or the base, was not at hand when the entry was written. */
  isLacking: boolean
}

export interface ResidentsParts {
  readonly history: History
  readonly bases: Bases
  readonly values: ValueCache
  readonly origins: OriginNumbers
  readonly clock: Pick<HybridClock, 'last'>
  /** Bytes of all entries, with what LMDB needs for them. */
  readonly bytesMax: number
  /** A larger value is read from the node. */
  readonly valueBytesMax: number
}

/**
 * The keys in the view: those that executors have asked the node for, least recently used first out. An entry says what the
 * node would answer: the versions of the key's chain, and the key's base if the node has it cached. What has changed is
 * written with the next batch.
 */
export class Residents {
  readonly #parts: ResidentsParts
  readonly #residents: LRUCache<string, Resident>
  readonly #changed = new Set<string>()
  /** Nobody is told less for want of these. */
  readonly #wanted = new Set<string>()
  #batch = new Map<string, Uint8Array | null>()
  #lastNumber = 0

  constructor(parts: ResidentsParts) {
    this.#parts = parts
    this.#residents = new LRUCache<string, Resident>({
      maxSize: parts.bytesMax,
      dispose: (resident, key, reason) => {
        if (reason !== 'set') this.#remove(key, resident)
      },
    })
  }

  get keys(): number {
    return this.#residents.size
  }

  get bytes(): number {
    return this.#residents.calculatedSize
  }

  /** What is in the view is not what the node would answer now. */
  get hasChanged(): boolean {
    return this.#changed.size > 0 || this.#batch.size > 0
  }

  get hasWanted(): boolean {
    return this.#wanted.size > 0
  }

  /** An executor asked the node for a key. */
  want(key: string): void {
    const resident = this.#residents.get(key)
    if (resident === undefined) {
      if (!mayHaveEntry(key)) return
      // Its size is known when it is written.
      this.#residents.set(key, { apart: new Map(), isLacking: false }, { size: 1 })
      this.#wanted.add(key)
    } else if (resident.isLacking) this.#wanted.add(key)
  }

  /** Executors have read a key in the view: it must stay in the node's cache as well, or it could not be written anew. */
  used(key: string): void {
    if (this.#residents.get(key) === undefined) return
    const version = this.#parts.history.chainOf(key).at(-1)
    if (version !== undefined) this.#parts.values.touch(version)
    this.#parts.bases.touch(key)
  }

  /** Something of a key has changed in the history. */
  touched(key: string): void {
    if (this.#residents.has(key)) this.#changed.add(key)
  }

  /** Takes all out of the view. */
  clear(): void {
    this.#residents.clear()
    this.#changed.clear()
    this.#wanted.clear()
  }

  /** What has changed since it was last taken. */
  take(): Map<string, Uint8Array | null> {
    for (const key of this.#changed) this.#write(key)
    let wanted = 0
    for (const key of this.#wanted) {
      if (++wanted > WANTED_MAX) break
      if (!this.#changed.has(key)) this.#write(key)
      this.#wanted.delete(key)
    }
    this.#changed.clear()
    const batch = this.#batch
    this.#batch = new Map()
    return batch
  }

  #write(key: string): void {
    const resident = this.#residents.peek(key)
    if (resident === undefined) return
    const former = resident.apart
    // A new one: the cache takes the size of none that it holds already.
    const next: Resident = { apart: new Map(), isLacking: false }
    const entry = encodeEntry(this.#entry(key, next, former))
    let size = recordBytes(key.length + entry.length)
    for (const [value, { bytes }] of next.apart) {
      size += recordBytes(bytes)
      former.delete(value)
    }
    for (const { number } of former.values()) this.#batch.set(valueKey(number), null)
    if (size > this.#parts.bytesMax) {
      // The cache would drop it in silence, and what stands in the view would stay.
      this.#residents.delete(key)
      this.#remove(key, next)
      return
    }
    this.#batch.set(entryKey(key), entry)
    // May put out others.
    this.#residents.set(key, next, { size })
  }

  #entry(key: string, resident: Resident, former: Resident['apart']): ViewEntry {
    const { history, bases, values } = this.#parts
    const chain = history.chainOf(key)
    const base = bases.glance(key)
    const items: ViewItem[] = []
    const longAgo = this.#parts.clock.last - hlcAt(SUPERSEDED_MS_MAX)
    let newer = Number.POSITIVE_INFINITY
    for (let i = chain.length - 1; i >= 0; i--) {
      const version = chain[i]!
      const { applied } = version
      if (base !== undefined && compareStamps(applied, base) <= 0) break
      if (items.length === ITEMS_MAX || applied.coordinates.length > PLACES_MAX)
        return { items, endsWithBase: false }
      if (newer <= longAgo) return leftOut(items, resident)
      newer = applied.hlc
      const bytes = version.source === 'tombstone' ? null : values.glance(version)
      items.push({
        moment: applied.moment,
        hlc: applied.hlc,
        places: applied.coordinates.map(({ origin, seq }) => [this.#parts.origins.of(origin), seq] as const),
        value: this.#value(version, bytes, resident, former),
      })
    }
    if (base !== undefined && newer <= longAgo) return leftOut(items, resident)
    if (base === undefined) {
      resident.isLacking = true
      return { items, endsWithBase: false }
    }
    items.push({
      moment: 0,
      hlc: base.hlc,
      places: [],
      value: this.#value(base, base.bytes, resident, former),
    })
    return { items, endsWithBase: true }
  }

  #value(
    of: Version | CachedBase,
    bytes: Uint8Array | null | undefined,
    resident: Resident,
    former: Resident['apart'],
  ): ItemValue {
    if (bytes === null) return { kind: ITEM_ABSENT }
    if (bytes === undefined) {
      resident.isLacking = true
      return { kind: ITEM_ELSEWHERE }
    }
    if (bytes.length <= INLINE_BYTES_MAX) return { kind: ITEM_INLINE, bytes }
    if (bytes.length > this.#parts.valueBytesMax) return { kind: ITEM_ELSEWHERE }
    let apart = former.get(of)
    if (apart === undefined) {
      apart = { number: ++this.#lastNumber, bytes: bytes.length }
      this.#batch.set(valueKey(apart.number), bytes)
    }
    resident.apart.set(of, apart)
    return { kind: ITEM_APART, number: apart.number }
  }

  #remove(key: string, { apart }: Resident): void {
    this.#batch.set(entryKey(key), null)
    for (const { number } of apart.values()) this.#batch.set(valueKey(number), null)
  }
}

/** Whoever asks for it all the same has the entry written again. */
function leftOut(items: readonly ViewItem[], resident: Resident): ViewEntry {
  resident.isLacking = true
  return { items, endsWithBase: false }
}

function recordBytes(bytes: number): number {
  const whole = bytes + RECORD_BYTES
  if (whole <= IN_PAGE_BYTES_MAX) return whole
  return RECORD_BYTES + Math.ceil((whole + PAGE_HEAD_BYTES) / PAGE_BYTES) * PAGE_BYTES
}
