// @ts-check
/** @typedef {import('./window.mjs').Window} Window */
/** @typedef {import('./meter.mjs').Kind} Kind */

/**
 * What things cost, in milliseconds of the real processor.
 *
 * @typedef {object} Costs
 * @property {number} idleMs of a second in which nothing is committed
 * @property {number} ownMs of a commit on its own node, collection included
 * @property {number} appliedMs of one decision of another node
 */

/**
 * @param {Window} idle
 * @param {Window} steady long enough for collection to keep up
 * @param {Window} [busy] short, at about the rate that saturates a node: with as many decisions in a frame as there are then
 * @returns {Costs}
 */
export function costsOf(idle, steady, busy = steady) {
  /** Beyond what an idle node spends. @param {Kind} kind */
  const extra = (kind) => steady.spentMs[kind] / steady.seconds - idle.spentMs[kind] / idle.seconds
  const background = (extra('storage') + extra('timers')) / (steady.commits / steady.seconds)
  const { executors, commits, published } = busy.spentMs
  const beats = (steady.spentMs.heartbeats - idle.spentMs.heartbeats) / steady.seconds
  return {
    idleMs: idle.cpuMs / idle.seconds + Math.max(0, beats),
    ownMs: (executors + commits) / Math.max(1e-9, busy.commits) + Math.max(0, background),
    appliedMs: busy.published.decisions === 0 ? 0 : published / busy.published.decisions,
  }
}

/** How many commits a second of each of `nodes` nodes keep one core of each busy. @param {Costs} costs @param {number} nodes */
export function saturatingRate({ idleMs, ownMs, appliedMs }, nodes) {
  return Math.max(0, 1_000 - idleMs) / (ownMs + (nodes - 1) * appliedMs)
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
