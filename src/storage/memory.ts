/**
 * Storage in the memory of this process: for tests and simulation. Each call takes its effect at once, and settles
 * through microtasks alone, so a simulated cluster replays exactly.
 */
import { VirgaError } from '../errors.js'
import type {
  CompareAndSwapResult,
  ListedEntry,
  Storage,
  StorageEntry,
  StorageKey,
} from '../ports/storage.js'
import { GuardedStorage, type GuardLimits } from './guard.js'
import { parseStorageUrl, sizeOption } from './url.js'

export interface MemoryStorageOptions extends GuardLimits {
  /** Bytes of all ids and values together, beyond which writes get `LimitExceeded`. Default 4 GiB. */
  readonly bytesMax?: number
}

/** An empty storage. What it holds is gone when it is closed. */
export function createMemoryStorage(options: MemoryStorageOptions = {}): Storage {
  return new MemoryStorage(options)
}

/** Parses `memory:`, with `?maxSize=` in bytes or with a suffix (`64m`, `2g`). */
export function memoryStorageFromUrl(url: URL | string): Storage {
  const { rest, take, done } = parseStorageUrl(url, ['memory:'])
  const bytesMax = sizeOption(take, 'maxSize')
  done()
  if (rest !== '')
    throw new VirgaError('InvalidArgument', `memory: takes no path, not ${JSON.stringify(rest)}`)
  return createMemoryStorage(bytesMax === undefined ? {} : { bytesMax })
}

const BYTES_MAX_DEFAULT = 4 * 1024 ** 3
const PAGE_ENTRIES = 1_000

class MemoryStorage extends GuardedStorage {
  readonly durability = 'memory: nothing survives the end of this process'
  readonly #buckets = new Map<string, Map<string, Uint8Array>>()
  readonly #bytesMax: number
  #bytes = 0

  constructor(options: MemoryStorageOptions) {
    super(options)
    this.#bytesMax = options.bytesMax ?? BYTES_MAX_DEFAULT
  }

  protected override async read(keys: readonly StorageKey[]): Promise<(Uint8Array | undefined)[]> {
    return keys.map((key) => copied(this.#at(key)))
  }

  protected override async write(entries: readonly StorageEntry[]): Promise<void> {
    let growth = 0
    for (const entry of entries) growth += entry.id.length + entry.value.byteLength
    this.#checkRoom(growth)
    for (const entry of entries) this.#set(entry, entry.value)
  }

  protected override async swap(
    key: StorageKey,
    expected: Uint8Array | undefined,
    next: Uint8Array | undefined,
  ): Promise<CompareAndSwapResult> {
    const current = this.#at(key)
    if (!same(current, expected)) return { swapped: false, current: copied(current) }
    if (next === undefined) {
      this.#unset(key)
    } else {
      this.#checkRoom(key.id.length + next.byteLength)
      this.#set(key, next)
    }
    return { swapped: true }
  }

  protected override async remove(keys: readonly StorageKey[]): Promise<void> {
    for (const key of keys) this.#unset(key)
  }

  protected override async *pages(bucket: string, values: boolean): AsyncGenerator<readonly ListedEntry[]> {
    // The ids are taken at the start: a Map that is iterated while it grows might never end.
    const ids = [...(this.#buckets.get(bucket)?.keys() ?? [])]
    for (let from = 0; from < ids.length; from += PAGE_ENTRIES) {
      const page: ListedEntry[] = []
      for (const id of ids.slice(from, from + PAGE_ENTRIES)) {
        const value = this.#at({ bucket, id })
        if (value !== undefined) page.push(values ? { id, value: value.slice() } : { id })
      }
      yield page
    }
  }

  protected override async shut(): Promise<void> {
    this.#buckets.clear()
  }

  #at(key: StorageKey): Uint8Array | undefined {
    return this.#buckets.get(key.bucket)?.get(key.id)
  }

  #checkRoom(growthBytes: number): void {
    if (this.#bytes + growthBytes > this.#bytesMax) {
      throw new VirgaError('LimitExceeded', `the memory storage is full (${this.#bytesMax} bytes)`)
    }
  }

  #set(key: StorageKey, value: Uint8Array): void {
    let bucket = this.#buckets.get(key.bucket)
    if (bucket === undefined) {
      bucket = new Map()
      this.#buckets.set(key.bucket, bucket)
    }
    const before = bucket.get(key.id)
    this.#bytes +=
      before === undefined ? key.id.length + value.byteLength : value.byteLength - before.byteLength
    // Uint8Array.from would keep a pool's whole slab, and `slice` of a Buffer would share it.
    bucket.set(key.id, new Uint8Array(value))
  }

  #unset(key: StorageKey): void {
    const bucket = this.#buckets.get(key.bucket)
    const before = bucket?.get(key.id)
    if (bucket === undefined || before === undefined) return
    this.#bytes -= key.id.length + before.byteLength
    bucket.delete(key.id)
    if (bucket.size === 0) this.#buckets.delete(key.bucket)
  }
}

function copied(value: Uint8Array | undefined): Uint8Array | undefined {
  return value?.slice()
}

function same(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return Buffer.compare(a, b) === 0
}
