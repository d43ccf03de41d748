// @ts-check
import { Redis } from 'ioredis'
import { connectTo } from '../connect.mjs'
import { startFloor } from '../floor.mjs'
import { sideBySide } from '../histogram.mjs'
import { startNodeAndClient, startRedis } from '../processes.mjs'
import { largeThings, readingThings, writingThings } from './micro-things.mjs'

/** @typedef {Awaited<ReturnType<typeof sideBySide>>} Times */

/** Single operations, one at a time, of virga and of ioredis on a Redis with the same settings; and a bare echo as the floor. */
export async function micro(/** @type {import('../sections.mjs').Options} */ { quick, dice }) {
  const floors = { tcp: await startFloor('tcp'), unix: await startFloor('unix') }
  const redis = new Redis((await startRedis()).url)
  const { virga: byView, socket } = await startNodeAndClient((await startRedis()).url)
  const byIpc = await connectTo(socket, 'off')
  const parts = { redis, byView, byIpc, floors }
  const [few, many, large] = quick ? [4, 10, 2] : [200, 300, 30]
  const run = async (/** @type {Parameters<typeof sideBySide>[0]} */ things, /** @type {number} */ rounds) =>
    sideBySide(things, { rounds, each: 10, warmup: quick ? 20 : 300, dice })
  const reads = await run(await readingThings(parts), many)
  const writes = await run(writingThings(parts), few)
  const larges = await sideBySide(await largeThings(parts), { rounds: large, each: 2, warmup: 5, dice })
  await byIpc.close()
  redis.disconnect()
  for (const floor of Object.values(floors)) await floor.stop()
  return {
    rows: [
      ...versus(reads, 'virga: cached read, view', 'ioredis: GET', 1 / 30, 'at most 1/30'),
      ...versus(reads, 'virga: read-only transaction of 4, view', 'ioredis: GET', 0.2),
      ...versus(reads, 'virga: cached read, IPC', 'ioredis: GET'),
      ...versus(reads, 'virga: read-only transaction of 4, IPC', 'ioredis: MGET of 4'),
      ...versus(writes, 'virga: commit of 2 small writes', 'ioredis: MULTI of 2 SETs'),
      ...versus(writes, 'virga: commit of 100 small writes', 'ioredis: MULTI of 100 SETs'),
      ...versus(writes, 'virga: commit of 4 KiB', 'ioredis: SET of 4 KiB'),
      ...versus(larges, 'virga: commit of 1 MiB', 'ioredis: SET of 1 MiB'),
    ],
    tables: [table('Reads', reads), table('Writes, Redis', writes), table('1 MiB', larges)],
    charts: [
      bars(
        'micro-reads',
        'Reading',
        'one at a time; the bar is the median, the thin line goes on to p99',
        reads,
      ),
      bars(
        'micro-writes',
        'Writing',
        'one at a time, on Redis; the bar is the median, the thin line goes on to p99',
        writes,
      ),
    ],
  }
}

/** @param {Times} times @param {string} own @param {string} other @param {number} [atMost] @param {string} [budget] */
function versus(times, own, other, atMost, budget = `<= ${atMost}`) {
  const [a, b] = [times[own], times[other]]
  if (a === undefined || b === undefined) throw new Error(`${own} or ${other} was not measured`)
  const ratio = a.p50Us / b.p50Us
  const verdict = atMost === undefined ? {} : { budget, holds: ratio <= atMost }
  const name = `${own.replace('virga: ', '')}, p50, against ${other.replace(': ', ' ')}`
  return [{ name, value: a.p50Us, unit: 'µs', against: b.p50Us, ratio, ...verdict }]
}

/** @param {string} title @param {Times} times */
function table(title, times) {
  const lines = Object.entries(times).map(([name, { p50Us, p99Us }]) => ({ name, cells: [p50Us, p99Us] }))
  return { title, unit: 'µs', columns: ['p50', 'p99'], lines }
}

/** @param {string} id @param {string} title @param {string} subtitle @param {Times} times */
function bars(id, title, subtitle, times) {
  return {
    kind: /** @type {const} */ ('bars'),
    id,
    title,
    subtitle,
    x: { label: 'µs, logarithmic', scale: /** @type {const} */ ('log') },
    bars: Object.entries(times)
      .map(([name, { p50Us, p99Us }]) => ({ name, value: p50Us, p99: p99Us }))
      .sort((a, b) => a.value - b.value),
  }
}
