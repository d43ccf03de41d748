import { afterAll, beforeAll, describe, test } from 'vitest'
import { openRedisStorage } from '../../src/storage/redis.js'
import { type StorageFixture, storageSuite } from '../../src/testing/storage-suite.js'
import { startRedis, startRedisCluster } from '../support/redis.js'

let fixtures = 0

/** Tests share a server, each with a prefix of its own. */
async function fixture(url: string): Promise<StorageFixture> {
  fixtures += 1
  const another = () => openRedisStorage({ url, prefix: `test-${fixtures}:` })
  return { storage: await another(), another }
}

describe('standalone', () => {
  let server: Awaited<ReturnType<typeof startRedis>>
  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(() => server?.stop())
  storageSuite({ test, shared: true, fixture: () => fixture(server.url) })
})

describe('Cluster of three masters', () => {
  let cluster: Awaited<ReturnType<typeof startRedisCluster>>
  beforeAll(async () => {
    cluster = await startRedisCluster({ masters: 3 })
  })
  afterAll(() => cluster?.stop())
  storageSuite({ test, shared: true, fixture: () => fixture(cluster.url) })
})
