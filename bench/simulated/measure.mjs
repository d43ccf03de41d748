// @ts-check
import { contextBytes, publicationsOf, recordsOf } from './anatomy.mjs'
import { SimulatedCluster } from './cluster.mjs'
import { heldBytes } from './heap.mjs'
import { createMemoryStorage } from './internals.mjs'
import { loadOf } from './load.mjs'
import { costsOf, pricesOf, saturatingRate } from './saturation.mjs'
import { windowOf } from './window.mjs'

/** @typedef {Awaited<ReturnType<typeof measured>>} Measured */

/** Commits a second of each node. */
export const RATE = 2
const IDLE_MS = 2_000
/** Collection runs some five seconds behind. */
const WARM_MS = 5_000
const STEADY_MS = 2_000
/** Decisions applied, over all nodes, in the window at saturation. */
const BUSY_APPLIED = 30_000
const BUSY_MS_MAX = 500
/** Of load on processors that are charged: at more than they can do, what waits grows by a tenth of that and more. */
const CHARGED_MS = 150
const DRAIN_MS = 6_000
/** Then everything decided is known everywhere. */
const TOLD_MS = 1_000
/** Of three nodes, for long enough that all is compiled: commits a second, and how long. */
const MANY = 400
const MANY_MS = 3_000
/** Shares of the saturating rate at which processors are charged. */
export const SHARES = [0.25, 0.5, 0.75, 1, 1.25, 1.5]

/**
 * Milliseconds of the processor that collecting one commit takes, where there is much to collect. What is compiled on the way is
 * not charged to what is measured next.
 *
 * @param {number} seed
 */
export async function collectedMsOf(seed) {
  const cluster = new SimulatedCluster(seed)
  await cluster.start(3)
  const load = loadOf(cluster)
  load.set(MANY)
  await cluster.advance(MANY_MS)
  load.set(0)
  await cluster.advance(DRAIN_MS)
  load.set(MANY)
  const during = await windowOf(cluster, MANY_MS)
  load.set(0)
  const after = await windowOf(cluster, DRAIN_MS)
  load.check()
  return (during.spentMs.storage + after.spentMs.storage) / (during.commits + after.commits)
}

/**
 * One size of cluster: idle, under a steady load, and about as busy as it can be.
 *
 * @param {{ nodes: number, seed: number, isShort: boolean, charged: boolean, collectedMs: number }} options
 */
export async function measured({ nodes, seed, ...options }) {
  const base = await heldBytes()
  const cluster = new SimulatedCluster(seed)
  await cluster.start(nodes)
  return { nodes, ...(await figuresOf(cluster, { base, ...options })) }
}

/** @param {SimulatedCluster} cluster @param {{ base: number, isShort: boolean, charged: boolean, collectedMs: number }} options */
async function figuresOf(cluster, { base, isShort, charged, collectedMs }) {
  const nodes = cluster.nodes.length
  const idleBytes = ((await heldBytes()) - base) / nodes
  const idle = await windowOf(cluster, IDLE_MS)
  const load = loadOf(cluster)
  load.set(RATE)
  await cluster.advance(WARM_MS)
  const publications = publicationsOf(cluster)
  const steady = await windowOf(cluster, STEADY_MS)
  cluster.onPublish = () => {}
  const anatomy = { ...publications(), ...(await recordsOf(cluster)), context: await contextBytes(cluster) }
  const versions = cluster.nodes.reduce((sum, { node }) => sum + counter(node, 'versions'), 0) / nodes
  const steadyBytes = (await heldBytes()) - base - (await engineBytes(cluster))
  const common = { idleBytes, steadyBytes: steadyBytes / nodes, versions, idle, steady, anatomy }
  let costs = costsOf(collectedMs, steady)
  /** @type {{ share: number, p50Ms: number, p99Ms: number }[]} */
  const shares = []
  if (!isShort) {
    const guess = saturatingRate(costs, nodes)
    load.set(guess)
    const ms = Math.min(BUSY_MS_MAX, (BUSY_APPLIED * 1_000) / (guess * nodes * nodes))
    await cluster.advance(ms / 4)
    const busy = await windowOf(cluster, ms)
    load.set(0)
    costs = costsOf(collectedMs, steady, busy)
    if (charged) {
      await cluster.advance(DRAIN_MS)
      const prices = pricesOf(busy)
      for (const share of SHARES) {
        for (const { processor } of cluster.nodes) processor.pricesMs = prices
        load.set(share * saturatingRate(costs, nodes))
        await cluster.advance(CHARGED_MS / 2)
        const { visible } = await windowOf(cluster, CHARGED_MS)
        load.set(0)
        for (const { processor } of cluster.nodes) processor.pricesMs = undefined
        await cluster.advance(DRAIN_MS)
        shares.push({ share, ...visible })
      }
    }
  }
  load.set(0)
  await cluster.advance(TOLD_MS)
  load.check()
  return {
    ...common,
    costs,
    rate: saturatingRate(costs, nodes),
    shares,
    ...agreementOf(cluster, load.acknowledged),
  }
}

/** @param {SimulatedCluster} cluster @param {number} acknowledged */
function agreementOf({ nodes, decidedAtMs }, acknowledged) {
  const decided = [...decidedAtMs.values()].reduce((sum, times) => sum + times.length, 0)
  const told = nodes.reduce((sum, { traffic }) => sum + traffic.decisions, 0)
  const agreed = nodes.filter(({ node }) => {
    const { applied } = node.inspect()
    return nodes.every(
      ({ node: { origin } }) => (applied.get(origin) ?? 0) === decidedAtMs.get(origin)?.length,
    )
  })
  return { decided, told, agreed: agreed.length, acknowledged }
}

/** @param {import('./cluster.mjs').SimulatedNode['node']} node @param {string} name */
function counter(node, name) {
  return node.inspect().counters.find(([of]) => of === name)?.[1] ?? 0
}

/** What the shared engine holds, which is no node's: as much as another that is filled alike. @param {SimulatedCluster} cluster */
async function engineBytes({ engine, buckets }) {
  const before = await heldBytes()
  const copy = createMemoryStorage()
  for (const bucket of buckets)
    for await (const { id, value } of engine.list(bucket, { values: true }))
      await copy.put([{ bucket, id: Buffer.from(id).toString(), value: (value ?? EMPTY).slice() }])
  const bytes = (await heldBytes()) - before
  await copy.close()
  return bytes
}

const EMPTY = new Uint8Array()
