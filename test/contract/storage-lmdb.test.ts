import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'vitest'
import { openLmdbStorage } from '../../src/storage/lmdb.js'
import { type StorageFixture, storageSuite } from '../../src/testing/storage-suite.js'

async function fixture(sync: boolean): Promise<StorageFixture> {
  const path = await mkdtemp(join(tmpdir(), 'virga-lmdb-'))
  const another = () => openLmdbStorage({ path, sync })
  return { storage: await another(), another, dispose: () => rm(path, { recursive: true }) }
}

describe('with sync', () => storageSuite({ test, shared: true, fixture: () => fixture(true) }))
describe('without sync', () => storageSuite({ test, shared: true, fixture: () => fixture(false) }))
