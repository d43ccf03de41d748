import { LRUCache } from 'lru-cache'
import type { Context } from '../../core/context.js'
import type { TxnId } from '../../core/ids.js'

/** Characters of all texts, and of one. */
const CHARS_MAX = 2 * 1024 * 1024
const CONTEXT_CHARS_MAX = 16 * 1024

/**
 * Contexts that were handed off here, by their texts: what comes back need not be decoded, nor its codes be computed again. Until
 * their transactions are settled, since what stays for longer than that costs the garbage collector more than it saves.
 */
export class KnownContexts {
  readonly #byText = new LRUCache<string, Context>({
    maxSize: CHARS_MAX,
    maxEntrySize: CONTEXT_CHARS_MAX,
    sizeCalculation: (_, text) => text.length,
    dispose: ({ txn }, text) => this.#forget(txn, text),
  })
  readonly #texts = new Map<TxnId, string | Set<string>>()

  get size(): number {
    return this.#byText.size
  }

  add(text: string, context: Context): void {
    if (text.length > CONTEXT_CHARS_MAX) return
    this.#byText.set(text, context)
    const { txn } = context
    const others = this.#texts.get(txn)
    if (others === undefined) this.#texts.set(txn, text)
    else if (typeof others === 'string') this.#texts.set(txn, new Set([others, text]))
    else others.add(text)
  }

  find(text: string): Context | undefined {
    return this.#byText.get(text)
  }

  drop(txn: TxnId): void {
    const texts = this.#texts.get(txn)
    if (texts === undefined) return
    this.#texts.delete(txn)
    for (const text of typeof texts === 'string' ? [texts] : texts) this.#byText.delete(text)
  }

  #forget(txn: TxnId, text: string): void {
    const texts = this.#texts.get(txn)
    if (texts === text) this.#texts.delete(txn)
    else if (texts instanceof Set && texts.delete(text) && texts.size === 0) this.#texts.delete(txn)
  }
}
