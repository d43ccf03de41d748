import { VirgaError } from '../../errors.js'
import type { Clock } from '../../ports/clock.js'
import type { ListedEntry, Storage, StorageKey } from '../../ports/storage.js'
import type { Hold, StorageOperation } from '../faulty-storage.js'

/** Operations of one kind, or of any, on buckets whose names begin so; on one record, if one is named. */
export interface Where {
  readonly operation?: StorageOperation
  readonly bucket: string
  readonly id?: string
}

interface Rule extends Where {
  readonly before?: () => Promise<void> | undefined
  readonly after?: () => Promise<void> | undefined
}

/**
 * A part of storage that is away, slow, or stands still, while the rest of it works: as when one of its shards is in trouble.
 * Each rule holds until it is ended.
 */
export class Gates {
  readonly #clock: Clock
  readonly #rules = new Set<Rule>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Ends all rules but holds, which whoever made them ends. */
  open(): void {
    this.#rules.clear()
  }

  /** What comes by stops, before its effect or after it, until it is released. */
  hold(where: Where, point: 'before' | 'after'): Hold {
    let reach!: () => void
    const reached = new Promise<void>((resolve) => {
      reach = resolve
    })
    let end!: () => void
    const released = new Promise<void>((resolve) => {
      end = resolve
    })
    const stop = (): Promise<void> => {
      reach()
      return released
    }
    const remove = this.#add({ ...where, [point]: stop })
    return {
      reached,
      release: () => {
        remove()
        end()
      },
    }
  }

  /** What comes by fails, for sure. Returns what ends it. */
  fail(where: Where): () => void {
    return this.#add({
      ...where,
      before: () => Promise.reject(unavailable(where, 'definite')),
    })
  }

  /** What comes by has no effect, and nobody is told. Returns what ends it. */
  lose(where: Where): () => void {
    return this.#add({
      ...where,
      before: () => Promise.reject(unavailable(where, 'indefinite')),
    })
  }

  /** What comes by takes its effect, and nobody is told. Returns what ends it. */
  swallow(where: Where): () => void {
    return this.#add({
      ...where,
      after: () => Promise.reject(unavailable(where, 'indefinite')),
    })
  }

  /** What comes by takes so long before its effect. Returns what ends it. */
  slow(where: Where, ms: () => number): () => void {
    return this.#add({
      ...where,
      before: () => new Promise((resolve) => void this.#clock.timer(ms(), resolve)),
    })
  }

  wrap(storage: Storage): Storage {
    const pass = async <T>(
      operation: StorageOperation,
      keys: readonly StorageKey[],
      run: () => Promise<T>,
    ): Promise<T> => {
      const rules = this.#matching(operation, keys)
      for (const { before } of rules) await before?.()
      const result = await run()
      for (const { after } of rules) await after?.()
      return result
    }
    const isOpen = (): boolean => this.#rules.size === 0
    const listed = (bucket: string): readonly Rule[] => this.#matching('list', [{ bucket, id: '' }])
    return {
      get durability() {
        return storage.durability
      },
      get: (keys) => (isOpen() ? storage.get(keys) : pass('get', keys, () => storage.get(keys))),
      put: (entries) => (isOpen() ? storage.put(entries) : pass('put', entries, () => storage.put(entries))),
      compareAndSwap: (key, expected, next) => {
        const swap = () => storage.compareAndSwap(key, expected, next)
        return isOpen() ? swap() : pass('compareAndSwap', [key], swap)
      },
      delete: (keys) => (isOpen() ? storage.delete(keys) : pass('delete', keys, () => storage.delete(keys))),
      async *list(bucket, options): AsyncGenerator<ListedEntry, void, void> {
        const rules = listed(bucket)
        for (const { before } of rules) await before?.()
        yield* storage.list(bucket, options)
        for (const { after } of rules) await after?.()
      },
      close: () => storage.close(),
    }
  }

  #add(rule: Rule): () => void {
    this.#rules.add(rule)
    return () => void this.#rules.delete(rule)
  }

  #matching(operation: StorageOperation, keys: readonly StorageKey[]): readonly Rule[] {
    return [...this.#rules].filter(
      (rule) =>
        (rule.operation ?? operation) === operation &&
        keys.some(({ bucket, id }) => bucket.startsWith(rule.bucket) && (rule.id ?? id) === id),
    )
  }
}

function unavailable({ bucket }: Where, outcome: 'definite' | 'indefinite'): VirgaError {
  return new VirgaError('StorageUnavailable', `injected fault: ${bucket} is away`, { outcome })
}
