import { blobKey, decisionKey } from '../../core/layout.js'
import type { Version } from '../../core/version.js'
import type { Storage } from '../../ports/storage.js'
import { decodeStanding } from '../../wire/records.js'
import type { Counters } from '../counters.js'
import type { Cache } from './cache.js'

/** What V8 keeps in the object, until somebody asks for the buffer. */
const ON_HEAP_BYTES_MAX = 64
/** Of what a view is into: a cache takes that much more memory than it counts, at most. */
const MOST = 0.9

/** The bytes of versions: what is not cached is read again from the record of its decision. */
export class ValueCache {
  readonly #storage: Storage
  readonly #cache: Cache
  readonly #counters: Counters
  readonly #loading = new Map<Version, Promise<Uint8Array | undefined>>()

  constructor(storage: Storage, cache: Cache, counters: Counters) {
    this.#storage = storage
    this.#cache = cache
    this.#counters = counters
  }

  /**
   * Keeps a copy where what comes in is a view into a frame or a record, which it would hold in memory as a whole: unless it is most of
   * what was copied from there already, as a context is. No Buffer: it may be a view into a pool, or into what a socket has
   * received, of which it does not tell the size. Up to 64 bytes V8 keeps in the object itself.
   */
  put(version: Version, bytes: Uint8Array): void {
    const isOwn = !Buffer.isBuffer(bytes) && bytes.length > ON_HEAP_BYTES_MAX
    const isMost = isOwn && bytes.length >= MOST * bytes.buffer.byteLength
    this.#cache.set(version, isMost ? bytes : new Uint8Array(bytes))
  }

  /** The bytes of a version, null for a tombstone, undefined if storage must be asked. */
  peek(version: Version): Uint8Array | null | undefined {
    if (version.source === 'tombstone') return null
    const bytes = this.#cache.get(version) as Uint8Array | undefined
    if (bytes === undefined) this.#counters.cacheMisses++
    else this.#counters.cacheHits++
    return bytes
  }

  /** Bytes that are at hand, of a version that will be asked for no more. */
  take(version: Version): Uint8Array | undefined {
    const bytes = this.#cache.peek(version) as Uint8Array | undefined
    if (bytes !== undefined) this.#cache.delete(version)
    return bytes
  }

  /** Bytes that may be at hand, without counting a use. */
  glance(version: Version): Uint8Array | undefined {
    return this.#cache.peek(version) as Uint8Array | undefined
  }

  /** A use that was made elsewhere. */
  touch(version: Version): void {
    this.#cache.get(version)
  }

  /**
   * Reads the bytes of a version from storage; undefined if they are not there any more, since it was compacted. Concurrent
   * loads of one version are one.
   */
  load(version: Version): Promise<Uint8Array | undefined> {
    const underWay = this.#loading.get(version)
    if (underWay !== undefined) return underWay
    const loading = this.#read(version).finally(() => this.#loading.delete(version))
    this.#loading.set(version, loading)
    return loading
  }

  async #read(version: Version): Promise<Uint8Array | undefined> {
    const { source } = version
    const bytes =
      typeof source === 'object'
        ? await this.#readBlob(version, source.blob)
        : await this.#readInline(version)
    if (bytes !== undefined) this.put(version, bytes)
    return bytes
  }

  async #readBlob(version: Version, blob: string): Promise<Uint8Array | undefined> {
    const [bytes] = await this.#storage.get([blobKey(version.applied.txn, blob)])
    return bytes
  }

  async #readInline(version: Version): Promise<Uint8Array | undefined> {
    const [record] = await this.#storage.get([decisionKey(version.applied.txn)])
    if (record === undefined) return undefined
    const standing = decodeStanding(record)
    if (standing.status !== 'committed') return undefined
    const value = standing.writes[version.index]?.value
    return value?.kind === 'inline' ? value.bytes : undefined
  }
}
