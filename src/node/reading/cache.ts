import { LRUCache } from 'lru-cache'
import type { Version } from '../../core/version.js'
import type { CachedBase } from './bases.js'

/** What an entry costs beside its bytes: the array, its buffer, and the cache's own bookkeeping. */
const ENTRY_OVERHEAD_BYTES = 256
/** The tables of fewer entries are not worth a copy: about half a MiB. */
const WORTH_ENTRIES = 8_192
const SHRINKS_TO_SHARE = 1 / 8

type Key = Version | string
type Entry = Uint8Array | CachedBase

/**
 * The bytes of versions, by version, and bases, by key: one cache, bounded by bytes, least recently used first out. What is
 * in it can be read again from storage.
 *
 * Under load versions come faster than they are collected. The tables of lru-cache grow with them, by some 60 bytes an entry, and
 * never shrink: once few are left, they move to tables of their size.
 */
export class Cache {
  readonly #bytesMax: number
  #entries: LRUCache<Key, Entry>
  /** For how many entries the tables have grown. */
  #room = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
    this.#entries = this.#empty()
  }

  get calculatedSize(): number {
    return this.#entries.calculatedSize
  }

  /** For how many entries there is room in its tables. */
  get room(): number {
    return this.#room
  }

  get(key: Key): Entry | undefined {
    return this.#entries.get(key)
  }

  /** Without counting a use. */
  peek(key: Key): Entry | undefined {
    return this.#entries.peek(key)
  }

  has(key: Key): boolean {
    return this.#entries.has(key)
  }

  set(key: Key, entry: Entry): void {
    this.#entries.set(key, entry)
    if (this.#entries.size > this.#room) this.#room = this.#entries.size
  }

  delete(key: Key): void {
    this.#entries.delete(key)
    if (this.#room >= WORTH_ENTRIES && this.#entries.size < this.#room * SHRINKS_TO_SHARE) this.#shrink()
  }

  keys(): Iterable<Key> {
    return this.#entries.keys()
  }

  #shrink(): void {
    const old = this.#entries
    this.#entries = this.#empty()
    old.rforEach((entry, key) => this.#entries.set(key, entry))
    this.#room = this.#entries.size
  }

  #empty(): LRUCache<Key, Entry> {
    return new LRUCache({ maxSize: this.#bytesMax, sizeCalculation: sizeOf })
  }
}

function sizeOf(entry: Entry, key: Key): number {
  const keyBytes = typeof key === 'string' ? key.length * 2 : 0
  const bytes = entry instanceof Uint8Array ? entry.length : (entry.bytes?.length ?? 0)
  return bytes + keyBytes + ENTRY_OVERHEAD_BYTES
}
