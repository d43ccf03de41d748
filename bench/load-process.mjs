// @ts-check
import { monotonicMs, pause } from './clock.mjs'
import { connectTo } from './connect.mjs'

// Commits of two small writes through the node at a socket, as its parent says: so many at a time until a moment comes, or
// each when it is due, however many of the earlier ones are still under way.
const [socket = ''] = process.argv.slice(2)
const virga = await connectTo(socket)

/** @typedef {{ kind: 'closed', keys: string, keysMax: number, inFlight: number, fromMs: number, untilMs: number }} Closed */
/** @typedef {{ kind: 'open', keys: string, keysMax: number, base: number, count: number, perSecond: number, startAtMs: number }} Open */

/** @param {string} keys @param {number} i @param {number} keysMax @param {number} [base] */
const commit = (keys, i, keysMax, base = 0) =>
  virga.transaction((tx) => {
    tx.put(`${keys}a${i % keysMax}`, base + i)
    tx.put(`${keys}b${i % keysMax}`, base + i)
  })

/** Counts what was acknowledged from one moment until the other. @param {Closed} load */
async function closed({ keys, keysMax, inFlight, fromMs, untilMs }) {
  let next = 0
  let done = 0
  const worker = async () => {
    while (monotonicMs() < untilMs) {
      await commit(keys, next++, keysMax)
      const nowMs = monotonicMs()
      if (nowMs >= fromMs && nowMs <= untilMs) done++
    }
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
  return { done }
}

/** Each is due at its moment, whatever became of those before it: a stall is charged to all that it held up. @param {Open} load */
async function open({ keys, keysMax, base, count, perSecond, startAtMs }) {
  const ackedAtMs = new Float64Array(count)
  /** @type {Promise<void>[]} */
  const commits = []
  for (let i = 0; i < count; ) {
    const due = Math.min(count, Math.floor(((monotonicMs() - startAtMs) * perSecond) / 1_000) + 1)
    for (; i < due; i++) {
      const at = i
      const acked = () => {
        ackedAtMs[at] = monotonicMs()
      }
      commits.push(commit(keys, at, keysMax, base).then(acked))
    }
    await pause(1)
  }
  await Promise.all(commits)
  return { ackedAtMs: [...ackedAtMs] }
}

process.on('message', (/** @type {Closed | Open} */ load) => {
  const running = load.kind === 'closed' ? closed(load) : open(load)
  running.then(
    (result) => process.send?.(result),
    (error) => {
      console.error(error)
      process.exit(1)
    },
  )
})
// Whoever started it is gone.
process.on('disconnect', () => process.exit(1))
process.on('SIGTERM', () => virga.close().then(() => process.exit(0)))
console.log('ready')
