// @ts-check
import { Redis } from 'ioredis'
import { median, throughput } from '../histogram.mjs'
import { startNodeAndClient, startRedis, temporaryFolder } from '../processes.mjs'

const KEYS = 10_000

/** Commits a second: 4 KiB writes on Redis against the same two SETs with no guarantee, and small ones on each engine. */
export async function commitRates(/** @type {import('../sections.mjs').Options} */ options) {
  return [...(await largeOnRedis(options)), ...(await smallOnEach(options))]
}

/** @param {import('../sections.mjs').Options} options */
async function largeOnRedis({ quick, dice }) {
  const redis = await startRedis()
  // What virga collects meanwhile is not to slow it down.
  const direct = new Redis((await startRedis()).url)
  const { virga, stop } = await startNodeAndClient(redis.url)
  const value = 'v'.repeat(4_096)
  const rows = []
  for (const inFlight of [1, 10, 40, 256]) {
    /** @type {number[]} */
    const own = []
    /** @type {number[]} */
    const bare = []
    for (let round = 0; round < (quick ? 1 : 3); round++) {
      const total = (quick ? 200 : 2_000) * (inFlight === 1 ? 1 : 2)
      const commit = (/** @type {number} */ i) =>
        virga.transaction((tx) => {
          tx.put(`a${i % 1_000}`, value)
          tx.put(`b${i % 1_000}`, value)
        })
      const set = (/** @type {number} */ i) =>
        Promise.all([direct.set(`a${i % 1_000}`, value), direct.set(`b${i % 1_000}`, value)])
      const turns = /** @type {const} */ ([
        [own, commit],
        [bare, set],
      ])
      for (const [rates, one] of dice.shuffled(turns)) rates.push(await throughput(inFlight, total, one))
    }
    const [a, b] = [median(own), median(bare)]
    rows.push({
      name: `commits of 2 writes of 4 KiB, Redis, ${inFlight} in flight, against 2 bare SETs`,
      value: a,
      unit: '/s',
      against: b,
      ratio: a / b,
    })
  }
  direct.disconnect()
  await stop()
  return rows
}

/** @param {import('../sections.mjs').Options} options */
async function smallOnEach({ quick, dice }) {
  const redis = await startRedis()
  const engines = {
    'LMDB, fsync': `lmdb:${temporaryFolder()}/data`,
    'LMDB, no fsync': `lmdb:${temporaryFolder()}/data?sync=false`,
    Redis: redis.url,
  }
  const rows = new Map(
    Object.keys(engines).map((name) => [name, /** @type {import('../report/types.mjs').Row[]} */ ([])]),
  )
  for (const [name, storage] of dice.shuffled(Object.entries(engines))) {
    const { virga, stop } = await startNodeAndClient(storage)
    const rates = []
    // The first round warms up, and is not counted.
    for (let round = 0; round < (quick ? 2 : 6); round++) {
      rates.push(
        await throughput(256, quick ? 2_000 : 30_000, (i) =>
          virga.transaction((tx) => {
            tx.put(`a${i % KEYS}`, i)
            tx.put(`b${i % KEYS}`, i)
          }),
        ),
      )
    }
    await stop()
    const rate = median(rates.slice(1))
    const budget = name === 'LMDB, no fsync' ? { budget: '>= 25,000', holds: rate >= 25_000 } : {}
    rows.get(name)?.push({
      name: `commits of 2 small writes, ${name}, 256 in flight`,
      value: rate,
      unit: '/s',
      ...budget,
    })
  }
  return [...rows.values()].flat()
}
