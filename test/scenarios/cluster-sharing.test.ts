/** Joining, leaving, and what nodes tell each other, with real processes on one real Redis. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, type TestContext, test } from 'vitest'
import { clusterLoad, reckonedUp } from '../support/cluster-load.js'
import { ClusterNode, PATIENT, startCluster, within } from '../support/cluster-processes.js'
import { converged } from '../support/convergence.js'
import { Dice } from '../support/dice.js'
import { HostilePeer } from '../support/hostile-peer.js'
import { encode } from '../support/messagepack.mjs'
import { Reckoning } from '../support/reckoning.js'
import { seedFor } from '../support/seed.js'
import { untilEnough } from '../support/until.js'

const COLLECTING = { leaseTtlMs: 2_000, collectEveryMs: 100 }

type Three = [ClusterNode, ClusterNode, ClusterNode]

test('scenario 23: a node that joins hears everything, one that leaves costs nothing, under load', async (context: TestContext) => {
  const seed = seedFor(context)
  const dice = new Dice(seed)
  const cluster = await startCluster({ nodes: 2, node: COLLECTING })
  const { nodes } = cluster
  const reckoning = new Reckoning(dice)
  const load = await clusterLoad({ nodes: [...nodes] }, reckoning, seed)
  await sleep(1_000)
  const startMs = performance.now()
  const third = await cluster.join()
  expect(performance.now() - startMs, 'serves soon').toBeLessThan(5_000)
  load.functions(await third.client(PATIENT))
  await sleep(1_000)
  load.check()
  // Leaves in peace, comes back, and another one joins meanwhile.
  for (let round = 0; round < 3; round++) {
    const leaving = nodes[2]!
    await leaving.stop()
    for (const node of nodes.slice(0, 2)) {
      await within(5_000, async () => expect(await node.count('members')).toBe(2))
    }
    await sleep(300)
    await leaving.restart()
    load.check()
  }
  const fourth = await cluster.join()
  await sleep(1_000)
  await load.stop()
  await reckonedUp(nodes, reckoning)
  expect(await fourth.count('peersUp')).toBe(3)
})

test('the same node id twice: the one that came later has it, the other stops, and nothing is lost', async () => {
  const { nodes, redis } = await startCluster()
  const [a, b] = nodes as Three
  await a.virga.transaction((tx) => tx.put('x', 'before'))
  const double = await ClusterNode.start({
    options: { storage: redis.url, nodeId: 'n1', leaseTtlMs: 2_000, socket: `${a.socket}2` },
    hosts: {},
    clockOffsetMs: 0,
  })
  await double.open()
  await double.virga.transaction((tx) => tx.put('x', 'of the later one'))
  await within(10_000, async () => expect(a.hasEnded || (await noneOpen(a))).toBe(true))
  expect(await converged([b, nodes[2]!, double], ['x'])).toEqual(['of the later one'])
  await within(10_000, async () => expect(await b.count('peersUp')).toBe(2))
})

/** It serves nobody any more. */
async function noneOpen(node: ClusterNode): Promise<boolean> {
  const virga = await node.client({ connectTimeoutMs: 300 }).catch(() => undefined)
  if (virga === undefined) return true
  await virga.close()
  return false
}

test('scenarios 25 and 26: chains return to their bound when versions are superseded, while readers of every age come and go', async (context: TestContext) => {
  const dice = new Dice(seedFor(context))
  const { nodes } = await startCluster({ node: COLLECTING })
  const keys = Array.from({ length: 20 }, (_, i) => `k${i}`)
  let written = 0
  let stopped = false
  let reads = 0
  const writing = nodes.map(async ({ virga }) => {
    while (!stopped) {
      const value = ++written
      await virga.transaction((tx) => {
        for (const key of keys) tx.put(key, value)
      })
    }
  })
  // Each keeps its snapshot for a while, and reads in it again and again, at the moment of collection and after.
  const reading = Array.from({ length: 9 }, async (_, i) => {
    const { virga } = nodes[i % 3]!
    const other = nodes[(i + 1) % 3]!.virga
    while (!stopped) {
      await using tx = await virga.begin()
      const [first] = await tx.getMany<number>(keys.slice(0, 1))
      for (let n = dice.between(1, 5); n > 0; n--) {
        await sleep(dice.between(0, 200))
        expect(await tx.getMany(keys)).toEqual(keys.map(() => first))
        reads++
      }
      const context = await tx.handoff()
      await using there = await other.resume(context)
      await sleep(dice.between(0, 100))
      expect(await there.getMany(keys)).toEqual(keys.map(() => first))
      // Else what was handed over keeps its snapshot until the deadline.
      if (dice.between(0, 1) === 0) await there.commit()
      else await other.cancel(tx.id)
    }
  })
  const ended = Promise.all([...writing, ...reading])
  await Promise.race([untilEnough(8_000, () => reads > 50 && written > 100), ended])
  stopped = true
  await ended
  await within(20_000, async () => {
    for (const node of nodes) {
      expect(await node.count('versions'), node.id).toBeLessThan(100)
      expect(await node.count('decisions'), node.id).toBeLessThan(100)
      expect(await node.count('collectionsFailed'), node.id).toBe(0)
    }
  })
  await converged(nodes, keys)
})

test('scenarios 27 and 28: a dead node does not stop collection, nor does one that restarts again and again; nothing is lost', async () => {
  const { nodes } = await startCluster({ node: COLLECTING })
  const [a, b, c] = nodes as Three
  const keys: string[] = []
  const write = async (node: ClusterNode, n: number): Promise<void> => {
    keys.push(`own ${n}`)
    await node.virga.transaction((tx) => {
      tx.put('x', n)
      tx.put(`own ${n}`, n)
    })
  }
  for (let n = 0; n < 30; n++) await write(nodes[n % 3]!, n)
  await c.kill()
  for (let n = 30; n < 60; n++) await write(nodes[n % 2]!, n)
  // All of the dead one's, too: what others do not compact stays in the chains.
  await within(30_000, async () => {
    for (const node of [a, b]) expect(await node.count('decisions'), node.id).toBeLessThan(5)
  })
  for (let round = 0; round < 5; round++) {
    for (let n = 0; n < 5; n++) await write(a, 60 + round * 5 + n)
    await sleep(150)
    await (round % 2 === 0 ? b : a).restart()
  }
  await c.restart()
  const values = await converged(nodes, ['x', ...keys], 20_000)
  expect(values).toEqual([84, ...keys.map((_, n) => n)])
  await within(30_000, async () => {
    for (const node of nodes) expect(await node.count('decisions'), node.id).toBeLessThan(5)
  })
  expect(await converged(nodes, ['x', ...keys])).toEqual(values)
})

test('scenario 30: a flood at the port for nodes does not starve executors nor other nodes; an idle cluster is idle', async () => {
  const { nodes } = await startCluster()
  const [a, b] = nodes as Three
  await sleep(2_000)
  // Whatever else this machine does: in one span of some it is idle.
  await within(30_000, async () => {
    const [beforeMs, startMs] = [await a.cpuMs(), performance.now()]
    await sleep(3_000)
    const idle = ((await a.cpuMs()) - beforeMs) / (performance.now() - startMs)
    expect(idle, 'of one processor').toBeLessThan(0.15)
  })

  const flooders = await Promise.all(Array.from({ length: 4 }, () => HostilePeer.of(a)))
  const greet = encode([
    1,
    ...Array.from({ length: 50 }, (_, i) => [16, i, 'n9', 'n9@0687f179b88400e40920b2f7']),
  ])
  let stopped = false
  let sent = 0
  const flooding = flooders.map(async (flooder) => {
    while (!stopped) {
      await flooder.send(greet)
      sent++
      if (sent % 50 === 0) await sleep(1)
    }
  })
  const tookMs: number[] = []
  for (const end = performance.now() + 4_000; performance.now() < end; ) {
    const begunMs = performance.now()
    const value = await a.virga.transaction(async (tx) => {
      const seen = (await tx.get<number>('x')) ?? 0
      tx.put('x', seen + 1)
      return seen + 1
    })
    tookMs.push(performance.now() - begunMs)
    await within(2_000, async () => expect(await b.virga.get('x')).toBe(value))
  }
  stopped = true
  await Promise.all(flooding)
  expect(sent).toBeGreaterThan(200)
  tookMs.sort((x, y) => x - y)
  expect(tookMs[Math.floor(tookMs.length / 2)]).toBeLessThan(250)
  expect(await a.count('internalErrors')).toBe(0)
})
