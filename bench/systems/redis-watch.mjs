// @ts-check
import { Redis } from 'ioredis'
import { throughput } from '../histogram.mjs'
import { poolOf } from './pool.mjs'
import { ATTEMPTS_MAX, LOAD_IN_FLIGHT } from './system.mjs'

/**
 * Optimistic transactions of Redis: what is read is watched, what is written is kept back and sent as one MULTI … EXEC, which
 * fails if anything read has changed; then all functions run again. A WATCH belongs to a connection, so each transaction has
 * one for itself, and its functions share a process. A WATCH and its GET go together, in one round trip.
 *
 * @param {{ url: string, connectionsMax: number }} target
 * @returns {Promise<import('./system.mjs').System>}
 */
export async function redisWatch({ url, connectionsMax }) {
  const pool = poolOf(connectionsMax, async () => {
    const redis = new Redis(url)
    await redis.ping()
    return redis
  })
  await pool.with(async () => undefined)
  return {
    atOnce: true,
    transaction: (start) =>
      pool.with(async (redis) => {
        for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
          const { functions, committed, aborted } = start()
          if (await attempted(redis, functions)) {
            committed()
            return attempt
          }
          aborted()
        }
        throw new Error(`a transaction has failed ${ATTEMPTS_MAX} times`)
      }),
    async load(keys, value) {
      await pool.with((redis) =>
        throughput(LOAD_IN_FLIGHT, keys.length, (i) => redis.set(/** @type {string} */ (keys[i]), value)),
      )
    },
    async close() {
      for (const redis of pool.all) redis.disconnect()
    },
  }
}

/** @param {Redis} redis @param {readonly import('./system.mjs').Fn[]} functions */
async function attempted(redis, functions) {
  /** @type {Map<string, string>} */
  const writes = new Map()
  const getMany = async (/** @type {readonly string[]} */ keys) => {
    const asked = keys.filter((key) => !writes.has(key))
    const stored = asked.length === 0 ? [] : await watchedValues(redis, asked)
    const found = new Map(asked.map((key, i) => [key, stored[i] ?? undefined]))
    return keys.map((key) => writes.get(key) ?? found.get(key))
  }
  /** @type {import('./system.mjs').Access} */
  const access = {
    getMany,
    get: async (key) => (await getMany([key]))[0],
    put: (key, value) => void writes.set(key, value),
  }
  for (const run of functions) await run(access)
  const multi = redis.multi()
  for (const [key, value] of writes) multi.set(key, value)
  return (await multi.exec()) !== null
}

/** @param {Redis} redis @param {readonly string[]} keys */
async function watchedValues(redis, keys) {
  const pipeline = redis.pipeline().watch(...keys)
  const [watched, got] = (await pipeline.mget(...keys).exec()) ?? []
  const error = watched?.[0] ?? got?.[0]
  if (error) throw error
  return /** @type {(string | null)[]} */ (got?.[1])
}
