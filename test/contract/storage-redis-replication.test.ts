import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { openRedisStorage } from '../../src/storage/redis.js'
import { startRedisCluster, startRedisSentinel } from '../support/redis.js'
import {
  AOF,
  bytes,
  cleanUps,
  definite,
  indefinite,
  key,
  online,
  opened,
  recovered,
  recoveredRead,
  server,
} from '../support/redis-storage.js'
import { timed } from '../support/timed.js'
import { untilEnough } from '../support/until.js'

describe('what it promises', () => {
  test('a policy that evicts is refused unless it is allowed', async () => {
    const redis = await server({ 'maxmemory-policy': 'allkeys-lru' })
    await expect(openRedisStorage({ url: redis.url })).rejects.toMatchObject({
      code: 'InvalidArgument',
      message: expect.stringContaining('allkeys-lru'),
    })
    const storage = await opened(redis.url, { allowEviction: true })
    expect(storage.durability).toContain('allkeys-lru')
    const byUrl = await opened(`${redis.url}?allowEviction=true`)
    expect(byUrl.durability).toContain('allkeys-lru')
  })

  test.each([
    [{}, /no AOF.*loses all.*no replica/],
    [{ appendonly: 'yes', appendfsync: 'everysec' }, /everysec.*a second/],
    [AOF, /always, commits survive/],
  ])('%o', async (config, expected) => {
    const redis = await server(config)
    expect((await opened(redis.url)).durability).toMatch(expected)
  })

  test('where CONFIG and INFO are forbidden, that is said, and the service is the same', async () => {
    const redis = await server(AOF)
    await redis.command('ACL', 'SETUSER', 'app', 'on', '>pw', '~*', '+@all', '-config')
    await redis.command('ACL', 'SETUSER', 'less', 'on', '>pw', '~*', '+@all', '-config', '-info')
    const host = `127.0.0.1:${redis.port}`
    expect((await opened(`redis://app:pw@${host}`)).durability).toMatch(
      /appendfsync unknown \(CONFIG is forbidden\)/,
    )
    const storage = await opened(`redis://less:pw@${host}`)
    expect(storage.durability).toMatch(/does not tell/)
    expect(await storage.compareAndSwap(key('k'), undefined, bytes('v'))).toEqual({ swapped: true })
  })

  test('wait=1: acknowledged once a replica has it; without one the outcome is unknown', async () => {
    const redis = await server()
    const replica = await server({ replicaof: `127.0.0.1 ${redis.port}`, 'repl-diskless-sync-delay': '0' })
    await online(redis)
    // A replica on a busy machine may well take its time.
    const patient = await opened(`${redis.url}?wait=1&waitTimeoutMs=4000`, { operationTimeoutMs: 5_000 })
    expect(patient.durability).toMatch(/waits for 1 of 1 replicas/)
    await redis.command('CONFIG', 'RESETSTAT')
    const swaps = Array.from({ length: 100 }, (_, n) =>
      patient.compareAndSwap(key(`k${n}`), undefined, bytes('v')),
    )
    expect((await Promise.all(swaps)).every(({ swapped }) => swapped)).toBe(true)
    expect(await replica.command('HLEN', 'virga:decision/1/0')).toBe(100)
    // One for all that were asked in one tick.
    expect((await redis.commandCounts()).get('wait')).toBe(1)
    expect((await redis.commandCounts()).get('hsetnx')).toBe(100)

    const storage = await opened(`${redis.url}?wait=1&waitTimeoutMs=200`, { operationTimeoutMs: 5_000 })
    replica.pause()
    const unknown = { ...indefinite, message: expect.stringContaining('0 of 1 replicas') }
    const { settled, ms } = await timed(() => storage.compareAndSwap(key('new'), undefined, bytes('v')))
    expect(settled).toMatchObject({ status: 'rejected', reason: unknown })
    expect(ms).toBeLessThan(450)
    await expect(storage.put([{ ...key('p'), value: bytes('v') }])).rejects.toMatchObject(unknown)
    // Reads do not stand behind the WAIT.
    let isWritten = false
    const write = patient.compareAndSwap(key('slow'), undefined, bytes('v')).then(() => {
      isWritten = true
    })
    expect(await patient.get([key('k0')])).toEqual([bytes('v')])
    expect(isWritten).toBe(false)
    replica.resume()
    await write
    await recovered(patient)
    expect(await patient.compareAndSwap(key('last'), undefined, bytes('v'))).toEqual({ swapped: true })
  })

  test('wait that cannot be: refused at opening', async () => {
    const redis = await server(AOF)
    await expect(openRedisStorage({ url: `${redis.url}?waitTimeoutMs=9000&wait=1` })).rejects.toMatchObject({
      code: 'InvalidArgument',
    })
    // 7.0 has no WAITAOF, and without AOF no later one has.
    const plain = await server()
    await expect(openRedisStorage({ url: `${plain.url}?waitAof=true` })).rejects.toMatchObject({
      code: 'InvalidArgument',
    })
  })
})

describe('Sentinel', () => {
  test('the master dies: writes go on with the replica that takes its place', async () => {
    const master = await server()
    const replica = await server({ replicaof: `127.0.0.1 ${master.port}`, 'repl-diskless-sync-delay': '0' })
    await online(master)
    const sentinel = await startRedisSentinel(master)
    cleanUps.push(() => sentinel.stop())
    const storage = await opened(`${sentinel.url}?wait=1&waitTimeoutMs=4000`, { operationTimeoutMs: 5_000 })
    const before = Array.from({ length: 50 }, (_, n) => ({ ...key(`k${n}`), value: bytes(`${n}`) }))
    await storage.put(before)
    await storage.close()

    const plain = await opened(sentinel.url)
    await master.kill()
    await expect(plain.compareAndSwap(key('lost'), undefined, bytes('v'))).rejects.toMatchObject({
      code: 'StorageUnavailable',
    })
    await recovered(plain)
    expect(String(await replica.command('ROLE'))).toMatch(/^master/)
    expect(await plain.get(before)).toEqual(before.map(({ value }) => value))
    expect(await plain.compareAndSwap(key('new'), undefined, bytes('v'))).toEqual({ swapped: true })
  })
})

describe('Cluster', () => {
  const buckets = Array.from({ length: 24 }, (_, n) => `base/${n}`)
  const batch = buckets.map((bucket) => ({ ...key('k', bucket), value: bytes(bucket) }))

  test('buckets are spread over all masters, and a compare-and-swap is one command there too', async () => {
    const cluster = await startRedisCluster()
    cleanUps.push(() => cluster.stop())
    const storage = await opened(cluster.url)
    for (const master of cluster.masters) await master.command('CONFIG', 'RESETSTAT')
    const swaps = await Promise.all(batch.map((each) => storage.compareAndSwap(each, undefined, each.value)))
    expect(swaps.every(({ swapped }) => swapped)).toBe(true)
    let hsetnx = 0
    for (const master of cluster.masters) {
      const counts = await master.commandCounts()
      expect(counts.get('hsetnx')).toBeGreaterThan(2)
      hsetnx += counts.get('hsetnx')!
    }
    expect(hsetnx).toBe(batch.length)
    expect(storage.durability).toMatch(/Cluster of 3 masters/)

    // No replicas: WAIT goes where the write went, and says so.
    const waiting = await opened(`${cluster.url}?wait=1&waitTimeoutMs=50`)
    await expect(waiting.compareAndSwap(key('new'), undefined, bytes('v'))).rejects.toMatchObject({
      ...indefinite,
      message: expect.stringContaining('0 of 1 replicas'),
    })
  })

  test('one master away: batches fail as a whole, the others go on, and all is well when it is back', async () => {
    const cluster = await startRedisCluster()
    cleanUps.push(() => cluster.stop())
    for (const master of cluster.masters) {
      await master.command('CONFIG', 'SET', 'appendonly', 'yes')
      await master.command('CONFIG', 'SET', 'appendfsync', 'always')
      await master.command('CONFIG', 'SET', 'cluster-require-full-coverage', 'no')
    }
    const storage = await opened(cluster.url)
    await storage.put(batch)
    const [victim] = cluster.masters
    victim!.pause()
    await expect(storage.put(batch)).rejects.toMatchObject(indefinite)
    await expect(storage.get(batch)).rejects.toMatchObject(definite)
    const singles = await Promise.all(batch.map((each) => timed(() => storage.get([each]))))
    const served = singles.filter(({ settled }) => settled.status === 'fulfilled').length
    expect(served).toBeGreaterThan(8)
    expect(served).toBeLessThan(batch.length)
    for (const { ms } of singles) expect(ms).toBeLessThan(1_000)
    victim!.resume()
    for (const each of batch) await recoveredRead(storage, each)
    await storage.put(batch)
    expect(await storage.get(batch)).toEqual(batch.map(({ value }) => value))
  })

  test('a bucket that moves to another master while it is used: nothing fails, nothing is lost', async () => {
    const cluster = await startRedisCluster()
    cleanUps.push(() => cluster.stop())
    const storage = await opened(cluster.url, { operationTimeoutMs: 20_000 })
    const other = await opened(`${cluster.url}?wait=0&prefix=virga:`, { operationTimeoutMs: 20_000 })
    const bucket = 'moving'
    const slot = Number(await cluster.masters[0]!.command('CLUSTER', 'KEYSLOT', `virga:${bucket}`))
    const owner = Math.min(2, Math.floor(slot / (16_384 / 3)))
    const from = cluster.masters[owner]!
    const to = cluster.masters[(owner + 1) % 3]!
    const [fromId, toId] = [
      String(await from.command('CLUSTER', 'MYID')),
      String(await to.command('CLUSTER', 'MYID')),
    ]

    let running = true
    let written = 0
    const load = Array.from({ length: 16 }, async (_, worker) => {
      while (running) {
        const id = `${worker}-${written++}`
        const via = worker % 2 === 0 ? storage : other
        expect(await via.compareAndSwap(key(id, bucket), undefined, bytes(id))).toEqual({ swapped: true })
      }
    })
    await untilEnough(100, () => written > 50)
    await to.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId)
    await from.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId)
    await sleep(50)
    await from.command('MIGRATE', '127.0.0.1', to.port, `virga:${bucket}`, 0, 5_000)
    await sleep(50)
    for (const master of cluster.masters) await master.command('CLUSTER', 'SETSLOT', slot, 'NODE', toId)
    const moved = written
    await untilEnough(100, () => written > moved + 50)
    running = false
    await Promise.all(load)
    let found = 0
    for await (const { id, value } of storage.list(bucket, { values: true })) {
      expect(value).toEqual(bytes(id))
      found += 1
    }
    expect(found).toBe(written)
  })
})
