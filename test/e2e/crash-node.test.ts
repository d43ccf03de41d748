import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'vitest'
import { Dice } from '../support/dice.js'
import { Load } from '../support/load.js'
import { ENGINES, NodeProcess, storageUrl, testClient } from '../support/nodes.js'
import { Reckoning } from '../support/reckoning.js'
import { seedFor } from '../support/seed.js'

const KILLS = 50
const PATIENT = { attemptsMax: 1_000, retryDelayMsMax: 50, connectTimeoutMs: 20_000 }

test.for(ENGINES)(
  `the node is killed ${KILLS} times under load: what was acknowledged is there whole, nothing else is, on %s`,
  { timeout: 600_000 },
  async (engine, context) => {
    const seed = seedFor(context)
    const dice = new Dice(seed)
    const reckoning = new Reckoning(dice)
    const node = await NodeProcess.start({ storage: await storageUrl(engine) })
    const load = new Load(reckoning, seed)
    for (let i = 0; i < 3; i++) load.functions(await testClient(node.socket, PATIENT))
    for (let i = 0; i < 2; i++) {
      load.functions(await testClient(node.socket, { attemptsMax: 1, resolveTimeoutMs: 50 }))
    }
    for (let i = 0; i < 2; i++) load.dags(await testClient(node.socket, PATIENT))
    const checker = await testClient(node.socket, PATIENT)

    for (let kill = 0; kill < KILLS || reckoning.count('committed') <= KILLS; kill++) {
      await sleep(dice.between(0, 80))
      await node.restart()
      await checker.transaction((tx) => tx.get('up'))
      await reckoning.check(checker)
      await reckoning.retry(checker, 5)
      load.check()
    }
    await load.stop()
    await reckoning.check(checker, true)
    await reckoning.retry(checker, 500)
    await node.restart()
    await checker.transaction((tx) => tx.get('up'))
    await reckoning.check(checker, true)
  },
)
