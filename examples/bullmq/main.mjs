// @ts-check
/**
 * Orders as BullMQ flows over two nodes, one transaction each. Workers are killed half-way, and right after a commit.
 *
 *   node examples/bullmq/main.mjs redis://127.0.0.1:6379
 *
 * Everything that it puts there has names of its own, and is removed in the end.
 */
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { connect, transactionId } from 'virga'
import { claim, event, heading, say, table } from '../demo/narrator.mjs'
import { folder, kill, killAll, start, startTalking } from '../support/processes.mjs'

const url = process.argv[2] ?? process.env.REDIS_URL
if (url === undefined)
  throw new Error('give the URL of a Redis: node examples/bullmq/main.mjs redis://127.0.0.1:6379')
const QUEUE = `virga-example-${process.pid}-${Date.now().toString(36)}`
const STORAGE = `${url}${url.includes('?') ? '&' : '?'}prefix=${QUEUE}:`
const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const WORKER = fileURLToPath(new URL('worker.mjs', import.meta.url))

const ITEMS = ['cup', 'fan', 'jar', 'key', 'lid', 'mug', 'pan', 'pot']
const STOCK = 100
const ORDERS = 10
const RETRIED = { attempts: 50, backoff: 200 }
const DONE_MS_MAX = 120_000
/** Which messages of workers are their last: counted over all of them, by what they tell. */
const KILLS = new Map([
  ['half-way', new Set([4, 11, 19, 27])],
  ['committed', new Set([2, 5])],
])

/** How often workers told what. @type {Map<string, number>} */
const told = new Map()
let kills = 0

heading('1. Two nodes on one Redis, and two workers of BullMQ for each')
const sockets = ['a', 'b'].map((name) => join(folder, name, 's'))
for (const [index, socket] of sockets.entries()) {
  const name = 'ab'[index] ?? ''
  const flags = ['--node-id', name, '--socket', socket, '--storage', STORAGE, '--log-level', 'warn']
  const node = start([CLI, 'serve', ...flags])
  await once(createInterface(node.stdout), 'line')
  event(`node ${name}`, node.pid, 'serves')
}
for (const socket of [...sockets, ...sockets]) await startWorker(socket)
const nodes = await Promise.all(sockets.map((socket) => connect({ socket })))
const virga = /** @type {import('virga').Virga} */ (nodes[0])
await virga.transaction((tx) => {
  for (const item of ITEMS) tx.put(`stock:${item}`, STOCK)
})

heading(`2. ${ORDERS} orders of three lines each, while workers are killed`)
/** @type {import('./worker.mjs').Order[]} */
const orders = Array.from({ length: ORDERS }, (_, number) => ({
  number,
  // What the customer sent, and when: the same in every retry.
  id: transactionId(`${QUEUE}-${number}`, Date.now()),
  lines: [0, 1, 2].map((n) => ({ item: ITEMS[(number * 3 + n * 2) % ITEMS.length] ?? '', count: 1 + n })),
}))
const queue = new Queue(QUEUE, { connection: { url } })
for (const order of orders) await queue.add('begin', { order }, RETRIED)
const results = await Promise.all(orders.map(committed))
say(`\n   placed: ${results.map((result) => JSON.stringify(result)).join(' ')}`)
const runs = ['begin', 'line', 'join'].map((name) => `${name} ${told.get(name)}`)
say(`   functions were run, in all: ${runs.join(', ')}; ${kills} workers were killed`)

heading('3. Customers who heard nothing send the first three orders again, under the same ids')
for (const order of orders.slice(0, 3)) await queue.add('begin', { order }, RETRIED)
await until('BullMQ has run everything', isIdle)

const due = Object.fromEntries(ITEMS.map((item) => [`stock:${item}`, STOCK - ordered(item)]))
// A node hears of the other one's commits a few milliseconds later.
const states = await Promise.all(nodes.map((node) => until('all is seen', () => lookFor(node, due))))
table(Object.keys(due), { 'must be': due, 'on node a': states[0] ?? {}, 'on node b': states[1] ?? {} })
claim('on both nodes, each line of each order was taken from the stock exactly once', states, [due, due])
claim(
  'and who asks for an order again gets the first answer',
  await Promise.all(orders.map(committed)),
  results,
)
claim('workers were killed half-way and after a commit', kills, 6)

for (const node of nodes) await node.close()
await queue.close()
// Nodes and workers would go on writing there.
await killAll()
const redis = new Redis(url)
for await (const keys of redis.scanStream({ match: `*${QUEUE}*` }))
  if (keys.length > 0) await redis.unlink(keys)
await redis.quit()
process.exit()

/** @param {string} socket */
async function startWorker(socket) {
  const child = startTalking([WORKER], { VIRGA_SOCKET: socket, QUEUE, REDIS_URL: url ?? '' })
  await once(child, 'message')
  child.on('message', async (/** @type {{ at: string, name?: string }} */ { at, name }) => {
    if (child.killed) return
    const what = name ?? at
    const times = (told.get(what) ?? 0) + 1
    told.set(what, times)
    if (!KILLS.get(what)?.has(times)) return
    kills++
    await kill(child)
    event(
      'worker',
      child.pid,
      `kill -9, ${at === 'committed' ? 'just after a commit' : 'half-way through a line'}`,
    )
    await startWorker(socket)
  })
}

/** The result of an order, once it has committed. @param {import('./worker.mjs').Order} order */
async function committed({ number, id }) {
  const status = await until(`order ${number} has committed`, async () => {
    const known = await virga.status(id)
    return known.status === 'committed' ? known : undefined
  })
  return status.result
}

/** @template T @param {string} what @param {() => Promise<T | undefined>} look @returns {Promise<T>} */
async function until(what, look) {
  for (const end = performance.now() + DONE_MS_MAX; performance.now() < end; await sleep(50)) {
    const seen = await look()
    if (seen !== undefined) return seen
  }
  throw new Error(`not in ${DONE_MS_MAX} ms: ${what}`)
}

async function isIdle() {
  const counts = await queue.getJobCounts('waiting', 'active', 'delayed', 'waiting-children')
  return Object.values(counts).every((count) => count === 0) || undefined
}

/** @param {string} item */
function ordered(item) {
  const lines = orders.flatMap((order) => order.lines).filter((line) => line.item === item)
  return lines.reduce((sum, { count }) => sum + count, 0)
}

/** What a node has, once it has heard of everything. @param {import('virga').Virga} node @param {Readonly<Record<string, number>>} must */
async function lookFor(node, must) {
  const keys = Object.keys(must)
  const values = await node.transaction((tx) => tx.getMany(keys))
  return values.every((value, index) => value === must[keys[index] ?? ''])
    ? Object.fromEntries(keys.map((key, index) => [key, values[index]]))
    : undefined
}
