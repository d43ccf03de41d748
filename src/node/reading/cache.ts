import { LRUCache } from 'lru-cache'
import type { Version } from '../../core/version.js'
import type { CachedBase } from './bases.js'

/** What an entry costs beside its bytes: the array, its buffer, and the cache's own bookkeeping. */
const ENTRY_OVERHEAD_BYTES = 256

/**
 * The bytes of versions, by version, and bases, by key: one cache, bounded by bytes, least recently used first out. What is
 * in it can be read again from storage.
 */
export type Cache = LRUCache<Version | string, Uint8Array | CachedBase>

export function createCache(bytesMax: number): Cache {
  return new LRUCache({ maxSize: bytesMax, sizeCalculation: sizeOf })
}

function sizeOf(entry: Uint8Array | CachedBase, key: Version | string): number {
  const keyBytes = typeof key === 'string' ? key.length * 2 : 0
  const bytes = entry instanceof Uint8Array ? entry.length : (entry.bytes?.length ?? 0)
  return bytes + keyBytes + ENTRY_OVERHEAD_BYTES
}
