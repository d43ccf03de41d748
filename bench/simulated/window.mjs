// @ts-check
import { timings } from '../histogram.mjs'
import { KINDS } from './meter.mjs'

/** @typedef {import('./cluster.mjs').SimulatedCluster} SimulatedCluster */
/** @typedef {Awaited<ReturnType<typeof windowOf>>} Window */

/**
 * What a node does in a while, on average over all nodes: sums of the whole window, and times of the real processor.
 *
 * @param {SimulatedCluster} cluster @param {number} ms
 */
export async function windowOf(cluster, ms) {
  const visible = timings()
  cluster.onVisible = (ms) => visible.add(ms)
  const before = sums(cluster)
  const startedMs = performance.now()
  const used = process.cpuUsage()
  await cluster.advance(ms)
  const { user, system } = process.cpuUsage(used)
  // Others on this machine may have had the processor for a part of the time.
  const own = Math.min(1, (user + system) / 1_000 / (performance.now() - startedMs))
  const after = sums(cluster)
  cluster.onVisible = () => {}
  /** @param {(of: typeof before) => number} figure */
  const each = (figure) => (figure(after) - figure(before)) / cluster.nodes.length
  const spentMs = Object.fromEntries(KINDS.map((kind) => [kind, own * each(({ spent }) => spent[kind].ms)]))
  const events = Object.fromEntries(KINDS.map((kind) => [kind, each(({ spent }) => spent[kind].events)]))
  return {
    seconds: ms / 1_000,
    commits: each(({ use }) => use.commits),
    storage: {
      calls: each(({ use }) => use.calls),
      written: each(({ use }) => use.written),
      read: each(({ use }) => use.read),
    },
    published: {
      messages: each(({ traffic }) => traffic.published.messages),
      bytes: each(({ traffic }) => traffic.published.bytes),
      decisions: each(({ traffic }) => traffic.decisions),
    },
    heartbeats: {
      messages: each(({ traffic }) => traffic.heartbeats.messages),
      bytes: each(({ traffic }) => traffic.heartbeats.bytes),
    },
    requests: {
      messages: each(({ traffic }) => traffic.requests.messages),
      bytes: each(({ traffic }) => traffic.requests.bytes),
    },
    spentMs: /** @type {Record<import('./meter.mjs').Kind, number>} */ (spentMs),
    events: /** @type {Record<import('./meter.mjs').Kind, number>} */ (events),
    cpuMs: Object.values(spentMs).reduce((sum, ms) => sum + ms, 0),
    visible: { p50Ms: visible.p50() / 1_000, p99Ms: visible.p99() / 1_000, count: visible.count() },
  }
}

/** @param {SimulatedCluster} cluster */
function sums({ nodes }) {
  const sum = (/** @type {(node: import('./cluster.mjs').SimulatedNode) => number} */ of) =>
    nodes.reduce((total, node) => total + of(node), 0)
  const count = (/** @type {'published' | 'heartbeats' | 'requests'} */ kind) => ({
    messages: sum(({ traffic }) => traffic[kind].messages),
    bytes: sum(({ traffic }) => traffic[kind].bytes),
  })
  return {
    use: {
      calls: sum(({ use }) => use.calls),
      commits: sum(({ use }) => use.commits),
      written: sum(({ use }) => use.written),
      read: sum(({ use }) => use.read),
    },
    traffic: {
      published: count('published'),
      heartbeats: count('heartbeats'),
      requests: count('requests'),
      decisions: sum(({ traffic }) => traffic.decisions),
    },
    spent: /** @type {import('./meter.mjs').Accounts} */ (
      Object.fromEntries(
        KINDS.map((kind) => [
          kind,
          {
            ms: sum(({ accounts }) => accounts[kind].ms),
            events: sum(({ accounts }) => accounts[kind].events),
          },
        ]),
      )
    ),
  }
}
