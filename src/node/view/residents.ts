import { LRUCache } from 'lru-cache'
import { utf8Length } from '../../core/bytes.js'
import type { History } from '../../core/history.js'
import { type HybridClock, hlcAt } from '../../core/hlc.js'
import type { TxnId } from '../../core/ids.js'
import { compareStamps } from '../../core/version.js'
import { EntryWriter, entryKey, mayHaveEntry, valueKey } from '../../wire/view.js'
import type { Bases } from '../reading/bases.js'
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
  readonly #writer = new EntryWriter()
  #batch = new Map<string, Uint8Array | null>()
  #lastNumber = 0
  /** Behind the record of the former entry that was found last. */
  #formerAt = 0
  /** Of records that go with this batch: what takes their place costs no record more. */
  #freed: number[] = []

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
      this.#residents.set(key, { apart: [], isLacking: false }, { size: 1 })
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
    this.#freed = []
    return batch
  }

  #write(key: string): void {
    const resident = this.#residents.peek(key)
    if (resident === undefined) return
    // A new one: the cache takes the size of none that it holds already.
    const next: Resident = { apart: [], isLacking: false }
    const entry = this.#entry(key, next, resident.apart)
    let size = recordBytes(utf8Length(key) + entry.length)
    for (const { bytes } of next.apart) size += recordBytes(bytes)
    for (const apart of resident.apart) if (!next.apart.includes(apart)) this.#free(apart)
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

  #entry(key: string, resident: Resident, former: readonly Apart[]): Uint8Array {
    this.#formerAt = 0
    const { history, bases, values, origins } = this.#parts
    const chain = history.chainOf(key)
    const base = bases.glance(key)
    const longAgo = this.#parts.clock.last - hlcAt(SUPERSEDED_MS_MAX)
    let newer = Number.POSITIVE_INFINITY
    let items = 0
    for (let i = chain.length - 1; i >= 0; i--) {
      const version = chain[i]!
      const { applied } = version
      if (base !== undefined && compareStamps(applied, base) <= 0) break
      const { coordinates } = applied
      if (items === ITEMS_MAX || coordinates.length > PLACES_MAX) return this.#writer.end(false)
      if (newer <= longAgo) return this.#leftOut(resident)
      newer = applied.hlc
      items++
      this.#writer.item(applied.moment, applied.hlc, coordinates.length)
      for (const { origin, seq } of coordinates) this.#writer.place(origins.of(origin), seq)
      if (version.source === 'tombstone') this.#writer.absent()
      else if (!this.#again(applied.txn, resident, former))
        this.#value(applied.txn, values.glance(version), resident)
    }
    if (base !== undefined && newer <= longAgo) return this.#leftOut(resident)
    if (base === undefined) {
      resident.isLacking = true
      return this.#writer.end(false)
    }
    this.#writer.item(0, base.hlc, 0)
    if (base.bytes === null) this.#writer.absent()
    else if (!this.#again(base.txn, resident, former)) this.#value(base.txn, base.bytes, resident)
    return this.#writer.end(true)
  }

  /** Whoever asks for what is left out all the same has the entry written again. */
  #leftOut(resident: Resident): Uint8Array {
    resident.isLacking = true
    return this.#writer.end(false)
  }

  /** A value has a record already. False: it has none. */
  #again(txn: TxnId, resident: Resident, former: readonly Apart[]): boolean {
    // They are in the order of the versions: nearly always it is the next one.
    let at = this.#formerAt
    if (former[at]?.txn !== txn) at = placeOf(former, txn)
    const apart = former[at]
    if (apart === undefined) return false
    this.#formerAt = at + 1
    resident.apart.push(apart)
    this.#writer.apart(apart.number)
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
      resident.apart.push(apart)
      this.#writer.apart(apart.number)
    }
  }

  #remove(key: string, { apart }: Resident): void {
    this.#batch.set(entryKey(key), null)
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
