/**
 * What every engine shares: arguments are checked once, here; after `close` every method rejects with `Closed`; and
 * `close` waits for what is under way. An engine overrides the protected methods and may trust what it is given.
 */
import { VirgaError } from '../errors.js'
import type {
  CompareAndSwapResult,
  ListedEntry,
  Storage,
  StorageEntry,
  StorageKey,
} from '../ports/storage.js'

export const BUCKET_LENGTH_MAX = 64
export const ID_BYTES_MAX = 1_200
export const VALUE_BYTES_MAX_DEFAULT = 64 * 1024 * 1024
/** Keys or entries in one call. Callers that have more split them. */
export const BATCH_ENTRIES_MAX = 100_000

const BUCKET = /^[a-z0-9/-]{1,64}$/

export interface GuardLimits {
  /** The largest value, in bytes. Default 64 MiB. */
  readonly valueBytesMax?: number
}

export abstract class GuardedStorage implements Storage {
  abstract readonly durability: string
  readonly #valueBytesMax: number
  #underWay = 0
  #closing: Promise<void> | undefined
  #idle: (() => void) | undefined

  constructor(limits: GuardLimits = {}) {
    const valueBytesMax = limits.valueBytesMax ?? VALUE_BYTES_MAX_DEFAULT
    if (!Number.isSafeInteger(valueBytesMax) || valueBytesMax < 1) {
      throw new VirgaError(
        'InvalidArgument',
        `valueBytesMax must be a whole number above 0, not ${valueBytesMax}`,
      )
    }
    this.#valueBytesMax = valueBytesMax
  }

  async get(keys: readonly StorageKey[]): Promise<(Uint8Array | undefined)[]> {
    this.#begin()
    try {
      this.#checkBatch(keys)
      for (const key of keys) checkKey(key)
      return keys.length === 0 ? [] : await this.read(keys)
    } finally {
      this.#end()
    }
  }

  async put(entries: readonly StorageEntry[]): Promise<void> {
    this.#begin()
    try {
      this.#checkBatch(entries)
      for (const entry of entries) {
        checkKey(entry)
        this.#checkValue(entry.value)
      }
      if (entries.length > 0) await this.write(entries)
    } finally {
      this.#end()
    }
  }

  async compareAndSwap(
    key: StorageKey,
    expected: Uint8Array | undefined,
    next: Uint8Array | undefined,
  ): Promise<CompareAndSwapResult> {
    this.#begin()
    try {
      checkKey(key)
      if (expected !== undefined) this.#checkValue(expected)
      if (next !== undefined) this.#checkValue(next)
      return await this.swap(key, expected, next)
    } finally {
      this.#end()
    }
  }

  async delete(keys: readonly StorageKey[]): Promise<void> {
    this.#begin()
    try {
      this.#checkBatch(keys)
      for (const key of keys) checkKey(key)
      if (keys.length > 0) await this.remove(keys)
    } finally {
      this.#end()
    }
  }

  /** A listing is under way only while one of its steps is, so one that was left in the middle holds up no `close`. */
  async *list(
    bucket: string,
    options: { readonly values?: boolean } = {},
  ): AsyncGenerator<ListedEntry, void, void> {
    const pages = this.pages(bucket, options.values === true)[Symbol.asyncIterator]()
    try {
      checkBucket(bucket)
      for (;;) {
        this.#begin()
        let page: IteratorResult<readonly ListedEntry[]>
        try {
          page = await pages.next()
        } finally {
          this.#end()
        }
        if (page.done === true) return
        for (const entry of page.value) {
          if (this.#closing !== undefined) throw closed()
          yield entry
        }
      }
    } finally {
      await pages.return?.()
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#finish()
    return this.#closing
  }

  /** At least one key, all valid. */
  protected abstract read(keys: readonly StorageKey[]): Promise<(Uint8Array | undefined)[]>
  /** At least one entry, all valid. When a key comes twice, either value may stand. */
  protected abstract write(entries: readonly StorageEntry[]): Promise<void>
  protected abstract swap(
    key: StorageKey,
    expected: Uint8Array | undefined,
    next: Uint8Array | undefined,
  ): Promise<CompareAndSwapResult>
  protected abstract remove(keys: readonly StorageKey[]): Promise<void>
  /** The listing in pages of a bounded number of entries. Called before the bucket is checked: must be lazy. */
  protected abstract pages(bucket: string, values: boolean): AsyncIterable<readonly ListedEntry[]>
  /** Called once, when nothing is under way any more. */
  protected abstract shut(): Promise<void>

  async #finish(): Promise<void> {
    if (this.#underWay > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve
      })
    }
    await this.shut()
  }

  #begin(): void {
    if (this.#closing !== undefined) throw closed()
    this.#underWay += 1
  }

  #end(): void {
    this.#underWay -= 1
    if (this.#underWay === 0) this.#idle?.()
  }

  #checkBatch(batch: readonly unknown[]): void {
    if (batch.length > BATCH_ENTRIES_MAX) {
      throw new VirgaError(
        'LimitExceeded',
        `a storage batch of ${batch.length}, the most is ${BATCH_ENTRIES_MAX}`,
      )
    }
  }

  #checkValue(value: Uint8Array): void {
    if (!(value instanceof Uint8Array)) {
      throw new VirgaError('InvalidArgument', 'a storage value must be a Uint8Array')
    }
    if (value.byteLength > this.#valueBytesMax) {
      throw new VirgaError(
        'LimitExceeded',
        `a storage value of ${value.byteLength} bytes, the most is ${this.#valueBytesMax}`,
      )
    }
  }
}

export function closed(): VirgaError {
  return new VirgaError('Closed', 'the storage is closed')
}

export function checkBucket(bucket: string): void {
  if (typeof bucket !== 'string' || !BUCKET.test(bucket)) {
    throw new VirgaError(
      'InvalidArgument',
      `a bucket must be 1 to ${BUCKET_LENGTH_MAX} characters of a-z 0-9 / -, not ${JSON.stringify(bucket)}`,
    )
  }
}

function checkKey(key: StorageKey): void {
  checkBucket(key.bucket)
  const { id } = key
  if (typeof id !== 'string' || id.length === 0 || !isWellFormed(id)) {
    throw new VirgaError('InvalidArgument', 'a storage id must be a well-formed string that is not empty')
  }
  // No UTF-16 unit takes more than 3 bytes, so most ids need not be measured.
  if (id.length * 3 > ID_BYTES_MAX && Buffer.byteLength(id) > ID_BYTES_MAX) {
    throw new VirgaError(
      'LimitExceeded',
      `a storage id of ${Buffer.byteLength(id)} bytes of UTF-8, the most is ${ID_BYTES_MAX}`,
    )
  }
}

/** ES2024, in every Node that virga runs on, and not in the library that it is compiled against. */
function isWellFormed(text: string): boolean {
  return (text as string & { isWellFormed(): boolean }).isWellFormed()
}
