import { test } from 'vitest'
import { createMemoryStorage } from '../../src/storage/memory.js'
import { storageSuite } from '../../src/testing/storage-suite.js'

storageSuite({ test, fixture: async () => ({ storage: createMemoryStorage() }) })
