// @ts-check
import { monotonicMs } from '../clock.mjs'
import { countOf, startCluster } from '../cluster.mjs'
import { connectTo } from '../connect.mjs'
import { countPerOne } from '../count-per-one.mjs'
import { sideBySide } from '../histogram.mjs'
import { startModule, startRedis } from '../processes.mjs'

/** @typedef {import('virga').Virga} Virga */
/** @typedef {import('virga').Transaction} Transaction */

const SMALL = 'v'.repeat(100)
/** Above what travels inside a context. */
const LARGE = 'v'.repeat(9 * 1024)
const LOAD_PER_SECOND = 1_000

/**
 * One hop of a DAG: a function hands off, the next one resumes, reads what the first has written, writes, and hands off. To
 * another node, against the same node (through another client, as another executor would). The transaction is committed
 * afterwards, which is not timed, and always through the second node, so that the snapshot of the next hop is known there.
 */
export async function dagHop(/** @type {import('../sections.mjs').Options} */ { quick, dice }) {
  const redis = await startRedis()
  const [a, b] = await startCluster(redis.url, 2)
  if (a === undefined || b === undefined) throw new Error('there are no nodes')
  const again = await connectTo(a.socket)
  const between = (/** @type {Hop} */ hop) => ({
    same: staged(a.virga, again, b.virga, hop),
    other: staged(a.virga, b.virga, b.virga, hop),
  })
  const small = { value: SMALL, durable: false }
  const held = { value: LARGE, durable: false }
  const durable = { value: SMALL, durable: true }
  const many = { rounds: quick ? 100 : 2_000, each: 1, warmup: quick ? 50 : 600, dice }
  const fewer = { ...many, rounds: many.rounds / 2, warmup: many.warmup / 2 }
  const rows = [
    ...ratios('a hop of a DAG to another node, small write set', await sideBySide(between(small), many), 1.3),
    await messages('  messages between nodes for it', [a, b], small, 0),
    ...ratios('  a write set of 9 KiB, which stays and is fetched', await sideBySide(between(held), fewer)),
    await messages('  messages between nodes for it', [a, b], held, 1),
    ...ratios('  a durable handoff on each side', await sideBySide(between(durable), fewer)),
    await messages('  messages between nodes for it', [a, b], durable, 0),
  ]
  rows.push(...(await underLoad(a.socket, between(small), { quick, dice })))
  await again.close()
  return rows
}

/**
 * While others commit on the first node, its snapshots are ahead of what the second one has: a hop there waits until that
 * has come.
 *
 * @param {string} socket @param {Parameters<typeof sideBySide>[0]} hops @param {import('../sections.mjs').Options} options
 */
async function underLoad(socket, hops, { quick, dice }) {
  const committer = await startModule('load-process.mjs', [socket])
  const count = quick ? 500 : 12_000
  const load = { kind: 'open', keys: 'l', keysMax: 10_000, base: 0, count, perSecond: LOAD_PER_SECOND }
  const ended = committer.ask({ ...load, startAtMs: monotonicMs() })
  const times = await sideBySide(hops, {
    rounds: quick ? 50 : 1_000,
    each: 1,
    warmup: quick ? 10 : 100,
    dice,
  })
  await ended
  await committer.stop()
  return ratios(
    `  small, while ${LOAD_PER_SECOND.toLocaleString('en')} commits a second are made on the node it leaves`,
    times,
  )
}

/** @typedef {{ value: string, durable: boolean }} Hop */

/** @param {Virga} from @param {Virga} to @param {Virga} last @param {Hop} hop */
function staged(from, to, last, { value, durable }) {
  return {
    before: () => begun(from, value),
    run: (/** @type {Transaction} */ tx) => hopped(tx, to, durable),
    after: (/** @type {string} */ context) => last.commit(context),
  }
}

/** @param {Virga} from @param {string} value */
async function begun(from, value) {
  const tx = await from.begin()
  tx.put('hop:upstream', value)
  return tx
}

/** @param {Transaction} tx @param {Virga} to @param {boolean} durable */
async function hopped(tx, to, durable) {
  const next = await to.resume(await tx.handoff({ durable }))
  if ((await next.get('hop:upstream')) === undefined)
    throw new Error('what was written upstream is not there')
  next.put('hop:downstream', 1)
  return next.handoff({ durable })
}

/** @param {string} name @param {readonly [import('../cluster.mjs').Node, import('../cluster.mjs').Node]} nodes @param {Hop} hop @param {number} expected */
async function messages(name, nodes, hop, expected) {
  const [a, b] = nodes
  /** @type {string[]} */
  const contexts = []
  const perHop = await countPerOne(
    () => countOf(nodes, 'peerRequests'),
    async () => contexts.push(await hopped(await begun(a.virga, hop.value), b.virga, hop.durable)),
  )
  for (const context of contexts) await b.virga.commit(context)
  return {
    name,
    value: perHop,
    unit: 'requests',
    budget: String(expected),
    holds: perHop === expected,
    counted: true,
  }
}

/** @param {string} name @param {Awaited<ReturnType<typeof sideBySide>>} times @param {number} [budget] */
function ratios(name, { other, same }, budget) {
  if (other === undefined || same === undefined) throw new Error('nothing was measured')
  const ratio = other.p50Us / same.p50Us
  const verdict = budget === undefined ? {} : { budget: `<= ${budget}`, holds: ratio <= budget }
  return [
    { name: `${name}, p50`, value: other.p50Us, unit: 'µs', against: same.p50Us, ratio, ...verdict },
    {
      name: '  the same, p99',
      value: other.p99Us,
      unit: 'µs',
      against: same.p99Us,
      ratio: other.p99Us / same.p99Us,
    },
  ]
}
