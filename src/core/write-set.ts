import { type Limits, limitExceeded } from '../limits.js'
import { mark } from '../marks.js'

/** What one function execution wrote: key to encoded value, null where it deleted. */
export type Writes = ReadonlyMap<string, Uint8Array | null>

/** The write set of a running function: the last write of a key is what counts. Bounded in keys and bytes. */
export class WriteSetBuilder {
  readonly #writes = new Map<string, Uint8Array | null>()
  readonly #limits: Limits
  #bytes = 0

  constructor(limits: Limits) {
    this.#limits = limits
  }

  get writes(): Writes {
    return this.#writes
  }

  get size(): number {
    return this.#writes.size
  }

  /** Bytes of all values and, counted as UTF-16 units, all keys. */
  get bytes(): number {
    return this.#bytes
  }

  /** Undefined: not written here. Null: deleted here. */
  get(key: string): Uint8Array | null | undefined {
    return this.#writes.get(key)
  }

  /** Throws `LimitExceeded`, and then leaves the write set as it was. */
  set(key: string, value: Uint8Array | null): void {
    const size = value?.length ?? 0
    if (size > this.#limits.valueBytesMax) {
      mark('limit.value')
      throw limitExceeded('a value', size, this.#limits.valueBytesMax, 'bytes')
    }
    const before = this.#writes.get(key)
    if (before === undefined && this.#writes.size >= this.#limits.writeSetKeysMax) {
      mark('limit.keys')
      throw limitExceeded('the write set', this.#writes.size + 1, this.#limits.writeSetKeysMax, 'keys')
    }
    const bytes = this.#bytes + size + (before === undefined ? key.length : -(before?.length ?? 0))
    if (bytes > this.#limits.writeSetBytesMax) {
      mark('limit.bytes')
      throw limitExceeded('the write set', bytes, this.#limits.writeSetBytesMax, 'bytes')
    }
    this.#writes.set(key, value)
    this.#bytes = bytes
  }

  /** What writes count as: their values, and their keys in UTF-16 units. */
  static sizeOf(writes: Iterable<readonly [string, Uint8Array | null]>): number {
    let bytes = 0
    for (const [key, value] of writes) bytes += key.length + (value?.length ?? 0)
    return bytes
  }
}
