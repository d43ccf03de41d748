import { HLC_ZERO } from '../../core/hlc.js'
import type { TxnId } from '../../core/ids.js'
import { baseKey, blobKey } from '../../core/layout.js'
import { compareStamps, type Stamp, type Version } from '../../core/version.js'
import { VirgaError } from '../../errors.js'
import type { Storage } from '../../ports/storage.js'
import { type Base, decodeBase } from '../../wire/records.js'
import type { Counters } from '../counters.js'
import type { Cache } from './cache.js'

/** A key's base with its bytes: null for a tombstone, and for a key that has no base, which is older than any version. */
export interface CachedBase extends Stamp {
  readonly bytes: Uint8Array | null
}

const NO_BASE: CachedBase = { hlc: HLC_ZERO, txn: '' as TxnId, bytes: null }

/** A large value is deleted when a newer base stands. Whoever finds it gone reads the base again; this often. */
const ROUNDS_MAX = 4

export interface BasesEvents {
  /** Whether what storage holds may be combined with this node's snapshots: otherwise it is not kept. */
  isFresh(): boolean
  /** Nothing that was read before counts. */
  onCleared(): void
}

const ALONE: BasesEvents = { isFresh: () => true, onCleared() {} }

interface Loading {
  readonly promise: Promise<CachedBase>
  /** A version of the key left its chain since the load began: what it brings may be older than that. */
  isStale: boolean
}

/**
 * The bases of keys: each key's newest version at or below the watermark, which every live snapshot sees.
 *
 * The rule that reads rely on: the base that is found here is never older than a version of its key that left this node's
 * chains. So a version that leaves its chain replaces the cached base, and a load that was under way then is neither kept
 * nor shared with readers that come after.
 */
export class Bases {
  readonly #storage: Storage
  readonly #cache: Cache
  readonly #counters: Counters
  readonly #events: BasesEvents
  readonly #loading = new Map<string, Loading>()

  constructor(storage: Storage, cache: Cache, counters: Counters, events: BasesEvents = ALONE) {
    this.#events = events
    this.#storage = storage
    this.#cache = cache
    this.#counters = counters
  }

  /** Undefined: storage must be asked. */
  peek(key: string): CachedBase | undefined {
    const found = this.#cache.get(key) as CachedBase | undefined
    if (found === undefined) this.#counters.cacheMisses++
    else this.#counters.cacheHits++
    return found
  }

  /** What is cached, without counting a use. */
  glance(key: string): CachedBase | undefined {
    return this.#cache.peek(key) as CachedBase | undefined
  }

  /** A use that was made elsewhere. */
  touch(key: string): void {
    this.#cache.get(key)
  }

  /** While nothing was ever collected there is no base, and nobody need ask storage for one: also not later, if it is away. */
  noteNone(key: string): void {
    if (!this.#cache.has(key)) this.#cache.set(key, NO_BASE)
  }

  /** Reads a base from storage. Concurrent loads of one key are one. */
  load(key: string): Promise<CachedBase> {
    const underWay = this.#loading.get(key)
    if (underWay !== undefined) return underWay.promise
    const loading: Loading = { promise: this.#read(key), isStale: false }
    this.#loading.set(key, loading)
    const end = (base?: CachedBase): void => {
      if (loading.isStale) return
      this.#loading.delete(key)
      // Of a time in which others took this node for dead, it may be newer than what its snapshots see.
      if (base !== undefined && this.#events.isFresh()) this.#cache.set(key, base)
    }
    loading.promise.then(end, () => end())
    return loading.promise
  }

  /**
   * A version left its chain: its key's base is not older.
   * @param bytes those of the version, if they are at hand
   * @param isNewest no newer version of the key has left before
   */
  moved({ key, source, applied }: Version, bytes: Uint8Array | undefined, isNewest: boolean): void {
    const loading = this.#loading.get(key)
    if (loading !== undefined) {
      loading.isStale = true
      this.#loading.delete(key)
    }
    const cached = this.#cache.peek(key) as CachedBase | undefined
    // What is cached is not older than anything that left before.
    if (cached === undefined && !isNewest) {
      // It was read of late, and may be wanted when storage is away. If it can't be had now, it is when it is asked for.
      if (bytes !== undefined) this.load(key).catch(() => undefined)
      return
    }
    if (cached !== undefined && compareStamps(cached, applied) >= 0) return
    const { hlc, txn } = applied
    if (source === 'tombstone') this.#cache.set(key, { hlc, txn, bytes: null })
    else if (bytes !== undefined) this.#cache.set(key, { hlc, txn, bytes })
    else this.#cache.delete(key)
  }

  /** Bases may have moved on unseen. */
  clear(): void {
    for (const loading of this.#loading.values()) loading.isStale = true
    this.#loading.clear()
    for (const key of [...this.#cache.keys()]) if (typeof key === 'string') this.#cache.delete(key)
    this.#events.onCleared()
  }

  async #read(key: string): Promise<CachedBase> {
    for (let round = 1; ; round++) {
      const [record] = await this.#storage.get([baseKey(key)])
      if (record === undefined) return NO_BASE
      const base = decodeBase(record)
      const bytes = await this.#bytesOf(base)
      if (bytes !== undefined) return { hlc: base.hlc, txn: base.txn, bytes }
      if (round === ROUNDS_MAX) {
        throw new VirgaError('StorageCorrupt', `storage lacks the value of a key's base, of ${base.txn}`)
      }
    }
  }

  async #bytesOf({ txn, value }: Base): Promise<Uint8Array | null | undefined> {
    if (value.kind === 'tombstone') return null
    // A copy: the record also holds what surrounds it.
    if (value.kind === 'inline') return new Uint8Array(value.bytes)
    const [bytes] = await this.#storage.get([blobKey(txn, value.blob)])
    return bytes
  }
}
