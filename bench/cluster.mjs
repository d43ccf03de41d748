// @ts-check
import { monotonicMs, pause } from './clock.mjs'
import { startNodeAndClient } from './processes.mjs'

const JOIN_MS_MAX = 20_000
/** Long enough for what was published before all listened to be fetched. */
const SETTLE_MS = 1_500

/** @typedef {Awaited<ReturnType<typeof startNodeAndClient>>} Node */

/**
 * So many nodes on one storage, each in a process of its own, and a client of each here. Resolves when all know each other.
 *
 * @param {string} storage @param {number} count
 */
export async function startCluster(storage, count) {
  /** @type {Node[]} */
  const nodes = []
  for (let i = 1; i <= count; i++) nodes.push(await startNodeAndClient(storage, `bench-${i}`))
  const untilMs = monotonicMs() + JOIN_MS_MAX
  for (const { virga } of nodes) {
    while (Number((await virga.inspect()).peersUp) < count - 1) {
      if (monotonicMs() > untilMs)
        throw new Error(`${count} nodes have not found each other in ${JOIN_MS_MAX} ms`)
      await pause(50)
    }
  }
  await pause(SETTLE_MS)
  return nodes
}

/** What one counter says on all nodes together. @param {readonly Pick<Node, 'virga'>[]} nodes @param {string} name */
export async function countOf(nodes, name) {
  const all = await Promise.all(nodes.map(({ virga }) => virga.inspect()))
  return all.reduce((sum, counters) => sum + Number(counters[name]), 0)
}

/** Collection follows the commits by some seconds. */
const COLLECT_MS_MAX = 60_000
const LOOKS = 4
const LOOK_MS = 2_000

/** Waits until collection has nothing more to take out. @param {readonly Pick<Node, 'virga'>[]} nodes */
export async function collected(nodes) {
  const untilMs = monotonicMs() + COLLECT_MS_MAX
  let last = Number.POSITIVE_INFINITY
  for (let looks = 0; looks < LOOKS && monotonicMs() < untilMs; looks++) {
    await pause(LOOK_MS)
    const versions = await countOf(nodes, 'versions')
    if (versions < last) looks = 0
    last = versions
  }
}

const DRAIN_MS_MAX = 20_000
const DRAIN_LOOK_MS = 250

/** Waits until all that was committed is collected. @param {readonly Pick<Node, 'virga'>[]} nodes */
export async function drained(nodes) {
  const untilMs = monotonicMs() + DRAIN_MS_MAX
  while ((await countOf(nodes, 'versions')) > 0 && monotonicMs() < untilMs) await pause(DRAIN_LOOK_MS)
}
