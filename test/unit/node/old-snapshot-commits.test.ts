import { expect, test } from 'vitest'
import type { Machine } from '../../../src/testing/sim/machine.js'
import { SimCluster } from '../../../src/testing/sim/sim-cluster.js'

const TTL_MS = 1_500
const MODE = { consistency: 'parallel-snapshot' } as const

test('a DAG that took long commits with claims on a node that has promised more than its snapshot, once its lease tells of it', async () => {
  const cluster = new SimCluster(1, { nodes: 2, isCalm: true })
  Object.assign(cluster.plan.config, { leaseTtlMs: TTL_MS, collectEveryMs: 50, deadlineMs: 60_000 })
  const { clock, machines } = cluster
  const [here, there] = machines as [Machine, Machine]
  for (const machine of machines) machine.keepRunning()
  await clock.advance(5_000)
  const [first, other] = [here.addExecutor().virga, there.addExecutor().virga]
  await clock.advance(1_000)
  const tx = await clock.until(first.begin(MODE))
  tx.put('mine', 1)
  for (let i = 0; i < 20; i++) {
    await clock.until(other.transaction((each) => each.put('theirs', i), MODE))
    await clock.advance(500)
  }
  const context = await clock.until(tx.handoff())
  const last = await clock.until(other.resume(context))
  expect(await clock.until(last.get('theirs'))).toBeUndefined()
  last.put('mine too', 1)
  await clock.advance(2 * TTL_MS)
  await clock.until(last.commit())
  expect(await clock.until(other.transaction((each) => each.getMany(['mine', 'mine too'])))).toEqual([1, 1])
})
