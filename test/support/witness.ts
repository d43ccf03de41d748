import { judge, type Standing } from '../../src/core/decision.js'
import type { Attempt } from '../../src/core/ids.js'
import type {
  CompareAndSwapResult,
  ListedEntry,
  Storage,
  StorageEntry,
  StorageKey,
} from '../../src/ports/storage.js'
import { decodeStanding } from '../../src/wire/records.js'

/**
 * Stands right above the engine and sees every effect, also of swaps whose caller was told nothing. Breaking a rule of
 * decision records is thrown into the run at once, and kept in `broken` in case somebody catches it.
 */
export class Witness implements Storage {
  readonly broken: string[] = []
  /** Transactions that committed, each with its one attempt. */
  readonly committed = new Map<string, Attempt>()
  readonly #storage: Storage

  constructor(storage: Storage) {
    this.#storage = storage
  }

  get durability(): string {
    return this.#storage.durability
  }

  get(keys: readonly StorageKey[]): Promise<(Uint8Array | undefined)[]> {
    return this.#storage.get(keys)
  }

  async put(entries: readonly StorageEntry[]): Promise<void> {
    for (const { bucket, id } of entries)
      if (isDecision(bucket)) this.#break(`a put over the decision of ${id}`)
    await this.#storage.put(entries)
  }

  async compareAndSwap(
    key: StorageKey,
    expected: Uint8Array | undefined,
    next: Uint8Array | undefined,
  ): Promise<CompareAndSwapResult> {
    const result = await this.#storage.compareAndSwap(key, expected, next)
    if (result.swapped && isDecision(key.bucket)) this.#check(key.id, standingOf(expected), standingOf(next))
    return result
  }

  async delete(keys: readonly StorageKey[]): Promise<void> {
    for (const { bucket, id } of keys)
      if (isDecision(bucket)) this.#break(`the decision of ${id} was deleted`)
    await this.#storage.delete(keys)
  }

  list(bucket: string, options?: { readonly values?: boolean }): AsyncIterable<ListedEntry> {
    return this.#storage.list(bucket, options)
  }

  close(): Promise<void> {
    return this.#storage.close()
  }

  #check(id: string, before: Standing | undefined, after: Standing | undefined): void {
    if (after === undefined) this.#break(`the decision of ${id} was removed`)
    else if (before?.status === 'committed' || before?.status === 'aborted') {
      this.#break(`${id}: ${before.status} was replaced by ${after.status}`)
    } else if (after.status !== 'aborted') {
      const attempt = after.status === 'committed' ? after.attempt : after.upTo
      if (judge(before, attempt) !== 'write')
        this.#break(`${id}: ${after.status} by an attempt that was fenced`)
    }
    if (after?.status === 'committed') this.committed.set(id, after.attempt)
  }

  #break(what: string): void {
    this.broken.push(what)
    throw new Error(what)
  }
}

function isDecision(bucket: string): boolean {
  return bucket.startsWith('decision/')
}

function standingOf(record: Uint8Array | undefined): Standing | undefined {
  return record === undefined ? undefined : decodeStanding(record)
}
