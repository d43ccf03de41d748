import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { VirgaError } from '../../src/errors.js'
import { openRedisStorage } from '../../src/storage/redis.js'
import type { RedisServer } from '../support/redis.js'
import {
  AOF,
  bytes,
  definite,
  indefinite,
  key,
  NOT_OURS,
  opened,
  recovered,
  server,
} from '../support/redis-storage.js'
import { timed } from '../support/timed.js'
import { untilEnough } from '../support/until.js'

describe('what it costs', () => {
  test('a compare-and-swap from absent is one command, and a refused one two', async () => {
    const redis = await server()
    const storage = await opened(redis.url)
    await redis.command('CONFIG', 'RESETSTAT')
    await Promise.all(
      Array.from({ length: 200 }, (_, n) => storage.compareAndSwap(key(`k${n}`), undefined, bytes('v'))),
    )
    const counts = await redis.commandCounts()
    expect(Object.fromEntries(counts)).toMatchObject({ hsetnx: 200 })
    for (const name of counts.keys()) expect(['hsetnx', ...NOT_OURS]).toContain(name)

    await redis.command('CONFIG', 'RESETSTAT')
    await storage.compareAndSwap(key('k0'), undefined, bytes('w'))
    await storage.compareAndSwap(key('k0'), bytes('v'), bytes('w'))
    await storage.get(Array.from({ length: 200 }, (_, n) => key(`k${n}`)))
    await storage.put(Array.from({ length: 200 }, (_, n) => ({ ...key(`k${n}`), value: bytes('p') })))
    const others = await redis.commandCounts()
    expect(others.get('hsetnx')).toBe(1)
    expect(others.get('hmget')).toBe(1)
    // One of the put, one within the script.
    expect(others.get('hset')).toBe(2)
    // One after the refusal, one within the script.
    expect(others.get('hget')).toBe(2)
  })

  test('the script is loaded anew where the server has lost it', async () => {
    const redis = await server()
    const storage = await opened(redis.url)
    await storage.put([{ ...key('k'), value: bytes('0') }])
    for (let n = 0; n < 3; n += 1) {
      await redis.command('SCRIPT', 'FLUSH')
      const swap = await storage.compareAndSwap(key('k'), bytes(`${n}`), bytes(`${n + 1}`))
      expect(swap).toEqual({ swapped: true })
    }
  })
})

describe('a server that stands still', () => {
  test('writes fail indefinite, reads definite, all within the time-out; then all is well again', async () => {
    const redis = await server()
    const storage = await opened(redis.url)
    await storage.put([{ ...key('k'), value: bytes('v') }])
    redis.pause()
    const runs = await Promise.all([
      timed(() => storage.compareAndSwap(key('new'), undefined, bytes('v'))),
      timed(() => storage.compareAndSwap(key('k'), bytes('v'), bytes('w'))),
      timed(() => storage.put([{ ...key('p'), value: bytes('v') }])),
      timed(() => storage.delete([key('q')])),
    ])
    const read = await timed(() => storage.get([key('k')]))
    for (const { settled, ms } of runs) {
      expect(settled).toMatchObject({ status: 'rejected', reason: indefinite })
      expect(ms).toBeLessThan(1_000)
    }
    expect(read.settled).toMatchObject({ status: 'rejected', reason: definite })
    expect(read.ms).toBeLessThan(1_000)
    redis.resume()
    await recovered(storage)
    await storage.put([{ ...key('later'), value: bytes('v') }])
  })

  test('closing does not hang', async () => {
    const redis = await server()
    const storage = await opened(redis.url)
    redis.pause()
    const write = timed(() => storage.put([{ ...key('p'), value: bytes('v') }]))
    const { ms } = await timed(() => storage.close())
    expect(ms).toBeLessThan(4_500)
    expect((await write).settled).toMatchObject({ status: 'rejected', reason: indefinite })
  })
})

describe('a server that dies', () => {
  test('under load, again and again: what was acknowledged stays, what failed definite is not there', async () => {
    const redis = await server(AOF)
    const warnings: string[] = []
    const storage = await opened(redis.url, { onWarning: (message) => warnings.push(message) })
    const outcomes = new Map<string, string>()
    let running = true
    let next = 0
    let acknowledged = 0
    const load = Array.from({ length: 64 }, async () => {
      while (running) {
        const id = `w${next++}`
        const outcome = await storage.compareAndSwap(key(id), undefined, bytes(id)).then(
          ({ swapped }) => (swapped ? 'acknowledged' : 'standing'),
          (error) => {
            expect(VirgaError.is(error)).toBe(true)
            expect(error.code).toBe('StorageUnavailable')
            return error.outcome as string
          },
        )
        outcomes.set(id, outcome)
        if (outcome === 'acknowledged') acknowledged++
      }
    })
    for (let round = 0; round < 4; round += 1) {
      const before = acknowledged
      await untilEnough(100 + round * 7, () => acknowledged > before + 25)
      await redis.kill()
      await sleep(50 + round * 200)
      await redis.restart()
    }
    await recovered(storage)
    running = false
    await Promise.all(load)

    const found = new Set<string>()
    for await (const { id } of storage.list('decision/1/0')) found.add(id)
    const tally: Record<string, number> = {}
    for (const [id, outcome] of outcomes) {
      tally[outcome] = (tally[outcome] ?? 0) + 1
      if (outcome === 'acknowledged') expect(found.has(id), `${id} was acknowledged`).toBe(true)
      if (outcome === 'definite') expect(found.has(id), `${id} failed, definite`).toBe(false)
    }
    // Nobody else writes: a write that found itself standing would have been sent twice.
    expect(tally.standing).toBeUndefined()
    expect(tally.indefinite).toBeGreaterThan(0)
    expect(warnings.some((warning) => warning.includes('lost'))).toBe(true)
    expect(warnings.some((warning) => warning.includes('again'))).toBe(true)
  })

  test('while it is away: definite within the time-out; what waits is done once it is back', async () => {
    const redis = await server(AOF)
    const storage = await opened(redis.url)
    await redis.kill()
    await sleep(50)
    const { settled, ms } = await timed(() => storage.compareAndSwap(key('k'), undefined, bytes('v')))
    expect(settled).toMatchObject({ status: 'rejected', reason: definite })
    expect(ms).toBeGreaterThan(400)
    expect(ms).toBeLessThan(1_000)
    expect((await timed(() => storage.get([key('k')]))).settled).toMatchObject({ reason: definite })

    const patient = await opened((await restarted(redis)).url, { operationTimeoutMs: 10_000 })
    await redis.kill()
    await sleep(50)
    const waiting = patient.compareAndSwap(key('k'), undefined, bytes('v'))
    await sleep(300)
    await redis.restart()
    expect(await waiting).toEqual({ swapped: true })
  })

  test('while it is away: no more than 10,000 operations wait', async () => {
    const redis = await server()
    const storage = await opened(redis.url)
    await redis.kill()
    await sleep(50)
    // In the order in which they were told.
    const said: string[] = []
    const all = Array.from({ length: 12_000 }, (_, n) =>
      storage.compareAndSwap(key(`${n}`), undefined, bytes('v')).catch((error) => {
        expect(error).toMatchObject(definite)
        said.push(error.message)
      }),
    )
    await Promise.all(all)
    expect(said).toHaveLength(12_000)
    expect(said.filter((message) => message.includes('10000 operations wait'))).toHaveLength(2_000)
    expect(said[1_999], 'at once, before those that wait').toBe(said[0])
    expect(said[2_000]).not.toBe(said[0])
  })

  test('opening: a typed error when nobody is there, and no unhandled error event', async () => {
    const redis = await server()
    await redis.kill()
    const { settled, ms } = await timed(() => openRedisStorage({ url: redis.url, connectTimeoutMs: 300 }))
    expect(settled).toMatchObject({ status: 'rejected', reason: definite })
    expect(String((settled as PromiseRejectedResult).reason.message)).toMatch(/ECONNREFUSED/)
    expect(ms).toBeLessThan(1_500)
  })
})

async function restarted(redis: RedisServer): Promise<RedisServer> {
  await redis.restart()
  return redis
}

describe('a server that refuses', () => {
  test('out of memory: definite, and reads go on', async () => {
    const redis = await server()
    const storage = await opened(redis.url)
    await storage.put([{ ...key('k'), value: bytes('v') }])
    await redis.command('CONFIG', 'SET', 'maxmemory', 1)
    for (const write of [
      () => storage.compareAndSwap(key('new'), undefined, bytes('v')),
      () => storage.compareAndSwap(key('k'), bytes('v'), bytes('w')),
      () => storage.put([{ ...key('new'), value: bytes('v') }]),
    ]) {
      await expect(write()).rejects.toMatchObject({
        ...definite,
        message: expect.stringContaining('out of memory'),
      })
    }
    expect(await storage.get([key('k'), key('new')])).toEqual([bytes('v'), undefined])
    await storage.delete([key('k')])
    await redis.command('CONFIG', 'SET', 'maxmemory', 0)
    expect(await storage.compareAndSwap(key('k'), undefined, bytes('v'))).toEqual({ swapped: true })
  })

  test('read-only, too few replicas, a foreign key under our name: definite', async () => {
    const redis = await server()
    const storage = await opened(redis.url)
    await redis.command('CONFIG', 'SET', 'min-replicas-to-write', 1)
    await expect(storage.compareAndSwap(key('k'), undefined, bytes('v'))).rejects.toMatchObject({
      ...definite,
      message: expect.stringContaining('replicas'),
    })
    await redis.command('CONFIG', 'SET', 'min-replicas-to-write', 0)
    await redis.command('SET', 'virga:foreign', 'x')
    await expect(storage.put([{ ...key('k', 'foreign'), value: bytes('v') }])).rejects.toMatchObject(definite)
    await expect(storage.get([key('k', 'foreign')])).rejects.toMatchObject(definite)

    await redis.command('REPLICAOF', '127.0.0.1', 1)
    await expect(storage.compareAndSwap(key('k'), undefined, bytes('v'))).rejects.toMatchObject({
      ...definite,
      message: expect.stringContaining('replica'),
    })
    await expect(openRedisStorage({ url: redis.url })).rejects.toMatchObject({ code: 'InvalidArgument' })
    await redis.command('REPLICAOF', 'NO', 'ONE')
    await recovered(storage)
  })

  test('a password: refused without, served with, and in no message', async () => {
    const redis = await server()
    await redis.command('ACL', 'SETUSER', 'virga', 'on', '>s3cret', '~*', '+@all')
    await redis.command('ACL', 'SETUSER', 'default', 'off')
    const host = `127.0.0.1:${redis.port}`
    for (const url of [`redis://${host}`, `redis://virga:wr0ng@${host}`]) {
      const { settled } = await timed(() => openRedisStorage({ url, connectTimeoutMs: 500 }))
      expect(settled).toMatchObject({ status: 'rejected', reason: definite })
      expect(inspect(settled, { depth: 9, showHidden: true })).not.toContain('wr0ng')
    }
    const storage = await opened(`redis://virga:s3cret@${host}`)
    await storage.put([{ ...key('k'), value: bytes('v') }])
    const other = await opened(`redis://${host}`, { username: 'virga', password: 's3cret' })
    expect(await other.get([key('k')])).toEqual([bytes('v')])
  })

  test('part of a batch: the whole put fails, and tells that some may be written', async () => {
    const redis = await server()
    const storage = await opened(redis.url)
    await redis.command('SET', 'virga:foreign', 'x')
    const batch = ['a', 'foreign', 'b'].map((bucket) => ({ ...key('k', bucket), value: bytes('v') }))
    await expect(storage.put(batch)).rejects.toMatchObject(indefinite)
    await expect(storage.delete(batch)).rejects.toMatchObject(indefinite)
    await expect(storage.get(batch)).rejects.toMatchObject(definite)
    await expect(storage.put([batch[1]!])).rejects.toMatchObject(definite)
  })
})
