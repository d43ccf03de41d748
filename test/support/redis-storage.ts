/** Opening Redis storage on servers that a test starts, and what is asked of both. Cleans up after each test. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect } from 'vitest'
import type { Storage } from '../../src/ports/storage.js'
import { openRedisStorage, type RedisStorageOptions } from '../../src/storage/redis.js'
import { type RedisServer, type RedisServerOptions, startRedis } from './redis.js'

export const cleanUps: (() => Promise<unknown>)[] = []
afterEach(async () => {
  // Storages first: they are the latest.
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

export async function server(config: RedisServerOptions['config'] = {}): Promise<RedisServer> {
  const started = await startRedis({ config })
  cleanUps.push(() => started.stop())
  return started
}

export async function opened(url: string, options: Omit<RedisStorageOptions, 'url'> = {}): Promise<Storage> {
  const storage = await openRedisStorage({
    url,
    operationTimeoutMs: 500,
    connectTimeoutMs: 2_000,
    ...options,
  })
  cleanUps.push(() => storage.close())
  return storage
}

export const AOF = { appendonly: 'yes', appendfsync: 'always' }
export const bytes = (text: string) => new TextEncoder().encode(text)
export const key = (id: string, bucket = 'decision/1/0') => ({ bucket, id })

/** What asking for the counts adds to them. */
export const NOT_OURS = ['config|resetstat', 'info', 'hello']

export const definite = { code: 'StorageUnavailable', outcome: 'definite' }
export const indefinite = { code: 'StorageUnavailable', outcome: 'indefinite' }

/** Until the storage answers again. */
export async function recovered(storage: Storage): Promise<void> {
  for (const end = performance.now() + 15_000; ; ) {
    try {
      await storage.compareAndSwap(key('probe', 'probe'), undefined, bytes('x'))
      return
    } catch (error) {
      if (performance.now() > end) throw error
    }
  }
}

/** Until a replica follows this master. */
export async function online(master: RedisServer): Promise<void> {
  for (let n = 0; !String(await master.command('INFO', 'replication')).includes('state=online'); n += 1) {
    expect(n).toBeLessThan(1_000)
    await sleep(10)
  }
}

export async function recoveredRead(
  storage: Storage,
  entry: { readonly bucket: string; readonly id: string },
): Promise<void> {
  for (const end = performance.now() + 15_000; ; ) {
    try {
      await storage.get([entry])
      return
    } catch (error) {
      if (performance.now() > end) throw error
    }
  }
}
