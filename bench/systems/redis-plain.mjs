// @ts-check
import { Redis } from 'ioredis'
import { throughput } from '../histogram.mjs'
import { LOAD_IN_FLIGHT } from './system.mjs'

/**
 * The functions straight on Redis, over one connection that all share, as ioredis is used. No guarantee at all.
 *
 * @param {{ url: string }} target
 * @returns {Promise<import('./system.mjs').System>}
 */
export async function redisPlain({ url }) {
  const redis = new Redis(url)
  await redis.ping()
  /** @type {import('./system.mjs').Access} */
  const access = {
    get: async (key) => (await redis.get(key)) ?? undefined,
    getMany: async (keys) => (await redis.mget(...keys)).map((value) => value ?? undefined),
    put: (key, value) => redis.set(key, value),
  }
  return {
    atOnce: false,
    async transaction(start) {
      const { functions, committed } = start()
      for (const run of functions) await run(access)
      committed()
      return 1
    },
    async load(keys, value) {
      await throughput(LOAD_IN_FLIGHT, keys.length, (i) => redis.set(/** @type {string} */ (keys[i]), value))
    },
    close: async () => redis.disconnect(),
  }
}
