import { LRUCache } from 'lru-cache'
import { utf8Length } from '../../core/bytes.js'
import type { History } from '../../core/history.js'
import { type HybridClock, hlcAt } from '../../core/hlc.js'
import type { TxnId } from '../../core/ids.js'
import { compareStamps, type Version } from '../../core/version.js'
import { entryKey, mayHaveEntry, valueKey } from '../../wire/view.js'
import { EntryWriter, itemsOf, KeptEntry } from '../../wire/view-entry.js'
import type { Bases } from '../reading/bases.js'
import type { ValueCache } from '../reading/value-cache.js'
import type { OriginNumbers } from './origin-numbers.js'

/** Versions of one key in the view. Older ones are read from the node. */
const ITEMS_MAX = 64
/**
 * What was superseded longer ago is not written again: few transactions are that old. Former versions have a part of the room, and as they fill
 * it, they stay for less: a key that is put out has all its readers ask the node, a former version only those that began before it was
 * superseded. With values of 4 KiB on 1,000 keys, 250 ms of versions left room for three quarters of the keys.
 */
const SUPERSEDED_MS_MAX = 250
const SUPERSEDED_MS_MIN = 10
const FORMER_PART = 0.5
/** Of that part. Beyond it, room is scarce. */
const AMPLE = 0.5
/** An entry of so many items, if it is no larger than that, is kept: few are written again and again, and those have many. */
const KEPT_ITEMS_MIN = 4
const KEPT_BYTES_MAX = 4_096
/** Kept at once. The others are written as a whole. */
const KEPT_MAX = 1_024
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
  /** Who wrote it: of one key each wrote one value, which its base has as well once the version has left. */
  readonly txn: TxnId
  readonly number: number
  readonly bytes: number
}

/** A key in the view. */
interface Resident {
  /** Newest first. */
  readonly apart: Apart[]
  /** A value, or the base, was not at hand when the entry was written. */
  isLacking: boolean
  /** Of the chain, when the entry was written. */
  newest: Version | undefined
  /** The entry says nothing of what is older: that may come, move and leave. Below all clocks if it ends with the base. */
  oldestHlc: number
  /** What the entry tells of may not be so any more. Else newer versions may have come, and nothing else. */
  mustBeWhole: boolean
  /** Of its records, as the cache counts it. 0: it was never written. */
  size: number
  /** Of that, about, what former versions take. */
  formerBytes: number
}

/** The cache takes the size of none that it holds already, so what changes its size gets a new one of these. */
interface Held {
  readonly resident: Resident
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
 *
 * An entry stays right until a version that it tells of is touched: so the items of one may be kept, and newer versions are put before them. A
 * version that came late or got another place, or has left, and a value or base that was lacking, have the entry written as a whole. What stands
 * below all that it tells of may come and leave unseen, unless it ends with the base.
 */
export class Residents {
  readonly #parts: ResidentsParts
  readonly #residents: LRUCache<string, Held>
  /** Those that are written often, by their keys. */
  readonly #kept = new LRUCache<string, KeptEntry>({ max: KEPT_MAX })
  readonly #changed = new Set<string>()
  /** Nobody is told less for want of these. */
  readonly #wanted = new Set<string>()
  readonly #writer = new EntryWriter()
  #batch = new Map<string, Uint8Array | null>()
  #lastNumber = 0
  /** Behind the record of the former entry that was found last. */
  #formerAt = 0
  /** Where the next record of the entry goes among its others. */
  #apartAt = 0
  /** Of all that are in the view. */
  #formerBytes = 0
  /** Of records that go with this batch: what takes their place costs no record more. */
  #freed: number[] = []

  constructor(parts: ResidentsParts) {
    this.#parts = parts
    this.#residents = new LRUCache<string, Held>({
      maxSize: parts.bytesMax,
      dispose: ({ resident }, key, reason) => {
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
    const resident = this.#residents.get(key)?.resident
    if (resident === undefined) {
      if (!mayHaveEntry(key)) return
      // Its size is known when it is written.
      this.#residents.set(key, { resident: newResident() }, { size: 1 })
      this.#wanted.add(key)
    } else if (resident.isLacking) {
      resident.mustBeWhole = true
      this.#wanted.add(key)
    }
  }

  /** Executors have read a key in the view: it must stay in the node's cache as well, or it could not be written anew. */
  used(key: string): void {
    if (this.#residents.get(key) === undefined) return
    const version = this.#parts.history.chainOf(key).at(-1)
    if (version !== undefined) this.#parts.values.touch(version)
    this.#parts.bases.touch(key)
  }

  /** A version came into the history, got another place, or left it. */
  touched(version: Version): void {
    const { key, applied } = version
    const resident = this.#residents.peek(key)?.resident
    if (resident === undefined) return
    const { newest, oldestHlc } = resident
    // As what is collected under load is.
    if (applied.hlc < oldestHlc) return
    if (newest === undefined || compareStamps(applied, newest.applied) <= 0) resident.mustBeWhole = true
    this.#changed.add(key)
  }

  /** Takes all out of the view. */
  clear(): void {
    this.#residents.clear()
    this.#changed.clear()
    this.#wanted.clear()
  }

  /** What has changed since it was last taken. The bytes are lent until it is called again. */
  take(): Map<string, Uint8Array | null> {
    this.#writer.reset()
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
    this.#freed = []
    return batch
  }

  #write(key: string): void {
    const former = this.#residents.peek(key)?.resident
    if (former === undefined) return
    const grown = this.#addTo(key, former)
    const resident = grown === undefined ? newResident() : former
    const entry = grown ?? this.#whole(key, resident, former.apart)
    let size = recordBytes(utf8Length(key) + entry.length)
    for (const { bytes } of resident.apart) size += recordBytes(bytes)
    if (resident !== former)
      for (const apart of former.apart) if (!resident.apart.includes(apart)) this.#free(apart)
    if (size > this.#parts.bytesMax) {
      // The cache would drop it in silence, and what stands in the view would stay.
      this.#residents.delete(key)
      this.#remove(key, resident)
      return
    }
    this.#batch.set(entryKey(key), entry)
    this.#formerBytes -= former.formerBytes
    resident.formerBytes = formerBytesOf(size, itemsOf(entry))
    this.#formerBytes += resident.formerBytes
    // Either makes it the one that was used last.
    if (size === resident.size) this.#residents.get(key)
    else {
      resident.size = size
      // May put out others.
      this.#residents.set(key, { resident }, { size })
    }
  }

  /** Puts what is new before the items of an entry that is kept. Undefined: it must be written as a whole. */
  #addTo(key: string, resident: Resident): Uint8Array | undefined {
    if (resident.mustBeWhole) return undefined
    const kept = this.#kept.get(key)
    if (kept === undefined) return undefined
    const chain = this.#parts.history.chainOf(key)
    let first = chain.length
    while (first > 0 && chain[first - 1] !== resident.newest) {
      first--
      if (chain[first]!.applied.coordinates.length > PLACES_MAX) return undefined
    }
    const more = chain.length - first
    // Not known what it tells of; or it holds nothing of that any more.
    if (first === 0 || more > ITEMS_MAX) return undefined
    const longAgo = this.#longAgo()
    // All that it tells of was superseded too long ago.
    if (more > 0 && chain[first]!.applied.hlc <= longAgo) return undefined
    this.#shorten(kept, resident, more, longAgo)
    if (more > 0) {
      this.#apartAt = 0
      for (let i = chain.length - 1; i >= first; i--) this.#version(chain[i]!, resident, NONE)
      kept.prepend(this.#writer.end(false), this.#writer.lengths)
      resident.newest = chain.at(-1)
    }
    resident.oldestHlc = kept.endsWithBase ? ALL : kept.oldestHlc
    const { bytes } = kept
    if (!isWorthKeeping(bytes, kept.items)) this.#kept.delete(key)
    return bytes
  }

  /** Takes away what is too much, or was superseded too long ago. @param more items that come to it */
  #shorten(kept: KeptEntry, resident: Resident, more: number, longAgo: number): void {
    for (;;) {
      const isMany = kept.items - (kept.endsWithBase ? 1 : 0) + more > ITEMS_MAX
      if (!isMany && (kept.oldestSuperseded ?? Number.POSITIVE_INFINITY) > longAgo) return
      if (kept.drop()) this.#free(resident.apart.pop()!)
    }
  }

  #whole(key: string, resident: Resident, former: readonly Apart[]): Uint8Array {
    const endsWithBase = this.#items(key, resident, former)
    if (endsWithBase) resident.oldestHlc = ALL
    const entry = this.#writer.end(endsWithBase)
    const { lengths } = this.#writer
    if (isWorthKeeping(entry, lengths.length)) this.#kept.set(key, new KeptEntry(entry, lengths))
    else this.#kept.delete(key)
    resident.mustBeWhole = false
    return entry
  }

  /** Returns whether the last one is the base. */
  #items(key: string, resident: Resident, former: readonly Apart[]): boolean {
    this.#formerAt = 0
    this.#apartAt = 0
    const { history, bases } = this.#parts
    const chain = history.chainOf(key)
    const base = bases.glance(key)
    const longAgo = this.#longAgo()
    resident.newest = chain.at(-1)
    let newer = Number.POSITIVE_INFINITY
    let items = 0
    for (let i = chain.length - 1; i >= 0; i--) {
      const version = chain[i]!
      const { applied } = version
      if (base !== undefined && compareStamps(applied, base) <= 0) break
      if (items === ITEMS_MAX || applied.coordinates.length > PLACES_MAX) return false
      if (newer <= longAgo) return false
      newer = applied.hlc
      items++
      this.#version(version, resident, former)
    }
    if (base !== undefined && newer <= longAgo) return false
    if (base === undefined) {
      resident.isLacking = true
      return false
    }
    this.#writer.item(0, base.hlc, 0)
    if (base.bytes === null) this.#writer.absent()
    else if (!this.#again(base.txn, resident, former)) this.#value(base.txn, base.bytes, resident)
    return true
  }

  #version(version: Version, resident: Resident, former: readonly Apart[]): void {
    const { values, origins } = this.#parts
    const { applied } = version
    const { coordinates } = applied
    resident.oldestHlc = applied.hlc
    this.#writer.item(applied.moment, applied.hlc, coordinates.length)
    for (const { origin, seq } of coordinates) this.#writer.place(origins.of(origin), seq)
    if (version.source === 'tombstone') this.#writer.absent()
    else if (!this.#again(applied.txn, resident, former))
      this.#value(applied.txn, values.glance(version), resident)
  }

  /** What was superseded before is not written. */
  #longAgo(): number {
    return this.#parts.clock.last - hlcAt(this.#supersededMs())
  }

  /** How long former versions stay: less, bit by bit, as they fill what they have. */
  #supersededMs(): number {
    const most = FORMER_PART * this.#parts.bytesMax
    const left = Math.max(0, most - this.#formerBytes) / (most * (1 - AMPLE))
    return SUPERSEDED_MS_MIN + (SUPERSEDED_MS_MAX - SUPERSEDED_MS_MIN) * Math.min(1, left)
  }

  /** A value has a record already. False: it has none. */
  #again(txn: TxnId, resident: Resident, former: readonly Apart[]): boolean {
    // They are in the order of the versions: nearly always it is the next one.
    let at = this.#formerAt
    if (former[at]?.txn !== txn) at = placeOf(former, txn)
    const apart = former[at]
    if (apart === undefined) return false
    this.#formerAt = at + 1
    this.#keepApart(apart, resident)
    return true
  }

  #value(txn: TxnId, bytes: Uint8Array | undefined, resident: Resident): void {
    if (bytes === undefined) {
      resident.isLacking = true
      this.#writer.elsewhere()
    } else if (bytes.length <= INLINE_BYTES_MAX) this.#writer.inline(bytes)
    else if (bytes.length > this.#parts.valueBytesMax) this.#writer.elsewhere()
    else {
      const apart = { txn, number: this.#freed.pop() ?? ++this.#lastNumber, bytes: bytes.length }
      this.#batch.set(valueKey(apart.number), bytes)
      this.#keepApart(apart, resident)
    }
  }

  #keepApart(apart: Apart, resident: Resident): void {
    if (this.#apartAt === resident.apart.length) resident.apart.push(apart)
    else resident.apart.splice(this.#apartAt, 0, apart)
    this.#apartAt++
    this.#writer.apart(apart.number)
  }

  #remove(key: string, resident: Resident): void {
    const { apart } = resident
    this.#batch.set(entryKey(key), null)
    this.#kept.delete(key)
    this.#formerBytes -= resident.formerBytes
    resident.formerBytes = 0
    for (const each of apart) this.#free(each)
  }

  #free({ number }: Apart): void {
    const key = valueKey(number)
    // An entry that has become too large shares records with what stood before.
    if (this.#batch.get(key) === null) return
    this.#batch.set(key, null)
    this.#freed.push(number)
  }
}

const NONE: readonly Apart[] = []
/** Below all clocks. */
const ALL = Number.NEGATIVE_INFINITY

function newResident(): Resident {
  return {
    apart: [],
    isLacking: false,
    newest: undefined,
    oldestHlc: ALL,
    mustBeWhole: true,
    size: 0,
    formerBytes: 0,
  }
}

/** What is small enough, and told of as often as that, is worth its memory. */
function isWorthKeeping(entry: Uint8Array, items: number): boolean {
  return items >= KEPT_ITEMS_MIN && entry.length <= KEPT_BYTES_MAX
}

/** All but the newest of so many items, as if they were of one size. */
function formerBytesOf(size: number, items: number): number {
  return items < 2 ? 0 : (size * (items - 1)) / items
}

/** -1: none. */
function placeOf(all: readonly Apart[], txn: TxnId): number {
  for (let i = 0; i < all.length; i++) if (all[i]!.txn === txn) return i
  return -1
}

function recordBytes(bytes: number): number {
  const whole = bytes + RECORD_BYTES
  if (whole <= IN_PAGE_BYTES_MAX) return whole
  return RECORD_BYTES + Math.ceil((whole + PAGE_HEAD_BYTES) / PAGE_BYTES) * PAGE_BYTES
}
