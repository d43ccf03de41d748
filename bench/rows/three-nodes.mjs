// @ts-check
import { monotonicMs, pause } from '../clock.mjs'
import { countOf, startCluster } from '../cluster.mjs'
import { median } from '../histogram.mjs'
import { cpuSeconds, startModule, startRedis } from '../processes.mjs'

const CLIENTS = 3
const IN_FLIGHT_EACH = 85
const KEYS = 10_000
/** Collection follows the commits by some seconds: what is counted begins when it runs along. */
const WARMUP_MS = 5_000
const DRAIN_MS_MAX = 20_000

/** @typedef {Awaited<ReturnType<typeof startModule>>} Client */
/** @typedef {import('../cluster.mjs').Node} Node */
/** @typedef {{ redis: { pid: number }, nodes: readonly Node[], clients: readonly Client[] }} Setting */

/**
 * Commits a second on three nodes together against one, with as many clients and one Redis. All of it shares the cores of one
 * machine, so what tells is the CPU time of a commit: of all processes together, and of the node that made it. The last
 * line is what is left once the work itself is accounted for: how busy the machine was, against how busy one node kept it.
 */
export async function threeNodes(/** @type {import('../run.mjs').Options} */ { quick }) {
  const one = await settingOf(1)
  const three = await settingOf(3)
  // All load on one node of a cluster: the others only take in what it publishes.
  const onlyFirst = {
    ...three,
    clients: await startClients(three.nodes.slice(0, 1)),
  }
  const settings = { one, three, onlyFirst }
  const times = quick ? { warmupMs: 500, seconds: 0.5 } : { warmupMs: WARMUP_MS, seconds: 4 }
  /** @type {Record<keyof typeof settings, Awaited<ReturnType<typeof load>>[]>} */
  const runs = { one: [], three: [], onlyFirst: [] }
  for (let round = 0; round < (quick ? 1 : 3); round++) {
    for (const name of /** @type {(keyof typeof settings)[]} */ (Object.keys(settings))) {
      runs[name].push(await load(settings[name], times))
      // What is collected afterwards must not be charged to the next.
      if (!quick) await drained(settings[name].nodes)
    }
  }
  const applied = await sameEverywhere(three.nodes)
  /** @param {keyof typeof settings} name @param {'rate' | 'nodesUs' | 'allUs' | 'cores' | 'firstUs' | 'otherUs'} figure */
  const of = (name, figure) => median(runs[name].map((run) => run[figure]))
  const ratio = (/** @type {number} */ value, /** @type {number} */ against) => ({
    value,
    against,
    ratio: value / against,
  })
  const inFlight = CLIENTS * IN_FLIGHT_EACH
  return [
    {
      name: `commits on three nodes together, ${inFlight} in flight, against one node`,
      unit: '/s',
      ...ratio(of('three', 'rate'), of('one', 'rate')),
    },
    {
      name: '  CPU of a commit, all processes',
      unit: 'µs',
      ...ratio(of('three', 'allUs'), of('one', 'allUs')),
    },
    {
      name: '  CPU of a commit, its node and what the other two do for it',
      unit: 'µs',
      ...ratio(of('three', 'nodesUs'), of('one', 'nodesUs')),
    },
    {
      name: '  CPU of a commit on its own node, which publishes it, against a node alone',
      unit: 'µs',
      ...ratio(of('onlyFirst', 'firstUs'), of('one', 'nodesUs')),
    },
    {
      name: '  CPU of a commit on a peer, which takes it in',
      unit: 'µs',
      value: of('onlyFirst', 'otherUs'),
    },
    {
      name: '  cores kept busy: what throughput is lost beyond the work itself',
      unit: 'cores',
      ...ratio(of('three', 'cores'), of('one', 'cores')),
      budget: '>= 0.95',
      holds: of('three', 'cores') / of('one', 'cores') >= 0.95,
    },
    {
      name: '  nodes that have applied all that was committed, in the end',
      unit: 'nodes',
      value: applied,
      budget: '3',
      holds: applied === 3,
      counted: true,
    },
  ]
}

/** @param {number} count */
async function settingOf(count) {
  const redis = await startRedis()
  const nodes = await startCluster(redis.url, count)
  return { redis, nodes, clients: await startClients(nodes) }
}

/** As many as ever, spread over the nodes. @param {readonly Node[]} nodes */
async function startClients(nodes) {
  const clients = []
  for (let i = 0; i < CLIENTS; i++) {
    const node = /** @type {Node} */ (nodes[i % nodes.length])
    clients.push(await startModule('load-process.mjs', [node.socket]))
  }
  return clients
}

/** @param {Setting} setting @param {{ warmupMs: number, seconds: number }} times */
async function load({ redis, nodes, clients }, { warmupMs, seconds }) {
  const pids = {
    nodes: nodes.map(({ pid }) => pid),
    others: [redis.pid, ...clients.map(({ pid }) => pid)],
  }
  const cpu = () => ({
    nodes: pids.nodes.map(cpuSeconds),
    others: pids.others.reduce((sum, pid) => sum + cpuSeconds(pid), 0),
  })
  // Each client tells how many it has made by when; what is counted lies between the warm-up and the end.
  const from = monotonicMs() + warmupMs
  const until = from + seconds * 1_000
  const asked = clients.map((client, i) =>
    client.ask({
      kind: 'closed',
      keys: `c${i}`,
      keysMax: KEYS,
      inFlight: IN_FLIGHT_EACH,
      fromMs: from,
      untilMs: until,
    }),
  )
  await pause(from - monotonicMs())
  const before = cpu()
  await pause(until - monotonicMs())
  const after = cpu()
  const reports = /** @type {readonly { done: number }[]} */ (await Promise.all(asked))
  const done = reports.reduce((sum, report) => sum + report.done, 0)
  const ofNodes = after.nodes.map((used, i) => used - (before.nodes[i] ?? 0))
  const nodesSum = ofNodes.reduce((sum, used) => sum + used, 0)
  const all = nodesSum + after.others - before.others
  const perCommitUs = (/** @type {number} */ used) => (used * 1e6) / done
  return {
    rate: done / seconds,
    nodesUs: perCommitUs(nodesSum),
    allUs: perCommitUs(all),
    firstUs: perCommitUs(ofNodes[0] ?? 0),
    otherUs: perCommitUs((nodesSum - (ofNodes[0] ?? 0)) / Math.max(1, nodes.length - 1)),
    cores: all / seconds,
  }
}

/** @param {readonly Node[]} nodes */
async function drained(nodes) {
  const untilMs = monotonicMs() + DRAIN_MS_MAX
  while ((await countOf(nodes, 'versions')) > 0 && monotonicMs() < untilMs) await pause(500)
}

/** How many nodes see all that was committed on each: places of an origin are applied in order. @param {readonly Node[]} nodes */
async function sameEverywhere(nodes) {
  const tokens = []
  for (const { virga } of nodes) {
    const tx = await virga.begin()
    tx.put('last', 1)
    const { session } = await tx.commit()
    tokens.push(session)
  }
  let complete = 0
  for (const { virga } of nodes) {
    for (const after of tokens) await (await virga.begin({ after })).get('last')
    complete++
  }
  return complete
}
