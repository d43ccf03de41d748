import { LRUCache } from 'lru-cache'
import { blobKey, decisionKey } from '../../core/layout.js'
import type { Version } from '../../core/version.js'
import { VirgaError } from '../../errors.js'
import type { Storage } from '../../ports/storage.js'
import { decodeStanding } from '../../wire/records.js'
import type { Counters } from '../counters.js'

/** What an entry costs beside its bytes: the array, its buffer, and the cache's own bookkeeping. */
const ENTRY_OVERHEAD_BYTES = 256

/** The bytes of versions: bounded, least recently used first out, and read again from storage when asked for. */
export class ValueCache {
  readonly #cache: LRUCache<Version, Uint8Array>
  readonly #loading = new Map<Version, Promise<Uint8Array>>()
  readonly #storage: Storage
  readonly #counters: Counters

  constructor(storage: Storage, bytesMax: number, counters: Counters) {
    this.#storage = storage
    this.#counters = counters
    this.#cache = new LRUCache({
      maxSize: bytesMax,
      sizeCalculation: (bytes) => bytes.length + ENTRY_OVERHEAD_BYTES,
    })
  }

  get bytes(): number {
    return this.#cache.calculatedSize
  }

  /** Keeps a copy: what comes in is a view into a frame or a record, which it would hold in memory as a whole. */
  put(version: Version, bytes: Uint8Array): void {
    this.#cache.set(version, Buffer.from(bytes))
  }

  /** The bytes of a version, null for a tombstone, undefined if storage must be asked. */
  peek(version: Version): Uint8Array | null | undefined {
    if (version.source === 'tombstone') return null
    const bytes = this.#cache.get(version)
    if (bytes === undefined) this.#counters.cacheMisses++
    else this.#counters.cacheHits++
    return bytes
  }

  /** Reads the bytes of a version from storage. Concurrent loads of one version are one. */
  load(version: Version): Promise<Uint8Array> {
    const underWay = this.#loading.get(version)
    if (underWay !== undefined) return underWay
    const loading = this.#read(version).finally(() => this.#loading.delete(version))
    this.#loading.set(version, loading)
    return loading
  }

  async #read(version: Version): Promise<Uint8Array> {
    const { source, applied } = version
    const bytes =
      typeof source === 'object'
        ? await this.#readBlob(version, source.blob)
        : await this.#readInline(version)
    if (bytes === undefined) {
      throw new VirgaError('StorageCorrupt', `storage lacks the value that ${applied.txn} wrote to a key`)
    }
    this.put(version, bytes)
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
