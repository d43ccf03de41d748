// @ts-check
import { createHistogram } from 'node:perf_hooks'
import { monotonicMs, pause } from '../clock.mjs'
import { diceOf } from '../dice.mjs'
import { openSystem } from '../systems/system.mjs'
import { countAnomalies } from './anomalies.mjs'
import { newRecorder, saveHistory } from './history.mjs'
import { keyOf, planner } from './plan.mjs'
import { recorded, unrecorded } from './run-plan.mjs'
import { tagged } from './tag.mjs'

// Drives one system as its parent says. Every system that is compared is driven by this, each from a process of its own.
const [kind = '', target = 'null'] = process.argv.slice(2)
const system = await openSystem(kind, JSON.parse(target))

/** @typedef {import('./plan.mjs').Shape} Shape */
/** @typedef {{ kind: 'load', keys: number, valueBytes: number }} Load */
/** @typedef {{ kind: 'closed', shape: Shape, seed: number, inFlight: number, leadMs: number, ms: number }} Closed */
/** @typedef {{ kind: 'open', shape: Shape, seed: number, perSecond: number, leadMs: number, ms: number }} Open */
/** @typedef {{ kind: 'anomalies', shape: Shape, seed: number, inFlight: number, count: number, msMax: number, historyPath?: string }} Anomalies */

/** @param {Load} task */
async function load({ keys, valueBytes }) {
  const all = Array.from({ length: keys }, (_, i) => keyOf(i))
  await system.load(all, tagged({ writer: 0, attempt: 0, writeSet: [] }, valueBytes))
  return { loaded: keys }
}

/** A rate of fewer says nothing: a slow system is given more time, so much at most. */
const DONE_MIN = 20
const STRETCH_MAX = 5

/** So many at a time, each beginning when another has ended; counted after the lead. @param {Closed} task */
async function closed({ shape, seed, inFlight, leadMs, ms }) {
  const next = planner(shape, diceOf(seed))
  const histogram = createHistogram()
  const fromMs = monotonicMs() + leadMs
  let untilMs = Number.POSITIVE_INFINITY
  let [all, done, attempts] = [0, 0, 0]
  const worker = async () => {
    for (let startedAtMs = monotonicMs(); startedAtMs < untilMs; ) {
      const took = await system.transaction(unrecorded(shape, next()))
      const endedAtMs = monotonicMs()
      all++
      if (endedAtMs >= fromMs && endedAtMs <= untilMs) {
        done++
        attempts += took
        record(histogram, endedAtMs - startedAtMs)
      }
      startedAtMs = endedAtMs
    }
  }
  const end = async () => {
    await pause(leadMs + ms)
    const lastMs = fromMs + STRETCH_MAX * ms
    while (done < DONE_MIN && monotonicMs() < lastMs) await pause(ms / 10)
    untilMs = monotonicMs()
  }
  await Promise.all([end(), ...Array.from({ length: inFlight }, worker)])
  return {
    all,
    done,
    perSecond: done / ((untilMs - fromMs) / 1_000),
    attempts: attempts / Math.max(1, done),
    ...times(histogram),
  }
}

/**
 * Each is due at its moment, whatever became of those before it, and its time counts from then: a stall is charged to all
 * that it held up.
 *
 * @param {Open} task
 */
async function open({ shape, seed, perSecond, leadMs, ms }) {
  const next = planner(shape, diceOf(seed))
  const histogram = createHistogram()
  const startAtMs = monotonicMs()
  const count = Math.floor(((leadMs + ms) * perSecond) / 1_000)
  const dueAtMs = (/** @type {number} */ i) => startAtMs + (i * 1_000) / perSecond
  /** @type {Promise<void>[]} */
  const all = []
  let done = 0
  for (let i = 0; i < count; ) {
    const nowMs = monotonicMs()
    for (; i < count && dueAtMs(i) <= nowMs; i++) {
      const at = dueAtMs(i)
      const ended = () => {
        if (at < startAtMs + leadMs) return
        done++
        record(histogram, monotonicMs() - at)
      }
      all.push(system.transaction(unrecorded(shape, next())).then(ended))
    }
    await pause(1)
  }
  await Promise.all(all)
  return { done, lateMs: monotonicMs() - dueAtMs(count), ...times(histogram) }
}

/** So many transactions, or as many as a slow system gets done in time. @param {Anomalies} task */
async function anomalies({ shape, seed, inFlight, count, msMax, historyPath }) {
  const next = planner(shape, diceOf(seed))
  /** @type {import('./anomalies.mjs').Witnessed[]} */
  const all = []
  const history = historyPath === undefined ? undefined : await newRecorder()
  const untilMs = monotonicMs() + msMax
  let begun = 0
  let attempts = 0
  const worker = async () => {
    while (begun < count && monotonicMs() < untilMs) {
      const { start, ended } = recorded(shape, next(), ++begun, system.atOnce, history)
      attempts += await system.transaction(start)
      all.push(ended())
    }
  }
  try {
    await Promise.all(Array.from({ length: inFlight }, worker))
  } finally {
    // Of a run that fails it is wanted most.
    if (history !== undefined) await saveHistory(/** @type {string} */ (historyPath), history)
  }
  return { ...countAnomalies(all), attempts: attempts / begun }
}

/** @param {import('node:perf_hooks').RecordableHistogram} histogram @param {number} ms */
function record(histogram, ms) {
  histogram.record(Math.max(1, Math.round(ms * 1e6)))
}

/** @param {import('node:perf_hooks').RecordableHistogram} histogram */
function times(histogram) {
  return { p50Ms: histogram.percentile(50) / 1e6, p99Ms: histogram.percentile(99) / 1e6 }
}

const tasks = { load, closed, open, anomalies }

process.on('message', (/** @type {Load | Closed | Open | Anomalies} */ task) => {
  const run = /** @type {(task: any) => Promise<import('node:child_process').Serializable>} */ (
    tasks[task.kind]
  )
  run(task).then(
    (result) => process.send?.(result),
    (error) => {
      console.error(error)
      process.exit(1)
    },
  )
})
// Whoever started it is gone.
process.on('disconnect', () => process.exit(1))
process.on('SIGTERM', () => system.close().then(() => process.exit(0)))
console.log('ready')
