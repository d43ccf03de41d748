/** What a cluster makes of nodes that stop for longer than their lease and go on, and of clocks that disagree. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, type TestContext, test } from 'vitest'
import { transactionId } from '../../src/compose/transaction-id.js'
import { clusterLoad, reckonedUp } from '../support/cluster-load.js'
import { type ClusterNode, startCluster, within } from '../support/cluster-processes.js'
import { converged, readAll } from '../support/convergence.js'
import { Dice } from '../support/dice.js'
import { expectCode, failure } from '../support/failures.js'
import { Reckoning } from '../support/reckoning.js'
import { seedFor } from '../support/seed.js'

const LEASE_MS = 1_000
const QUICK = { leaseTtlMs: LEASE_MS }
const MINUTE_MS = 60_000
/** Transactions that have committed before a run ends. */
const ENOUGH = 100

type Three = [ClusterNode, ClusterNode, ClusterNode]

test('a node stops for longer than its lease while others collect: its open snapshots are SnapshotTooOld, its commits are right', async () => {
  const { nodes } = await startCluster({ node: { ...QUICK, collectEveryMs: 200 } })
  const [a, b, c] = nodes as Three
  await a.virga.transaction((tx) => {
    tx.put('x', 'old')
    tx.put('y', 'old')
  })
  await converged(nodes, ['x', 'y'])
  const client = await b.client({ attemptsMax: 1 })
  const open = await client.begin()
  expect(await open.get('x')).toBe('old')
  const writer = await client.begin({ id: transactionId('of the stopped node', Date.now()) })
  writer.put('written', 'before the pause')
  const step = await client.step(undefined, (tx) => tx.put('handed', 'over'))
  b.pause()
  let compacted = 0
  // Others take it for dead, and collect what only its snapshots needed.
  for (let i = 0; compacted === 0 || i < 20; i++) {
    await a.virga.transaction((tx) => {
      tx.put('x', i)
      tx.put('y', i)
    })
    await sleep(200)
    compacted = (await a.count('compactedDecisions')) + (await c.count('compactedDecisions'))
    expect(i, 'nothing was collected').toBeLessThan(200)
  }
  b.resume()
  await within(10_000, () => expectCode(open.get('y'), 'SnapshotTooOld'))
  // It read nothing, and what it writes is atomic all the same; or it is told to try again.
  const committing = writer.commit().then(
    () => 'committed',
    (error: { code: string }) => error.code,
  )
  expect(['committed', 'SnapshotTooOld']).toContain(await committing)
  const resumed = (): Promise<unknown> => client.resume(step.context).then((tx) => tx.get('y'))
  await within(10_000, () => expectCode(resumed(), 'SnapshotTooOld'))
  const [x, y] = await within(10_000, () => readAll(client, ['x', 'y']))
  expect(x).toBe(y)
  await converged(nodes, ['x', 'y', 'written', 'handed'])
  expect(await b.count('lapses')).toBeGreaterThan(0)
  await within(10_000, () => client.transaction((tx) => tx.put('z', 'after')))
  expect(await converged(nodes, ['z'])).toEqual(['after'])
})

test('a transaction that a stopped node was about to commit was fenced meanwhile: it does not commit when the node goes on', async () => {
  const { nodes } = await startCluster({ node: QUICK })
  const [a, b] = nodes as Three
  const [retried, cancelled] = ['retried', 'cancelled'].map((name) => transactionId(name, Date.now())) as [
    string,
    string,
  ]
  for (const id of [retried, cancelled]) {
    const client = await b.client({ attemptsMax: 1 })
    await b.strike({ operation: 'compareAndSwap', bucket: 'decision/', moment: 'before', fate: 'stop' })
    const tx = await client.begin({ id })
    tx.put(id, 'of the stopped node')
    const committing = id === retried ? tx.commit({ result: 'late' }) : failure(tx.commit({ result: 'late' }))
    await b.standsStill()
    if (id === cancelled) await a.virga.cancel(id)
    else {
      await a.virga.transaction(
        (other) => {
          other.put(id, 'of another')
          return 'other'
        },
        { id },
      )
    }
    b.resume()
    if (id === retried) expect(await committing).toMatchObject({ replayed: true, result: 'other' })
    else expect(await committing).toMatchObject({ code: 'TransactionAborted', outcome: 'definite' })
  }
  expect(await converged(nodes, [retried, cancelled])).toEqual(['of another', undefined])
})

test('nodes stop and go on under load: no answer was wrong, and all nodes converge', async (context: TestContext) => {
  const seed = seedFor(context)
  const dice = new Dice(seed)
  const { nodes } = await startCluster({ node: { ...QUICK, collectEveryMs: 200 } })
  const reckoning = new Reckoning(dice)
  const load = await clusterLoad({ nodes }, reckoning, seed)
  for (let round = 0; round < 5 || reckoning.count('committed') <= ENOUGH; round++) {
    await sleep(dice.between(100, 500))
    const victim = dice.pick(nodes)
    victim.pause()
    await sleep(dice.between(100, 3 * LEASE_MS))
    victim.resume()
    load.check()
  }
  await load.stop()
  await reckonedUp(nodes, reckoning)
})

test('clocks differ by minutes, and jump: no answer was wrong, all nodes converge, and the skew is warned of', async (context: TestContext) => {
  const seed = seedFor(context)
  const dice = new Dice(seed)
  const offsets = [0, 4 * MINUTE_MS, -4 * MINUTE_MS]
  const { nodes } = await startCluster({
    node: { ...QUICK, collectEveryMs: 200 },
    nodeAt: (index) => ({ clockOffsetMs: offsets[index]! }),
  })
  const [a, b, c] = nodes as Three
  // Whoever comes later in causal order counts, whatever its clock says.
  await b.virga.transaction((tx) => tx.put('x', 'of the fast clock'))
  await within(5_000, async () => expect(await c.virga.get('x')).toBe('of the fast clock'))
  await c.virga.transaction(async (tx) => {
    expect(await tx.get('x')).toBe('of the fast clock')
    tx.put('x', 'of the slow clock')
  })
  expect(await converged(nodes, ['x'])).toEqual(['of the slow clock'])
  const reckoning = new Reckoning(dice)
  const load = await clusterLoad({ nodes }, reckoning, seed)
  for (let round = 0; round < 5 || reckoning.count('committed') <= ENOUGH; round++) {
    await sleep(1_000)
    await dice.pick(nodes).setClock(dice.between(-4, 4) * MINUTE_MS)
    load.check()
  }
  // Not the one whose log is read.
  await dice.pick([b, c]).restart()
  await sleep(500)
  await load.stop()
  await reckonedUp(nodes, reckoning)
  expect((await a.logged()).filter(({ message }) => message.includes('clock of a peer differs'))).not.toEqual(
    [],
  )
})
