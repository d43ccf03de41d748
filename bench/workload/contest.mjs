// @ts-check
import { pause } from '../clock.mjs'
import { drained } from '../cluster.mjs'
import { startPostgres } from '../postgres-server.mjs'
import {
  cpuSecondsWithChildren,
  startModule,
  startNodeAndClient,
  startRedis,
  temporaryFolder,
} from '../processes.mjs'

/** As many as are ever under way at once. */
const CONNECTIONS_MAX = 256
/** Collection follows the commits by some seconds: it is under way before anything is counted. */
const COLLECTING_MS = 1_500
const WARM_MS = 500
const LEAD_IN_FLIGHT = 40
const SETTLE_MS = 100

/** In the order in which they are told. */
export const ALL_SYSTEMS = [
  'virga, Redis',
  'virga, Redis, one process',
  'virga, Redis, by IPC',
  'virga, LMDB',
  'Redis, no guarantee',
  'Redis WATCH',
  'PostgreSQL, serializable',
  'PostgreSQL, read committed',
]

/** @typedef {Awaited<ReturnType<typeof startModule>>} Driver */
/** @typedef {{ driver: Driver, node: Node | undefined, pids: readonly number[] }} Entrant */
/** @typedef {Awaited<ReturnType<typeof startNodeAndClient>>} Node */

/**
 * Systems side by side, each with a driver in a process of its own, and loaded. Each Redis is a server of its own with the same
 * settings; those of virga share a node and its Redis.
 *
 * @param {readonly string[]} wanted @param {import('./plan.mjs').Shape} shape
 */
export async function startContest(wanted, shape) {
  const servers = serversOf()
  /** @type {Map<string, Entrant>} */
  const entrants = new Map()
  const absent = []
  for (const name of wanted) {
    const start = starters[name]
    if (start === undefined) throw new Error(`there is no system ${name}`)
    const { kind, target, node, pids, why } = await start(servers)
    if (why !== undefined) {
      absent.push(`${name} is absent: ${why}.`)
      continue
    }
    const driver = await startModule('workload/driver-process.mjs', [kind, JSON.stringify(target)])
    entrants.set(name, { node, driver, pids: [driver.pid, ...pids] })
  }
  const entrantOf = (/** @type {string} */ name) => /** @type {Entrant} */ (entrants.get(name))
  const reload = (/** @type {string} */ name) =>
    entrantOf(name).driver.ask({ kind: 'load', keys: shape.keys, valueBytes: shape.valueBytes })
  for (const name of entrants.keys()) await reload(name)
  return {
    names: [...entrants.keys()],
    absent,
    reload,
    /**
     * One system has the machine for itself: what the one before it has left to do is done, and it runs warm. `ask` has its
     * driver do something, and tells the CPU that all its processes took for a transaction of it as well.
     *
     * @template R @param {string} name @param {boolean} brief @param {(ask: Ask) => Promise<R>} use
     */
    async inTurn(name, brief, use) {
      const { driver, node, pids } = entrantOf(name)
      const ms = brief ? SETTLE_MS : node === undefined ? WARM_MS : COLLECTING_MS
      await driver.ask({ kind: 'closed', shape, seed: 1, inFlight: LEAD_IN_FLIGHT, leadMs: 0, ms })
      const result = await use(async (task) => {
        const before = cpuOf(pids)
        const report = await driver.ask(task)
        return { ...report, cpuUs: ((cpuOf(pids) - before) * 1e6) / Math.max(1, report.all ?? 0) }
      })
      if (node !== undefined && !brief) await drained([node])
      await pause(SETTLE_MS)
      return result
    },
  }
}

/** @typedef {(task: import('node:child_process').Serializable) => Promise<any>} Ask */

/** @param {readonly number[]} pids */
function cpuOf(pids) {
  return pids.reduce((sum, pid) => sum + cpuSecondsWithChildren(pid), 0)
}

/** Started when the first asks for them, and then shared. */
function serversOf() {
  const once = (/** @type {() => Promise<any>} */ start) => {
    /** @type {Promise<any> | undefined} */
    let started
    return () => {
      started ??= start()
      return started
    }
  }
  return {
    plain: once(startRedis),
    watch: once(startRedis),
    postgres: once(startPostgres),
    nodeOnRedis: once(async () => {
      const redis = await startRedis()
      return { node: await startNodeAndClient(redis.url), pids: [redis.pid] }
    }),
    nodeOnLmdb: once(async () => ({
      node: await startNodeAndClient(`lmdb:${temporaryFolder()}/data`),
      pids: [],
    })),
  }
}

/** @typedef {ReturnType<typeof serversOf>} Servers */
/** @typedef {{ kind: string, target: unknown, pids: readonly number[], node?: Node | undefined, why?: string }} Started */

/** @type {Readonly<Record<string, (servers: Servers) => Promise<Started>>>} */
const starters = {
  'virga, Redis': async ({ nodeOnRedis }) => virgaOn(await nodeOnRedis(), 'auto', true),
  'virga, Redis, one process': async ({ nodeOnRedis }) => virgaOn(await nodeOnRedis(), 'auto', false),
  'virga, Redis, by IPC': async ({ nodeOnRedis }) => virgaOn(await nodeOnRedis(), 'off', true),
  'virga, LMDB': async ({ nodeOnLmdb }) => virgaOn(await nodeOnLmdb(), 'auto', true),
  'Redis, no guarantee': async ({ plain }) => {
    const { url, pid } = await plain()
    return { kind: 'plain', target: { url }, pids: [pid] }
  },
  'Redis WATCH': async ({ watch }) => {
    const { url, pid } = await watch()
    return { kind: 'watch', target: { url, connectionsMax: CONNECTIONS_MAX }, pids: [pid] }
  },
  'PostgreSQL, serializable': ({ postgres }) => postgresWith(postgres, 'SERIALIZABLE'),
  'PostgreSQL, read committed': ({ postgres }) => postgresWith(postgres, 'READ COMMITTED'),
}

/** @param {{ node: Node, pids: readonly number[] }} server @param {import('../connect.mjs').View} view @param {boolean} hops */
function virgaOn({ node, pids }, view, hops) {
  return { kind: 'virga', target: { socket: node.socket, view, hops }, node, pids: [node.pid, ...pids] }
}

/** @param {Servers['postgres']} start @param {string} isolation @returns {Promise<Started>} */
async function postgresWith(start, isolation) {
  const server = await start()
  if (server.absent !== undefined) return { kind: 'postgres', target: null, pids: [], why: server.absent }
  const { pid, ...where } = server
  const target = { ...where, isolation, connectionsMax: CONNECTIONS_MAX / 2 }
  return { kind: 'postgres', target, pids: [pid] }
}
