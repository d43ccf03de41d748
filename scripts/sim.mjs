// Runs the simulator: `npm run sim -- --seed 7`, `npm run sim -- --seeds 1000 --from 1 --jobs 2`. Build first.
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { exportHistory } from '../dist/testing/history/export.js'
import { recordedTransactions } from '../dist/testing/history/from-run.js'
import { runSeed } from '../dist/testing/sim/run.js'
import { describeFailure, describeShortest, shortestFailing } from '../dist/testing/sim/shrink.js'
import { Totals } from '../dist/testing/sim/totals.js'
import { inProcesses } from './sim-jobs.mjs'
import { took } from './stopwatch.mjs'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    from: { type: 'string' },
    nodes: { type: 'string' },
    calm: { type: 'boolean' },
    plot: { type: 'string' },
    until: { type: 'string' },
    jobs: { type: 'string' },
    log: { type: 'boolean' },
    twice: { type: 'boolean' },
    keep: { type: 'boolean' },
    verbose: { type: 'boolean' },
    history: { type: 'string' },
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
const jobs = whole('jobs') ?? 1
if (jobs > 1 && (values.log || values.twice || values.history !== undefined)) {
  throw new Error('--log, --twice and --history take one process, not --jobs')
}
const PROGRESS_EVERY_SEEDS = 50
const from = whole('seed') ?? whole('from') ?? Math.floor(Math.random() * 2 ** 31)
const count = values.seed === undefined ? (whole('seeds') ?? 100) : 1
const options = {
  ...(values.nodes === undefined ? {} : { nodes: whole('nodes') }),
  ...(values.calm ? { isCalm: true } : {}),
  ...(values.plot === undefined ? {} : { plot: values.plot }),
  chaosMsMax: whole('until'),
  keepLog: values.log === true,
}
const flags = [
  ...(values.nodes === undefined ? [] : [`--nodes ${values.nodes}`]),
  ...(values.calm ? ['--calm'] : []),
  ...(values.plot === undefined ? [] : [`--plot ${values.plot}`]),
]
const totals = new Totals()
let differing = 0
// Before anything else: what is cut short, or never ends, can be run again as well.
if (values.seed === undefined) print([`seeds from ${from} on: ${replay()}`])

if (jobs > 1) {
  let cpuSeconds = 0
  const elapsed = () => ({ seconds: took().seconds, cpuSeconds })
  await inProcesses({
    from,
    count,
    options,
    jobs,
    onReport: async ({ report, cpuSeconds: more }) => {
      cpuSeconds += more
      return judge(report, elapsed)
    },
  })
  print(totals.lines(elapsed()))
} else {
  for (let seed = from; seed < from + count; seed++)
    if (!(await judge(await runSeed(seed, options), took))) break
  print(totals.lines(took()))
}
process.exitCode = totals.failing.length + differing > 0 ? 1 : 0

/** Whether to go on. */
async function judge(report, elapsed) {
  totals.add(report)
  if (values.log) print(report.log)
  if (values.seed !== undefined || values.verbose) show(report)
  if (values.history !== undefined) save(values.history, report)
  if (values.twice) await again(report)
  if (report.violations.length > 0) {
    await fail(report)
    if (!values.keep && values.seed === undefined) return false
  }
  if (totals.seeds % PROGRESS_EVERY_SEEDS === 0 && totals.seeds < count) print(totals.lines(elapsed()))
  return true
}

/** The command that runs the same seeds. */
function replay() {
  const others = ['keep', 'twice', 'log', 'verbose'].filter((name) => values[name]).map((name) => `--${name}`)
  const rest = [
    ...flags,
    ...(values.until === undefined ? [] : [`--until ${values.until}`]),
    ...(jobs === 1 ? [] : [`--jobs ${jobs}`]),
    ...others,
  ]
  return ['npm run sim --', `--from ${from}`, `--seeds ${count}`, ...rest].join(' ')
}

function print(lines) {
  for (const line of lines) console.log(line)
}

async function again({ seed, digest }) {
  const { digest: second } = await runSeed(seed, options)
  if (second === digest) return
  differing++
  console.log(`seed ${seed}: NOT THE SAME TWICE: ${digest} and ${second}`)
}

/** Many failing seeds are shown and kept; what stops the run, or is looked at alone, is made shorter as well. */
async function fail(report) {
  const cut = values.until === undefined ? flags : [...flags, `--until ${values.until}`]
  print(describeFailure(report, cut))
  if (values.keep || values.until !== undefined) return
  print(describeShortest(await shortestFailing(report, { ...options, keepLog: false }), flags))
}

/** For Plume, AWDIT and the like: see src/testing/history/export.ts. */
function save(path, { history }) {
  const { text, ...counts } = exportHistory(recordedTransactions(history))
  writeFileSync(path, text)
  console.log(`history in ${path}:`, JSON.stringify(counts))
}

function show({ seed, digest, simulatedMs, events, plan, decided, transactions, nodes, traffic }) {
  const numbers = { digest, simulatedMs: Math.round(simulatedMs), events, decided, ...transactions, ...nodes }
  console.log(`seed ${seed}: ${plan.nodes} nodes`, JSON.stringify(numbers), JSON.stringify(traffic))
}
