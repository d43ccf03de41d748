// @ts-check
import { VirgaError } from 'virga'
import { pause } from '../clock.mjs'
import { connectTo } from '../connect.mjs'
import { throughput } from '../histogram.mjs'
import { ATTEMPTS_MAX, LOAD_IN_FLIGHT } from './system.mjs'

const BACKOFF_MS_MAX = 100

/**
 * virga. `hops`: each function resumes what the one before it has handed off, through another connection, as another executor
 * would; else all run in one `transaction()`.
 *
 * @param {{ socket: string, view: import('../connect.mjs').View, hops: boolean }} target
 * @returns {Promise<import('./system.mjs').System>}
 */
export async function virgaSystem({ socket, view, hops }) {
  const clients = [await connectTo(socket, view), await connectTo(socket, view)]
  const [first] = /** @type {[import('virga').Virga, import('virga').Virga]} */ (clients)
  return {
    atOnce: true,
    transaction: hops ? (start) => asHops(clients, start) : (start) => asOne(first, start),
    async load(keys, value) {
      await throughput(LOAD_IN_FLIGHT, keys.length, (i) =>
        first.transaction((tx) => tx.put(/** @type {string} */ (keys[i]), value)),
      )
    },
    async close() {
      for (const client of clients) await client.close()
    },
  }
}

/** @typedef {import('./system.mjs').Attempt} Attempt */

/**
 * All attempts are of one transaction: the one whose result comes back has committed, and no other ever will.
 *
 * @param {import('virga').Virga} virga @param {() => Attempt} start
 */
async function asOne(virga, start) {
  /** @type {Attempt[]} */
  const attempts = []
  const decided = await virga.transaction(async (tx) => {
    const attempt = start()
    attempts.push(attempt)
    const access = accessOf(tx)
    for (const run of attempt.functions) await run(access)
    return attempt
  })
  decided.committed()
  for (const attempt of attempts) if (attempt !== decided) attempt.aborted()
  return attempts.length
}

/**
 * Each attempt is a transaction of its own: one whose outcome is not known may have committed as well.
 *
 * @param {readonly import('virga').Virga[]} clients @param {() => Attempt} start
 */
async function asHops(clients, start) {
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const { functions, committed, aborted } = start()
    let mayCommit = false
    try {
      let tx = await clientOf(clients, 0).begin()
      for (const [i, run] of functions.entries()) {
        await run(accessOf(tx))
        if (i + 1 < functions.length) tx = await clientOf(clients, i + 1).resume(await tx.handoff())
      }
      mayCommit = true
      await tx.commit()
      committed()
      return attempt
    } catch (error) {
      if (!mayCommit || (VirgaError.is(error) && error.outcome === 'definite')) aborted()
      if (!VirgaError.is(error) || !error.retryable) throw error
      // As `transaction()` does, and whatever runs functions: at once, each refusal would make another one.
      if (error.code === 'Busy') await pause(Math.min(BACKOFF_MS_MAX, attempt))
    }
  }
  throw new Error(`a transaction has failed ${ATTEMPTS_MAX} times`)
}

/** @param {readonly import('virga').Virga[]} clients @param {number} i */
function clientOf(clients, i) {
  return /** @type {import('virga').Virga} */ (clients[i % clients.length])
}

/** @param {import('virga').Transaction} tx @returns {import('./system.mjs').Access} */
function accessOf(tx) {
  return {
    get: (key) => tx.get(key),
    getMany: (keys) => tx.getMany(keys),
    put: (key, value) => tx.put(key, value),
  }
}
