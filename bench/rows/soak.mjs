// @ts-check

import { pause } from '../clock.mjs'
import { median } from '../histogram.mjs'
import { residentBytes, startModule, startNodeAndClient, temporaryFolder } from '../processes.mjs'
import { storedInLmdb } from '../stored.mjs'
import { AFT_SHAPE } from '../workload/plan.mjs'

const MIB = 1024 * 1024
const CAPACITY_MS = 5_000
const WINDOW_MS = 5_000
/** What storage holds is counted record by record: not so often that it is the load. */
const LOOK_EVERY = 12
/** The last third against the second: what still grows by then grows for ever. The first fills caches. */
const GROWTH_MAX = 1.2

/** @typedef {{ minutes: number, p50Ms: number, p99Ms: number, residentMib: number, heapMib: number, versions: number }} Sample */
/** @typedef {{ minutes: number, records: number, mib: number, markers: number, fileMib: number }} Look */

/** Ten minutes of the AFT shape at half of what the node can do: latency, memory and storage stay as they are. */
export async function soak(/** @type {import('../sections.mjs').Options} */ { quick, dice }) {
  const folder = `${temporaryFolder()}/data`
  const { virga, socket, pid, ask } = await startNodeAndClient(`lmdb:${folder}`)
  const driver = await startModule('workload/driver-process.mjs', [
    'virga',
    JSON.stringify({ socket, view: 'auto', hops: true }),
  ])
  const { keys, valueBytes } = AFT_SHAPE
  await driver.ask({ kind: 'load', keys, valueBytes })
  const seed = () => dice.below(2 ** 31)
  const full = { kind: 'closed', shape: AFT_SHAPE, inFlight: 40, leadMs: 2_000, ms: CAPACITY_MS }
  const { perSecond: capacity } = await driver.ask({ ...full, seed: seed() })
  const perSecond = Math.floor(capacity / 2)
  const windows = ((quick ? 0.5 : 10) * 60_000) / WINDOW_MS
  /** @type {Sample[]} */
  const samples = []
  /** @type {Look[]} */
  const looks = []
  for (let i = 0; i < windows; i++) {
    const minutes = ((i + 1) * WINDOW_MS) / 60_000
    const load = { kind: 'open', shape: AFT_SHAPE, seed: seed(), perSecond, leadMs: 0, ms: WINDOW_MS }
    const { p50Ms, p99Ms } = await driver.ask(load)
    const { versions } = await virga.inspect()
    const residentMib = residentBytes(pid) / MIB
    // Without garbage: asked for, which costs a collection, as rarely as what storage holds.
    const looking = i % LOOK_EVERY === LOOK_EVERY - 1 || i === windows - 1
    const heapMib = looking ? Number(await ask('heap')) / MIB : (samples.at(-1)?.heapMib ?? 0)
    samples.push({ minutes, p50Ms, p99Ms, residentMib, heapMib, versions: Number(versions) })
    if (looking) {
      const { live, markers, diskBytes } = await storedInLmdb(folder)
      looks.push({
        minutes,
        records: live.records,
        mib: live.bytes / MIB,
        markers: markers.records,
        fileMib: diskBytes / MIB,
      })
      process.stderr.write(
        `${minutes.toFixed(1)} min: p99 ${p99Ms.toFixed(1)} ms, ${residentMib.toFixed(0)} MiB\n`,
      )
      await pause(200)
    }
  }
  return told(perSecond, samples, looks)
}

/** @param {number} perSecond @param {readonly Sample[]} samples @param {readonly Look[]} looks */
function told(perSecond, samples, looks) {
  const markersPerMinute = (looks.at(-1)?.markers ?? 0) / (looks.at(-1)?.minutes ?? 1)
  return {
    rows: [
      { name: 'transactions a second, half of capacity', value: perSecond, unit: '/s' },
      growth(
        'p50',
        'ms',
        samples.map(({ p50Ms }) => p50Ms),
      ),
      growth(
        'p99 of 5 seconds',
        'ms',
        samples.map(({ p99Ms }) => p99Ms),
      ),
      growth(
        'resident memory of the node',
        'MiB',
        samples.map(({ residentMib }) => residentMib),
      ),
      growth(
        'in use by JavaScript, without garbage',
        'MiB',
        looks.map((look) => heapAt(samples, look.minutes)),
      ),
      growth(
        'records in storage, without markers',
        'records',
        looks.map(({ records }) => records),
      ),
      growth(
        'bytes of them',
        'MiB',
        looks.map(({ mib }) => mib),
      ),
      { name: 'markers, which stay for the idempotency window', value: markersPerMinute, unit: 'a minute' },
      { name: 'file of LMDB at the end, markers included', value: looks.at(-1)?.fileMib ?? 0, unit: 'MiB' },
    ],
    charts: [
      chart('soak-latency', 'latency', 'ms', {
        p50: samples.map(({ minutes, p50Ms }) => [minutes, p50Ms]),
        p99: samples.map(({ minutes, p99Ms }) => [minutes, p99Ms]),
      }),
      chart('soak-memory', 'memory and storage', 'MiB', {
        'resident memory': samples.map(({ minutes, residentMib }) => [minutes, residentMib]),
        'in use by JavaScript': looks.map(({ minutes }) => [minutes, heapAt(samples, minutes)]),
        'stored, without markers': looks.map(({ minutes, mib }) => [minutes, mib]),
      }),
    ],
  }
}

/** @param {readonly Sample[]} samples @param {number} minutes */
function heapAt(samples, minutes) {
  return samples.find((sample) => sample.minutes === minutes)?.heapMib ?? 0
}

/** The last third against the second. @param {string} what @param {string} unit @param {readonly number[]} values */
function growth(what, unit, values) {
  const third = Math.floor(values.length / 3)
  const [value, against] = [median(values.slice(-third)), median(values.slice(third, -third))]
  const ratio = value / against
  return {
    name: `${what}, the last third of the time against the second`,
    value,
    unit,
    against,
    ratio,
    budget: `<= ${GROWTH_MAX}`,
    holds: ratio <= GROWTH_MAX,
  }
}

/** @param {string} id @param {string} what @param {string} label @param {Readonly<Record<string, (readonly number[])[]>>} series */
function chart(id, what, label, series) {
  return {
    kind: /** @type {const} */ ('lines'),
    id,
    title: `Soak: ${what}`,
    subtitle: 'the AFT shape at half of capacity, on LMDB, at a fixed rate',
    x: { label: 'minutes', scale: /** @type {const} */ ('linear') },
    y: { label, scale: /** @type {const} */ ('linear') },
    series: Object.entries(series).map(([name, points]) => ({
      name,
      points: /** @type {[number, number][]} */ (/** @type {unknown} */ (points)),
    })),
  }
}
