import { expect, test } from 'vitest'
import { Virga } from '../../../src/client/virga.js'
import { CLUSTER_DEPARTED, CLUSTER_WATERMARK, decisionBuckets, minuteAt } from '../../../src/core/layout.js'
import { DEFAULT_CONFIG } from '../../../src/node/config.js'
import { CacheNode } from '../../../src/node/node.js'
import { macOf } from '../../../src/platform/mac.js'
import { SILENT } from '../../../src/ports/log.js'
import type { Storage } from '../../../src/ports/storage.js'
import { createMemoryStorage } from '../../../src/storage/memory.js'
import { simulate } from '../../../src/testing/sim-clock.js'
import { SimNetwork } from '../../../src/testing/sim-network.js'
import { SimViews } from '../../../src/testing/sim-view.js'
import { MemoryHub } from '../../../src/transport/memory.js'
import {
  decodeDeparted,
  decodeStanding,
  decodeWatermark,
  encodeDeparted,
  encodeWatermark,
} from '../../../src/wire/records.js'
import { thrown } from '../../support/thrown.js'

/** A storage that outlives its nodes, which are started on it one by one. */
function cluster() {
  const sim = simulate(7)
  const { clock, random } = sim
  const fabric = new SimNetwork(sim)
  const storage = createMemoryStorage()
  const keep: Storage = {
    durability: storage.durability,
    get: (keys) => storage.get(keys),
    put: (entries) => storage.put(entries),
    compareAndSwap: (key, expected, next) => storage.compareAndSwap(key, expected, next),
    delete: (keys) => storage.delete(keys),
    list: (bucket, options) => storage.list(bucket, options),
    close: async () => undefined,
  }
  const processes = {
    self: () => ({ pid: 1, namespace: 'x', startedAt: '1' }),
    isAlive: () => undefined,
  }
  const start = async (name: string) => {
    const hub = new MemoryHub()
    const views = new SimViews({ clock })
    const world = {
      clock,
      random,
      storage: keep,
      network: fabric.network(name),
      listener: hub.listener(),
      processes,
      views,
      log: SILENT,
    }
    const node = await clock.until(
      CacheNode.start(world, { ...DEFAULT_CONFIG, nodeId: name, departAfterMs: 20_000 }, macOf),
    )
    return { node, virga: new Virga({ clock, random, processes, link: hub.link(), views, macOf }) }
  }
  return { clock, storage, start }
}

test('cuts forget the origins of earlier starts, once every member has', async () => {
  const { clock, storage, start } = cluster()
  const stays = await start('stays')
  for (let round = 0; round < 5; round++) {
    const guest = await start('guest')
    await clock.until(guest.virga.transaction((tx) => tx.put(`k${round}`, round)))
    await clock.advance(3_000)
    await clock.until(guest.node.stop())
  }
  await clock.until(stays.virga.transaction((tx) => tx.put('before', 1)))
  const cutSize = async (): Promise<number> => {
    let newest = 0
    let size = 0
    for (let minute = minuteAt(clock.now()) - 5; minute <= minuteAt(clock.now()); minute++) {
      for (const bucket of decisionBuckets(minute)) {
        for await (const { value } of storage.list(bucket, { values: true })) {
          const standing = decodeStanding(value!)
          if (standing.status !== 'committed' || standing.hlc < newest) continue
          newest = standing.hlc
          size = standing.cut.size
        }
      }
    }
    return size
  }
  expect(await cutSize()).toBeGreaterThanOrEqual(5)
  await clock.advance(90_000)
  const [record] = await storage.get([CLUSTER_DEPARTED])
  expect(decodeDeparted(record!).departures).toHaveLength(5)
  const late = await start('late')
  await clock.advance(30_000)
  await clock.until(stays.virga.transaction((tx) => tx.put('after', 1)))
  expect(await cutSize()).toBeLessThanOrEqual(2)
  // What they wrote is read as before, also by who has never known them, and contexts go on over nodes.
  for (const { virga } of [stays, late])
    for (let round = 0; round < 5; round++) expect(await clock.until(virga.get(`k${round}`))).toBe(round)
  const root = await clock.until(stays.virga.step(undefined, (tx) => tx.put('dag', 1)))
  const next = await clock.until(late.virga.step(root.context, (tx) => tx.get('k3')))
  expect(next.result).toBe(3)
  await clock.until(late.virga.commit(next.context))
  await clock.until(Promise.all([stays.node.stop(), late.node.stop()]))
})

test('a snapshot of before an origin that has departed is refused: the bases may be ahead of it', async () => {
  const { clock, storage, start } = cluster()
  const stays = await start('stays')
  const gone = await start('gone')
  const begun = await clock.until(
    gone.virga.step(undefined, (tx) => tx.get('k1'), { deadlineMs: 10 * 60_000 }),
  )
  expect(begun.result).toBe(undefined)
  // Who would have waited for it is gone.
  await clock.until(gone.node.stop())
  const guest = await start('guest')
  for (const key of ['k1', 'k2']) await clock.until(guest.virga.transaction((tx) => tx.put(key, 1)))
  await clock.advance(3_000)
  await clock.until(guest.node.stop())
  await clock.advance(90_000)
  const [record] = await storage.get([CLUSTER_DEPARTED])
  expect(decodeDeparted(record!).departures.map(({ origin }) => origin)).toContain(guest.node.origin)
  const late = await start('late')
  for (const { virga } of [stays, late]) {
    const tx = virga.resume(begun.context).then((resumed) => resumed.get('k2'))
    expect((await clock.until(thrown(tx))).code).toBe('SnapshotTooOld')
  }
  await clock.until(Promise.all([stays.node.stop(), late.node.stop()]))
})

/**
 * What it published after its departure was written, all may have applied, and the watermark may have been raised to, before they
 * learned of it.
 */
test('a place beyond the last one of a departed origin holds no snapshot up, and the watermark is raised to no more of them', async () => {
  const { clock, storage, start } = cluster()
  const watermark = async () => decodeWatermark((await storage.get([CLUSTER_WATERMARK]))[0]!)
  const stays = await start('stays')
  const zombie = await start('zombie')
  const { origin } = zombie.node
  await clock.until(zombie.virga.transaction((tx) => tx.put('k1', 1)))
  await clock.advance(10_000)
  expect((await watermark()).cut.get(origin)).toBe(1)
  const departures = [{ origin, seq: 1, number: 1, atMs: Math.floor(clock.now()) }]
  await storage.put([{ ...CLUSTER_DEPARTED, value: encodeDeparted({ last: 1, departures }) }])
  await clock.until(zombie.virga.transaction((tx) => tx.put('k2', 1)))
  await clock.advance(90_000)
  expect(await clock.until(stays.virga.get('k2'))).toBe(1)
  expect((await watermark()).cut.get(origin)).toBe(1)

  // As it was raised by who had not found the departure yet.
  const options = { durable: true, deadlineMs: 10 * 60_000 }
  const kept = await clock.until(stays.virga.step(undefined, (tx) => tx.get('k2'), options))
  await clock.until(stays.virga.transaction((tx) => tx.put('k2', 2)))
  await clock.advance(5_000)
  await clock.until(stays.node.stop())
  const stands = await watermark()
  const raised = encodeWatermark({ ...stands, cut: new Map(stands.cut).set(origin, 2) })
  await storage.put([{ ...CLUSTER_WATERMARK, value: raised }])
  const late = await start('late')
  const next = await clock.until(late.virga.step(kept.context, (tx) => tx.get('k2')))
  expect(next.result).toBe(1)
  await clock.until(late.node.stop())
})

test('who starts long after a departure still knows what a snapshot of before it started leaves out', async () => {
  const { clock, storage, start } = cluster()
  const stays = await start('stays')
  const guest = await start('guest')
  await clock.until(guest.virga.transaction((tx) => tx.put('k1', 1)))
  await clock.advance(3_000)
  await clock.until(guest.node.stop())
  await clock.advance(90_000)
  clock.jump(10 * 24 * 60 * 60_000)
  await clock.advance(30_000)
  const options = { durable: true, deadlineMs: 10 * 60_000 }
  const kept = await clock.until(stays.virga.step(undefined, (tx) => tx.get('k1'), options))
  await clock.until(stays.virga.transaction((tx) => tx.put('k1', 2)))
  await clock.advance(5_000)
  await clock.until(stays.node.stop())
  const late = await start('late')
  const next = await clock.until(late.virga.step(kept.context, (tx) => tx.get('k1')))
  expect(next.result).toBe(1)
  const [record] = await storage.get([CLUSTER_DEPARTED])
  expect(decodeDeparted(record!).departures.map(({ origin }) => origin)).toContain(guest.node.origin)
  await clock.until(late.node.stop())
})
