// @ts-check
import { collectedMsOf, measured, RATE, SHARES } from '../simulated/measure.mjs'

/** A hundred take a minute and a half. */
const SIZES = [1, 3, 10, 30, 100]
/** Its processors are charged. */
const CHARGED = 10
const TOLD_NODES = 10
const KIB = 1024
const MIB = 1024 * KIB

/** @typedef {import('../simulated/measure.mjs').Measured} Measured */

/** Real nodes on a simulated clock, network and storage: what a node does in clusters of one node to a hundred. */
export async function simulatedScale(/** @type {import('../sections.mjs').Options} */ { quick, dice }) {
  const seed = dice.below(2 ** 31)
  const collectedMs = quick ? 0 : await collectedMsOf(seed)
  /** @type {Measured[]} */
  const all = []
  for (const nodes of quick ? [3] : SIZES)
    all.push(await measured({ nodes, seed, isShort: quick, charged: nodes === CHARGED, collectedMs }))
  const charged = all.find(({ nodes }) => nodes === CHARGED)
  return {
    rows: all.flatMap(countsOf),
    tables: [
      tableOf('An idle node, by the size of its cluster', all, IDLE),
      tableOf(`Each node commits ${RATE} a second: one node`, all, STEADY),
      tableOf('Bytes, and how many of them are vectors of origins', all, BYTES),
      ...(quick ? [] : [tableOf('Time of the real processor, without sockets and engine', all, CPU)]),
      ...(charged === undefined ? [] : [loadTable(charged)]),
    ],
    notes: [
      `Of the simulation: seed ${seed}. Counts and delays depend on it alone; times are of this machine.`,
    ],
  }
}

/** @typedef {readonly [name: string, figure: (of: Measured) => number | undefined]} Line */

/** @param {Measured} of */
const perSecond = ({ idle }) => ({
  messages: (idle.published.messages + idle.heartbeats.messages + idle.requests.messages) / idle.seconds,
  bytes: (idle.published.bytes + idle.heartbeats.bytes + idle.requests.bytes) / idle.seconds,
})

/** Of few nodes, what the process itself comes to hold or lets go is louder. @param {number} nodes @param {number} bytes */
const told = (nodes, bytes) => (nodes < TOLD_NODES ? undefined : bytes / MIB)

/** @type {readonly Line[]} */
const IDLE = [
  ['calls of storage, /s', ({ idle }) => idle.storage.calls / idle.seconds],
  ['  KiB read there, /s', ({ idle }) => idle.storage.read / KIB / idle.seconds],
  ['messages that come, /s', (of) => perSecond(of).messages],
  ['  KiB of them, /s', (of) => perSecond(of).bytes / KIB],
  ['processor, ms/s', ({ idle }) => idle.cpuMs / idle.seconds],
  ['memory, MiB', ({ nodes, idleBytes }) => told(nodes, idleBytes)],
]

/** @type {readonly Line[]} */
const STEADY = [
  [
    'messages that come, for each commit of its own',
    ({ steady }) => steady.published.messages / steady.commits,
  ],
  ['  KiB of them', ({ steady }) => steady.published.bytes / KIB / steady.commits],
  [
    'calls of storage, for each commit of its own',
    ({ steady, idle }) =>
      (steady.storage.calls - (idle.storage.calls * steady.seconds) / idle.seconds) / steady.commits,
  ],
  [
    '  KiB read and written there',
    ({ steady }) => (steady.storage.read + steady.storage.written) / KIB / steady.commits,
  ],
  ['KiB of heartbeats, /s', ({ steady }) => steady.heartbeats.bytes / KIB / steady.seconds],
  ['versions in chains', ({ versions }) => versions],
  ['memory, MiB', ({ nodes, steadyBytes }) => told(nodes, steadyBytes)],
  [
    'decided to applied elsewhere, p50 ms',
    ({ nodes, steady }) => (nodes === 1 ? undefined : steady.visible.p50Ms),
  ],
  [
    'decided to applied elsewhere, p99 ms',
    ({ nodes, steady }) => (nodes === 1 ? undefined : steady.visible.p99Ms),
  ],
]

/** @type {readonly Line[]} */
const BYTES = [
  [
    'publication, about one decision',
    ({ nodes, anatomy }) => (nodes === 1 ? undefined : anatomy.published.bytes),
  ],
  ['  of them vectors', ({ nodes, anatomy }) => (nodes === 1 ? undefined : anatomy.published.vectors)],
  ['heartbeat', ({ nodes, anatomy }) => (nodes === 1 ? undefined : anatomy.heartbeat.bytes)],
  ['  of them vectors', ({ nodes, anatomy }) => (nodes === 1 ? undefined : anatomy.heartbeat.vectors)],
  ['lease', ({ anatomy }) => anatomy.lease.bytes],
  ['  of them vectors', ({ anatomy }) => anatomy.lease.vectors],
  ['decision in storage', ({ anatomy }) => anatomy.decision.bytes],
  ['  of them vectors', ({ anatomy }) => anatomy.decision.vectors],
  ['context, as text', ({ anatomy }) => anatomy.context],
]

/** @type {readonly Line[]} */
const CPU = [
  ['a commit on its own node, µs', ({ costs }) => costs.ownMs * 1_000],
  [
    'a decision of another node, µs',
    ({ nodes, costs }) => (nodes === 1 ? undefined : costs.appliedMs * 1_000),
  ],
  ['whatever is committed, ms/s', ({ costs }) => costs.backgroundMs],
  ['commits that keep one core of each node busy, /s of a node', ({ rate }) => rate],
  ['  of the cluster', ({ nodes, rate }) => rate * nodes],
]

/** @param {string} title @param {readonly Measured[]} all @param {readonly Line[]} lines */
function tableOf(title, all, lines) {
  return {
    title,
    unit: 'nodes',
    columns: all.map(({ nodes }) => `${nodes}`),
    lines: lines.map(([name, figure]) => ({ name, cells: all.map(figure) })),
  }
}

/** @param {Measured} of */
function loadTable({ nodes, rate, shares }) {
  return {
    title: `${nodes} nodes that are charged for what they do, by share of ${Math.round(rate)} commits a second of each`,
    unit: 'decided to applied elsewhere, ms',
    columns: SHARES.map((share) => `${share * 100} %`),
    lines: [
      { name: 'p50', cells: shares.map(({ p50Ms }) => p50Ms) },
      { name: 'p99', cells: shares.map(({ p99Ms }) => p99Ms) },
    ],
  }
}

/** @param {Measured} of */
function countsOf({ nodes, decided, told, agreed, acknowledged, idle }) {
  /** @param {string} name @param {string} unit @param {number} value @param {number} wanted */
  const exactly = (name, unit, value, wanted) => ({
    name,
    unit,
    value,
    budget: `${wanted}`,
    holds: value === wanted,
    counted: true,
  })
  const calls = idle.storage.calls / idle.seconds
  return [
    exactly(
      `${nodes === 1 ? 'one node' : `${nodes} nodes`}: commits acknowledged, of ${decided} asked for`,
      'commits',
      acknowledged,
      decided,
    ),
    exactly('  decisions that came to another node', 'decisions', told, decided * (nodes - 1)),
    exactly('  nodes that have applied all of them', 'nodes', agreed, nodes),
    {
      name: '  calls of storage of an idle node',
      unit: '/s',
      value: calls,
      budget: '<= 11',
      holds: calls <= 11,
      counted: true,
    },
  ]
}
