import { LRUCache } from 'lru-cache'
import type { Context } from '../../core/context.js'
import type { TxnId } from '../../core/ids.js'
import { CODE_BYTES } from '../../wire/context.js'

/** Bytes of all of them, and of one. */
const BYTES_MAX = 2 * 1024 * 1024
const CONTEXT_BYTES_MAX = 16 * 1024

interface Known {
  readonly context: Context
  readonly bytes: Uint8Array
}

/**
 * Contexts that were handed off here: what comes back need not be decoded, nor its code be computed. Those that executors made are
 * decoded each time, which costs no more than to remember them. Until their transactions are settled, since what stays for longer
 * than that costs the garbage collector more than it saves.
 */
export class KnownContexts {
  /** By their codes. */
  readonly #all = new LRUCache<string, Known>({
    maxSize: BYTES_MAX,
    maxEntrySize: CONTEXT_BYTES_MAX,
    sizeCalculation: ({ bytes }) => bytes.length,
    dispose: ({ context }, code) => this.#forget(context.txn, code),
  })
  readonly #codes = new Map<TxnId, string | Set<string>>()

  get size(): number {
    return this.#all.size
  }

  /** @param bytes stay as they are */
  add(bytes: Uint8Array, context: Context): void {
    if (bytes.length > CONTEXT_BYTES_MAX) return
    const code = codeOf(bytes)
    this.#all.set(code, { context, bytes })
    const { txn } = context
    const others = this.#codes.get(txn)
    if (others === undefined) this.#codes.set(txn, code)
    else if (typeof others === 'string') this.#codes.set(txn, new Set([others, code]))
    else others.add(code)
  }

  find(bytes: Uint8Array): Context | undefined {
    const known = this.#all.get(codeOf(bytes))
    // The code alone says nothing: anyone can copy it.
    return known !== undefined && Buffer.compare(known.bytes, bytes) === 0 ? known.context : undefined
  }

  drop(txn: TxnId): void {
    const codes = this.#codes.get(txn)
    if (codes === undefined) return
    this.#codes.delete(txn)
    for (const code of typeof codes === 'string' ? [codes] : codes) this.#all.delete(code)
  }

  #forget(txn: TxnId, code: string): void {
    const codes = this.#codes.get(txn)
    if (codes === code) this.#codes.delete(txn)
    else if (codes instanceof Set && codes.delete(code) && codes.size === 0) this.#codes.delete(txn)
  }
}

/** The code that a context ends with. */
export function codeOf(bytes: Uint8Array): string {
  const code = bytes.subarray(Math.max(0, bytes.length - CODE_BYTES))
  return Buffer.from(code.buffer, code.byteOffset, code.length).toString('latin1')
}
