/** What a cluster makes of a storage that stalls, dies or answers late. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, type TestContext, test } from 'vitest'
import { transactionId } from '../../src/compose/transaction-id.js'
import { clusterLoad, reckonedUp } from '../support/cluster-load.js'
import { startCluster } from '../support/cluster-processes.js'
import { converged, readAll } from '../support/convergence.js'
import { Dice } from '../support/dice.js'
import { failure } from '../support/failures.js'
import { Reckoning } from '../support/reckoning.js'
import { seedFor } from '../support/seed.js'
import { timed } from '../support/timed.js'

const LEASE_MS = 1_000
const STORAGE_MS = 400
const OPTIONS = { query: `?timeoutMs=${STORAGE_MS}`, node: { leaseTtlMs: LEASE_MS, resolveMsMax: 600 } }
const ROUNDS = 4
/** Transactions that have committed before a run ends. */
const ENOUGH = 50

test('storage stalls: cached reads go on at every node, commits fail typed, and all is well when it goes on', async () => {
  const { nodes, redis } = await startCluster(OPTIONS)
  const keys = Array.from({ length: 10 }, (_, i) => `cached ${i}`)
  await nodes[0]!.virga.transaction((tx) => {
    for (const key of keys) tx.put(key, key)
  })
  await converged(nodes, keys)
  const clients = await Promise.all(nodes.map((node) => node.client({ attemptsMax: 1 })))
  redis.pause()
  // For longer than a lease: nobody takes anybody for dead, since nobody can look.
  const end = performance.now() + 3 * LEASE_MS
  while (performance.now() < end) {
    for (const [i, virga] of clients.entries()) {
      // Did it ask storage, it would fail, or wait.
      const { settled, ms } = await timed(() => readAll(virga, keys))
      expect(settled, `node ${i}`).toEqual({ status: 'fulfilled', value: keys })
      expect(ms).toBeLessThan(STORAGE_MS)
    }
    await sleep(50)
  }
  const ids = clients.map((_, i) => transactionId(`stalled ${i}`, Date.now()))
  const errors = await Promise.all(
    clients.map((virga, i) => failure(virga.transaction((tx) => tx.put(`new ${i}`, i), { id: ids[i] }))),
  )
  for (const error of errors) expect(['StorageUnavailable', 'OutcomeUnknown']).toContain(error.code)
  redis.resume()
  for (const [i, node] of nodes.entries())
    await node.virga.transaction((tx) => tx.put(`new ${i}`, i), { id: ids[i] })
  expect(await converged(nodes, ['new 0', 'new 1', 'new 2', ...keys])).toEqual([0, 1, 2, ...keys])
})

for (const [name, begin, end] of [
  ['killed', 'kill', 'restart'],
  ['stopped', 'pause', 'resume'],
] as const) {
  test(`Redis is ${name} under load on all nodes: no answer was wrong, and all nodes converge`, async (context: TestContext) => {
    const seed = seedFor(context)
    const dice = new Dice(seed)
    const { nodes, redis } = await startCluster(OPTIONS)
    const reckoning = new Reckoning(dice)
    const load = await clusterLoad({ nodes }, reckoning, seed)
    for (let round = 0; round < ROUNDS || reckoning.count('committed') <= ENOUGH; round++) {
      await sleep(dice.between(200, 500))
      await redis[begin]()
      await sleep(dice.between(STORAGE_MS / 4, 3 * LEASE_MS))
      await redis[end]()
      for (const [i, { virga }] of nodes.entries())
        await virga.transaction((tx) => tx.put(`back ${i}`, round))
      load.check()
    }
    await load.stop()
    await reckonedUp(nodes, reckoning)
  })
}
