// @ts-check
// npm run bench [-- --quick] [-- --only NAME]: measures virga against what it stands on, side by side in one run, and
// prints a table. JSON goes to bench/results/latest.json. What each row means: docs/benchmarks.md.
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { cleanUp } from './processes.mjs'
import { commitLatency } from './rows/commit-latency.mjs'
import { commitRates } from './rows/commit-rates.mjs'
import { dagHop } from './rows/dag-hop.mjs'
import { ipcRead } from './rows/ipc-read.mjs'
import { memory } from './rows/memory.mjs'
import { orderPipeline } from './rows/order-pipeline.mjs'
import { threeNodes } from './rows/three-nodes.mjs'
import { twoNodeCommit } from './rows/two-node-commit.mjs'
import { visibility } from './rows/visibility.mjs'
import { table } from './table.mjs'

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' } },
})

/** @typedef {{ name: string, value: number, unit: string, against?: number, ratio?: number, budget?: string, holds?: boolean, counted?: boolean }} Row */
/** @typedef {{ quick: boolean }} Options */

/** @type {Record<string, (options: Options) => Promise<Row[]>>} */
const sections = {
  'ipc-read': ipcRead,
  'commit-latency': commitLatency,
  'commit-rates': commitRates,
  'order-pipeline': orderPipeline,
  visibility,
  'dag-hop': dagHop,
  'two-node-commit': twoNodeCommit,
  'three-nodes': threeNodes,
  memory,
}

if (values.only !== undefined && !Object.hasOwn(sections, values.only)) {
  console.error(`there is no section ${values.only}; there are ${Object.keys(sections).join(', ')}`)
  process.exit(2)
}

/** @type {Row[]} */
const rows = []
// What else ran when this began. Above a fraction of the cores, times (the tails above all) are of the machine, not of virga.
const loadBefore = loadavg()[0] ?? 0
if (loadBefore > cpus().length / 4)
  process.stderr.write(`the machine is not quiet: load average ${loadBefore.toFixed(2)}\n`)
for (const [name, measure] of Object.entries(sections)) {
  if (values.only !== undefined && values.only !== name) continue
  process.stderr.write(`${name} …\n`)
  try {
    rows.push(...(await measure({ quick: values.quick })))
  } finally {
    await cleanUp()
  }
}
console.log(table(rows))
const results = new URL('results/', import.meta.url)
mkdirSync(results, { recursive: true })
const machine = {
  cpus: cpus().length,
  model: cpus()[0]?.model,
  node: process.version,
  platform: process.platform,
  loadBefore,
}
writeFileSync(
  new URL('latest.json', results),
  `${JSON.stringify({ at: new Date().toISOString(), quick: values.quick, machine, rows }, null, 2)}\n`,
)
// Counts are asserted: they do not depend on the machine. Of times a run tells, and leaves the verdict to its reader.
const wrongCounts = rows.filter((row) => row.counted === true && row.holds === false)
if (wrongCounts.length > 0) {
  console.error(`counts that are wrong: ${wrongCounts.map((row) => row.name).join(', ')}`)
  process.exitCode = 1
}
