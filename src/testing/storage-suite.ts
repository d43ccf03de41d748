/**
 * The contract of `Storage` as tests that any engine can be put through, under any runner.
 *
 * ```ts
 * import { test } from 'vitest'
 * storageSuite({ test, fixture: async () => ({ storage: await openYourEngine() }) })
 * ```
 */
import assert from 'node:assert/strict'
import type { Storage } from '../ports/storage.js'
import { readsAndWrites } from './storage-suite/batches.js'
import type { Check } from './storage-suite/kit.js'
import { listing } from './storage-suite/listing.js'
import { refusals } from './storage-suite/refusals.js'
import { sharing } from './storage-suite/sharing.js'
import { compareAndSwap } from './storage-suite/swaps.js'
import { nastyKeys, values } from './storage-suite/values.js'

export interface StorageFixture {
  /** Empty, and nobody else's. The suite closes it. */
  readonly storage: Storage
  /** Opens the same data once more, as another process would. The suite closes what it opens. */
  readonly another?: () => Promise<Storage>
  /** After everything was closed, also when the test failed. */
  readonly dispose?: () => Promise<void>
}

export interface StorageSuiteOptions {
  /** As of vitest, `node:test`, mocha. */
  readonly test: (name: string, run: () => Promise<void>) => unknown
  /** Called once for each test. */
  readonly fixture: () => Promise<StorageFixture>
  /** The fixture has `another`: adds the tests of two instances over one data. */
  readonly shared?: boolean
}

/** Registers the tests with the runner whose `test` is given. An engine that breaks the contract fails them. */
export function storageSuite({ test, fixture, shared = false }: StorageSuiteOptions): void {
  const check: Check = (name, run) => {
    test(name, async () => {
      const made = await fixture()
      const opened: Storage[] = [made.storage]
      const another = async (): Promise<Storage> => {
        assert.ok(made.another, 'a shared fixture must have `another`')
        const storage = await made.another()
        opened.push(storage)
        return storage
      }
      try {
        await run({ storage: made.storage, another })
      } finally {
        await Promise.all(opened.map((storage) => storage.close()))
        await made.dispose?.()
      }
    })
  }

  readsAndWrites(check)
  compareAndSwap(check)
  nastyKeys(check)
  values(check)
  listing(check)
  refusals(check)
  if (shared) sharing(check)
}
