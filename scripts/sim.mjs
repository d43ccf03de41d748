// Runs the simulator: `npm run sim -- --seed 7`, `npm run sim -- --seeds 1000 --from 1`. Build first.
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { exportHistory } from '../dist/testing/history/export.js'
import { recordedTransactions } from '../dist/testing/history/from-run.js'
import { runSeed } from '../dist/testing/sim/run.js'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    from: { type: 'string' },
    nodes: { type: 'string' },
    calm: { type: 'boolean' },
    until: { type: 'string' },
    log: { type: 'boolean' },
    twice: { type: 'boolean' },
    keep: { type: 'boolean' },
    history: { type: 'string' },
    verbose: { type: 'boolean' },
  },
})

const whole = (name) => {
  const text = values[name]
  if (text === undefined) return undefined
  if (!/^\d{1,10}$/.test(text)) throw new Error(`--${name} takes a whole number, got ${text}`)
  return Number(text)
}

if (values.history !== undefined && values.seed === undefined) {
  throw new Error('--history takes the run of one --seed')
}
const from = whole('seed') ?? whole('from') ?? Math.floor(Math.random() * 2 ** 31)
const count = values.seed === undefined ? (whole('seeds') ?? 100) : 1
const options = {
  ...(values.nodes === undefined ? {} : { nodes: whole('nodes') }),
  ...(values.calm ? { isCalm: true } : {}),
  chaosMsMax: whole('until'),
  keepLog: values.log === true,
}
const VIOLATIONS_SHOWN_MAX = 5
const HOUR_MS = 3_600_000

const sums = { seeds: 0, simulatedMs: 0, decided: 0, failing: [] }
const totals = {
  transactions: {},
  codes: {},
  nodes: {},
  mishaps: {},
  storageFaults: {},
  traffic: {},
  counters: {},
  marks: {},
}
const startedAt = performance.now()

for (let seed = from; seed < from + count; seed++) {
  const report = await runSeed(seed, options)
  sums.seeds++
  sums.simulatedMs += report.simulatedMs
  sums.decided += report.decided
  for (const name of Object.keys(totals)) add(totals[name], report[name])
  if (values.log) for (const line of report.log) console.log(line)
  if (values.seed !== undefined || values.verbose) show(report)
  if (values.history !== undefined) save(values.history, report)
  if (values.twice) {
    const again = await runSeed(seed, options)
    if (again.digest !== report.digest) {
      sums.failing.push(seed)
      console.log(`seed ${seed}: NOT THE SAME TWICE: ${report.digest} and ${again.digest}`)
    }
  }
  if (report.violations.length > 0) {
    sums.failing.push(seed)
    fail(report)
    if (!values.keep && values.seed === undefined) break
  }
  if (sums.seeds % 50 === 0) summary()
}
summary()
process.exitCode = sums.failing.length > 0 ? 1 : 0

/** For Plume, AWDIT and the like: see src/testing/history/export.ts. */
function save(path, { history }) {
  const { text, ...counts } = exportHistory(recordedTransactions(history))
  writeFileSync(path, text)
  console.log(`history in ${path}:`, JSON.stringify(counts))
}

function add(into, from) {
  for (const [name, number] of Object.entries(from)) into[name] = (into[name] ?? 0) + number
}

function fail({ seed, violations, plan }) {
  console.log(`seed ${seed} (${plan.nodes} nodes): ${violations.length} violations`)
  for (const { rule, what } of violations.slice(0, VIOLATIONS_SHOWN_MAX)) console.log(`  ${rule}: ${what}`)
  const flags = [values.nodes && `--nodes ${values.nodes}`, values.calm && '--calm'].filter(Boolean).join(' ')
  console.log(`  to replay: npm run sim -- --seed ${seed} ${flags}`)
}

function show({ seed, digest, simulatedMs, events, plan, decided, transactions, nodes, traffic }) {
  const numbers = { digest, simulatedMs: Math.round(simulatedMs), events, decided, ...transactions, ...nodes }
  console.log(`seed ${seed}: ${plan.nodes} nodes`, JSON.stringify(numbers), JSON.stringify(traffic))
}

function summary() {
  const seconds = (performance.now() - startedAt) / 1000
  const perSecond = totals.transactions.transactions / seconds
  console.log(
    `${sums.seeds} seeds in ${seconds.toFixed(1)} s: ${(sums.simulatedMs / HOUR_MS).toFixed(2)} simulated hours, ` +
      `${totals.transactions.transactions} transactions (${perSecond.toFixed(0)} a second), ${sums.decided} decided; ` +
      `${sums.failing.length} seeds failed${sums.failing.length > 0 ? `: ${sums.failing.slice(0, 20).join(' ')}` : ''}`,
  )
  for (const [name, counts] of Object.entries(totals)) {
    console.log(
      `  ${name}: ${Object.entries(counts)
        .map(([kind, number]) => `${kind} ${number}`)
        .join(', ')}`,
    )
  }
}
