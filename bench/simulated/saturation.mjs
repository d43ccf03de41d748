// @ts-check
/** @typedef {import('./window.mjs').Window} Window */
/** @typedef {import('./meter.mjs').Kind} Kind */

/**
 * What things cost, in milliseconds of the real processor.
 *
 * @typedef {object} Costs
 * @property {number} backgroundMs of a second, whatever is committed: leases, heartbeats, rounds of collection
 * @property {number} ownMs of a commit on its own node, collection included
 * @property {number} appliedMs of one decision of another node
 */

/**
 * @param {number} collectedMs of what one commit gives collection to do
 * @param {Window} steady of few commits
 * @param {Window} [busy] short, at about the rate that saturates a node: with as many decisions in a frame as there are then
 * @returns {Costs}
 */
export function costsOf(collectedMs, steady, busy = steady) {
  const { heartbeats, requests, storage, timers } = steady.spentMs
  const perSecond = (heartbeats + requests + storage + timers - steady.commits * collectedMs) / steady.seconds
  const perCommit = (busy.spentMs.executors + busy.spentMs.commits) / Math.max(1, busy.commits)
  // Publications are encoded by a timer.
  const more = busy.commits / busy.seconds - steady.commits / steady.seconds
  const published = busy.spentMs.timers / busy.seconds - timers / steady.seconds
  return {
    backgroundMs: Math.max(0, perSecond),
    ownMs: perCommit + collectedMs + (more > 0 ? Math.max(0, published / more) : 0),
    appliedMs: busy.published.decisions === 0 ? 0 : busy.spentMs.published / busy.published.decisions,
  }
}

/** How many commits a second of each of `nodes` nodes keep one core of each busy. @param {Costs} costs @param {number} nodes */
export function saturatingRate({ backgroundMs, ownMs, appliedMs }, nodes) {
  return Math.max(0, 1_000 - backgroundMs) / (ownMs + (nodes - 1) * appliedMs)
}

/** What a simulated processor charges. @param {Window} busy @returns {Record<Kind, number>} */
export function pricesOf({ spentMs, events, published }) {
  const each = (/** @type {Kind} */ kind) => (events[kind] === 0 ? 0 : spentMs[kind] / events[kind])
  return {
    executors: each('executors'),
    commits: each('commits'),
    published: published.decisions === 0 ? 0 : spentMs.published / published.decisions,
    heartbeats: each('heartbeats'),
    requests: each('requests'),
    storage: each('storage'),
    timers: each('timers'),
  }
}
