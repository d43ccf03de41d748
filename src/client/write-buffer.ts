import { checkKey } from '../core/keys.js'
import { WriteSetBuilder, type Writes } from '../core/write-set.js'
import { type Limits, limitExceeded } from '../limits.js'
import { mark } from '../marks.js'

/**
 * What a function has written, as far as the node has not got it. Values that were sent ahead are forgotten here; their
 * sizes still count.
 */
export class WriteBuffer {
  readonly #limits: Limits
  readonly #ahead = new Map<string, number>()
  #kept: WriteSetBuilder
  #aheadBytes = 0

  constructor(limits: Limits) {
    this.#limits = limits
    this.#kept = new WriteSetBuilder(limits)
  }

  get isEmpty(): boolean {
    return this.#kept.size === 0 && this.#ahead.size === 0
  }

  /** Bytes that the node has not got yet. */
  get keptBytes(): number {
    return this.#kept.bytes
  }

  /** The encoded value, null for a deletion, `ahead` if only the node has it, undefined if the key was not written. */
  get(key: string): Uint8Array | null | undefined | 'ahead' {
    const kept = this.#kept.get(key)
    if (kept !== undefined) return kept
    return this.#ahead.has(key) ? 'ahead' : undefined
  }

  set(key: string, value: Uint8Array | null): void {
    checkKey(key, this.#limits)
    // A key that was sent ahead counts twice until it is sent again; the node, which knows better, has the last word.
    const keys = this.#ahead.size + this.#kept.size
    if (keys >= this.#limits.writeSetKeysMax && this.get(key) === undefined) {
      mark('limit.keys')
      throw limitExceeded('the write set', keys + 1, this.#limits.writeSetKeysMax, 'keys')
    }
    const bytes = this.#aheadBytes + this.#kept.bytes + key.length + (value?.length ?? 0)
    if (this.#ahead.size > 0 && bytes > this.#limits.writeSetBytesMax) {
      mark('limit.bytes-ahead')
      throw limitExceeded('the write set', bytes, this.#limits.writeSetBytesMax, 'bytes')
    }
    this.#kept.set(key, value)
  }

  /** Hands over what is kept, to be sent. */
  take(): Writes {
    return this.#kept.writes
  }

  /** What was taken is on its way to the node. */
  sentAhead(): void {
    for (const [key, value] of this.#kept.writes) {
      const bytes = key.length + (value?.length ?? 0)
      this.#aheadBytes += bytes - (this.#ahead.get(key) ?? 0)
      this.#ahead.set(key, bytes)
    }
    this.#kept = new WriteSetBuilder(this.#limits)
  }
}
