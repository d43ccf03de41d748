// Has systems of the bench run contended transactions, and writes the history of each: `node bench-histories.mjs FOLDER NAME…`.
import { join } from 'node:path'
import { cleanUp } from '../../bench/processes.mjs'
import { startContest } from '../../bench/workload/contest.mjs'
import { AFT_SHAPE } from '../../bench/workload/plan.mjs'

const [folder, ...names] = process.argv.slice(2)
const shape = { ...AFT_SHAPE, keys: 20, valueBytes: 256 }
const task = { kind: 'anomalies', shape, seed: 1, inFlight: 10, count: 300, msMax: 20_000 }
try {
  const contest = await startContest(names, shape)
  for (const name of names)
    await contest.inTurn(name, true, async (ask) => {
      await contest.reload(name)
      await ask({ ...task, historyPath: join(folder, name) })
    })
} finally {
  await cleanUp()
}
