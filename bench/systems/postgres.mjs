// @ts-check
import { createRequire } from 'node:module'
import { poolOf } from './pool.mjs'
import { ATTEMPTS_MAX } from './system.mjs'

// Loaded only where there is a server. The package has no types.
const load = /** @type {(name: string) => any} */ (createRequire(import.meta.url))

/** What PostgreSQL answers where trying again is expected: a serialization failure, a deadlock. */
const AGAIN = new Set(['40001', '40P01'])

const READ = { name: 'read', text: 'SELECT value FROM items WHERE key = $1' }
const READ_MANY = { name: 'read-many', text: 'SELECT key, value FROM items WHERE key = ANY($1)' }
const WRITE = {
  name: 'write',
  text: 'INSERT INTO items VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
}

/**
 * Transactions of PostgreSQL, with prepared statements, tried again when the server says so. One connection for each that is
 * under way.
 *
 * @param {{ port: number, user: string, isolation: 'SERIALIZABLE' | 'READ COMMITTED', connectionsMax: number }} target
 * @returns {Promise<import('./system.mjs').System>}
 */
export async function postgres({ port, user, isolation, connectionsMax }) {
  const { Client } = load('pg')
  const pool = poolOf(connectionsMax, async () => {
    const client = new Client({ host: '127.0.0.1', port, user, database: 'postgres' })
    await client.connect()
    return client
  })
  const begin = `BEGIN ISOLATION LEVEL ${isolation}`
  return {
    atOnce: true,
    transaction: (start) =>
      pool.with(async (client) => {
        const access = accessOf(client)
        for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
          const { functions, committed, aborted } = start()
          try {
            await client.query(begin)
            for (const run of functions) await run(access)
            await client.query('COMMIT')
            committed()
            return attempt
          } catch (error) {
            await client.query('ROLLBACK')
            if (!AGAIN.has(/** @type {{ code: string }} */ (error).code)) throw error
            aborted()
          }
        }
        throw new Error(`a transaction has failed ${ATTEMPTS_MAX} times`)
      }),
    load: (keys, value) =>
      pool.with(async (client) => {
        await client.query('CREATE TABLE IF NOT EXISTS items (key text PRIMARY KEY, value text NOT NULL)')
        for (const key of keys) await client.query({ ...WRITE, values: [key, value] })
        await client.query('ANALYZE items')
      }),
    async close() {
      for (const client of pool.all) await client.end()
    },
  }
}

/** @param {any} client @returns {import('./system.mjs').Access} */
function accessOf(client) {
  return {
    get: async (key) => (await client.query({ ...READ, values: [key] })).rows[0]?.value,
    async getMany(keys) {
      const { rows } = await client.query({ ...READ_MANY, values: [keys] })
      const found = new Map(
        rows.map((/** @type {{ key: string, value: string }} */ row) => [row.key, row.value]),
      )
      return keys.map((key) => found.get(key))
    },
    put: (key, value) => client.query({ ...WRITE, values: [key, value] }),
  }
}
