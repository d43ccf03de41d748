import { equalBytes } from '../../src/core/bytes.js'
import { isCommit, judge, type Marker, markerOf, type Standing } from '../../src/core/decision.js'
import type { Attempt } from '../../src/core/ids.js'
import type {
  CompareAndSwapResult,
  ListedEntry,
  Storage,
  StorageEntry,
  StorageKey,
} from '../../src/ports/storage.js'
import { decodeStanding, encodeStanding } from '../../src/wire/records.js'

/**
 * Stands right above the engine and sees every effect, also of swaps whose caller was told nothing. Breaking a rule of
 * decision records is thrown into the run at once, and kept in `broken` in case somebody catches it.
 */
export class Witness implements Storage {
  readonly broken: string[] = []
  /** Transactions that committed, each with its one attempt. */
  readonly committed = new Map<string, Attempt>()
  /** Of each transaction that committed, the record that its decision may shrink to. */
  readonly #markers = new Map<string, Uint8Array>()
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
    for (const { bucket, id, value } of entries) {
      if (!isDecision(bucket)) continue
      // Collection alone writes without comparing: what it writes is the same for whoever does it.
      const [before] = await this.#storage.get([{ bucket, id }])
      const after = decodeStanding(value)
      if (after.status !== 'compacted') this.#break(`a put of ${after.status} over the decision of ${id}`)
      this.#check(id, standingOf(before), after)
    }
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
    for (const { bucket, id } of keys) {
      if (!isDecision(bucket)) continue
      const [before] = await this.#storage.get([{ bucket, id }])
      if (standingOf(before)?.status === 'committed') this.#break(`the decision of ${id} was deleted`)
    }
    await this.#storage.delete(keys)
  }

  list(bucket: string, options?: { readonly values?: boolean }): AsyncIterable<ListedEntry> {
    return this.#storage.list(bucket, options)
  }

  close(): Promise<void> {
    return this.#storage.close()
  }

  #check(id: string, before: Standing | undefined, after: Standing | undefined): void {
    if (after === undefined) {
      if (before?.status === 'committed') this.#break(`the decision of ${id} was removed`)
    } else if (after.status === 'compacted') this.#checkMarker(id, before, after)
    else if (isCommit(before) || before?.status === 'aborted') {
      this.#break(`${id}: ${before.status} was replaced by ${after.status}`)
    } else if (after.status !== 'aborted') {
      const attempt = after.status === 'committed' ? after.attempt : after.upTo
      if (judge(before, attempt) !== 'write')
        this.#break(`${id}: ${after.status} by an attempt that was fenced`)
    }
    if (after?.status !== 'committed') return
    // Its marker may have been deleted since: it has committed for ever.
    if (this.committed.has(id)) this.#break(`${id} committed twice`)
    this.committed.set(id, after.attempt)
    this.#markers.set(id, encodeStanding(markerOf(after)))
  }

  /** A marker says what the decision said. */
  #checkMarker(id: string, before: Standing | undefined, after: Marker): void {
    const due = before?.status === 'committed' ? encodeStanding(markerOf(before)) : this.#markers.get(id)
    if (due === undefined || !equalBytes(due, encodeStanding(after)))
      this.#break(`${id}: a marker that is not its decision's, over ${before?.status ?? 'nothing'}`)
    if (before !== undefined && !isCommit(before)) this.#break(`${id}: a marker over ${before.status}`)
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
