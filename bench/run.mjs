// @ts-check
// npm run bench [-- --quick] [-- --only NAME]: measures virga against what it stands on, side by side in one run, and
// prints a table. JSON goes to bench/results/latest.json. What each row means: docs/benchmarks.md.
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { cleanUp } from './processes.mjs'
import { commitLatency } from './rows/commit-latency.mjs'
import { commitRates } from './rows/commit-rates.mjs'
import { ipcRead } from './rows/ipc-read.mjs'
import { memory } from './rows/memory.mjs'
import { orderPipeline } from './rows/order-pipeline.mjs'
import { table } from './table.mjs'

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' } },
})

/** @typedef {{ name: string, value: number, unit: string, against?: number, ratio?: number, budget?: string, holds?: boolean }} Row */
/** @typedef {{ quick: boolean }} Options */

/** @type {Record<string, (options: Options) => Promise<Row[]>>} */
const sections = {
  'ipc-read': ipcRead,
  'commit-latency': commitLatency,
  'commit-rates': commitRates,
  'order-pipeline': orderPipeline,
  memory,
}

/** @type {Row[]} */
const rows = []
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
}
writeFileSync(
  new URL('latest.json', results),
  `${JSON.stringify({ at: new Date().toISOString(), quick: values.quick, machine, rows }, null, 2)}\n`,
)
const failed = rows.filter((row) => row.holds === false)
// A quick run asserts counts, which do not depend on the machine; a full run tells of times, and leaves the verdict to its reader.
const wrongCounts = failed.filter((row) => row.unit.startsWith('commands'))
if (wrongCounts.length > 0) {
  console.error(`counts that are wrong: ${wrongCounts.map((row) => row.name).join(', ')}`)
  process.exitCode = 1
}
