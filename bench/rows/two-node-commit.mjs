// @ts-check
import { Redis } from 'ioredis'
import { pause } from '../clock.mjs'
import { collected, countOf, startCluster } from '../cluster.mjs'
import { connectTo } from '../connect.mjs'
import { COUNTED, countPerOne } from '../count-per-one.mjs'
import { sideBySide } from '../histogram.mjs'
import { startRedis } from '../processes.mjs'
import { watchCommands } from '../redis-commands.mjs'

/** @typedef {import('virga').Virga} Virga */

/** Six values of 1 KiB: together more than travels inside a context, each small enough to stand in the decision. */
const VALUES = 6
const VALUE = 'v'.repeat(1024)
const IDLE_MS = 6_000

/**
 * A commit of writes that stay on the node of the function that made them: through another node, which prepares them there,
 * against the same through that node itself. From the call to the acknowledgement, the resume included.
 */
export async function twoNodeCommit(/** @type {import('../sections.mjs').Options} */ { quick, dice }) {
  const redis = await startRedis()
  const nodes = await startCluster(redis.url, 2)
  const [a, b] = nodes
  if (a === undefined || b === undefined) throw new Error('there are no nodes')
  const again = await connectTo(a.socket)
  let n = 0
  const handedOff = async () => {
    const tx = await a.virga.begin()
    for (let i = 0; i < VALUES; i++) tx.put(`k${(n + i) % 1_000}`, VALUE)
    n += VALUES
    return { id: tx.id, context: await tx.handoff() }
  }
  const times = await sideBySide(
    {
      one: stagedCommit(handedOff, again, b.virga),
      two: stagedCommit(handedOff, b.virga, b.virga),
    },
    { rounds: quick ? 100 : 1_200, each: 1, warmup: quick ? 50 : 400, dice },
  )
  const counts = await countCommits(redis.url, nodes, handedOff, b.virga)
  const rest = quick ? [] : await countRest(redis.url, nodes, handedOff, b.virga)
  await again.close()
  const { one, two } = times
  if (one === undefined || two === undefined) throw new Error('nothing was measured')
  const what = `commit of ${VALUES} values of 1 KiB`
  return [
    {
      name: `${what} that another node holds, p50, against a commit on the node that holds them`,
      value: two.p50Us,
      unit: 'µs',
      against: one.p50Us,
      ratio: two.p50Us / one.p50Us,
    },
    {
      name: '  the same, p99',
      value: two.p99Us,
      unit: 'µs',
      against: one.p99Us,
      ratio: two.p99Us / one.p99Us,
    },
    exactly('  messages to prepare for it, each answered', counts.prepares, 'requests', 1),
    exactly('  requests between nodes for it, of any kind', counts.requests, 'requests', 1),
    exactly('  storage commands for it', counts.commands, 'commands', 1),
    ...rest,
  ]
}

/**
 * @param {() => Promise<{ context: string }>} before
 * @param {Virga} by
 * @param {Virga} last
 */
function stagedCommit(before, by, last) {
  return {
    before,
    run: (/** @type {{ context: string }} */ { context }) => by.commit(context),
    // The second node has to know the snapshot of the next one: what was committed on the first must have come there.
    after: async (/** @type {{ session: string }} */ { session }) => {
      const tx = await last.begin({ after: session })
      await tx.abort()
    },
  }
}

/**
 * @param {string} url
 * @param {readonly import('../cluster.mjs').Node[]} nodes
 * @param {() => Promise<{ id: string, context: string }>} handedOff
 * @param {Virga} by
 */
async function countCommits(url, nodes, handedOff, by) {
  const redis = new Redis(url)
  /** @type {{ id: string, context: string }[]} */
  const ready = []
  for (let i = 0; i < COUNTED; i++) ready.push(await handedOff())
  const ids = new Set(ready.map(({ id }) => id))
  const prepared = await countOf(nodes, 'preparesSent')
  const watch = await watchCommands(redis)
  const requests = await countPerOne(
    () => countOf(nodes, 'peerRequests'),
    (i) => by.commit(/** @type {{ context: string }} */ (ready[i]).context),
  )
  const commands = await watch.end()
  const prepares = ((await countOf(nodes, 'preparesSent')) - prepared) / COUNTED
  redis.disconnect()
  // A command is of a commit if it names one of the transactions, be it as a field or within one.
  const own = commands.list.filter((args) => args.some((arg) => ids.has(arg.slice(0, 36))))
  return { prepares, requests, commands: own.length / COUNTED }
}

/**
 * What both nodes do besides: with nothing to do, and to collect what was committed.
 *
 * @param {string} url
 * @param {readonly import('../cluster.mjs').Node[]} nodes
 * @param {() => Promise<{ context: string }>} handedOff
 * @param {Virga} by
 */
async function countRest(url, nodes, handedOff, by) {
  const commits = 1_000
  const redis = new Redis(url)
  await collected(nodes)
  const idle = await watchCommands(redis)
  await pause(IDLE_MS)
  const idled = await idle.end()
  const perSecond = idled.list.length / idled.seconds
  const watch = await watchCommands(redis)
  for (let i = 0; i < commits; i++) await by.commit((await handedOff()).context)
  await collected(nodes)
  const all = await watch.end()
  redis.disconnect()
  const perCommit = (all.list.length - perSecond * all.seconds) / commits
  return [
    {
      name: '  storage commands for it and to collect it later, of both nodes',
      value: perCommit,
      unit: 'commands',
    },
    { name: '  storage commands of both nodes with nothing to do', value: perSecond, unit: '/s' },
  ]
}

/** @param {string} name @param {number} value @param {string} unit @param {number} expected */
function exactly(name, value, unit, expected) {
  return { name, value, unit, budget: String(expected), holds: value === expected, counted: true }
}
