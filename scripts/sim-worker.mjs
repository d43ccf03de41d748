// One of the processes of `npm run sim -- --jobs N`: is sent a seed at a time, and answers with the report of its run.
import { runSeed } from '../dist/testing/sim/run.js'
import { took } from './stopwatch.mjs'

const options = JSON.parse(process.argv[2])

process.on('message', async (seed) => {
  const before = took().cpuSeconds
  // What is large stays here: nobody asks for it.
  const { history: _history, log: _log, ...report } = await runSeed(seed, options)
  process.send({ report, cpuSeconds: took().cpuSeconds - before })
})
