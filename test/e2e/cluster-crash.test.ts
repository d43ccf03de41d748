import { setTimeout as sleep } from 'node:timers/promises'
import { type TestContext, test } from 'vitest'
import { clusterLoad, reckonedUp } from '../support/cluster-load.js'
import { startCluster } from '../support/cluster-processes.js'
import { Dice } from '../support/dice.js'
import { Reckoning } from '../support/reckoning.js'
import { seedFor } from '../support/seed.js'

const ROUNDS = 5
/** Transactions that have committed before a run ends. */
const ENOUGH = 100

test('nodes are killed and restarted under load: what was acknowledged is there, on every node, and nothing else', async (context: TestContext) => {
  const seed = seedFor(context)
  const dice = new Dice(seed)
  const cluster = await startCluster()
  const reckoning = new Reckoning(dice)
  const load = await clusterLoad(cluster, reckoning, seed)
  for (let round = 0; round < ROUNDS || reckoning.count('committed') <= ENOUGH; round++) {
    await sleep(dice.between(300, 800))
    const victim = dice.pick(cluster.nodes)
    await victim.kill()
    // Sometimes back before anyone has missed it, sometimes after its lease has lapsed.
    await sleep(dice.between(0, 1) * 3_000)
    await victim.restart()
    load.check()
  }
  await load.stop()
  await reckonedUp(cluster.nodes, reckoning)
})
