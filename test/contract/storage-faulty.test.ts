import { test } from 'vitest'
import { createMemoryStorage } from '../../src/storage/memory.js'
import { createFaultyStorage } from '../../src/testing/faulty-storage.js'
import { storageSuite } from '../../src/testing/storage-suite.js'
import { handClock, seededRandom } from '../support/ports.js'

storageSuite({
  test,
  fixture: async () => ({
    storage: createFaultyStorage(createMemoryStorage(), { clock: handClock(), random: seededRandom(1) }),
  }),
})
