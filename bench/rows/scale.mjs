// @ts-check
import { monotonicMs, pause } from '../clock.mjs'
import { drained, startCluster } from '../cluster.mjs'
import { median } from '../histogram.mjs'
import { cpuSeconds, startModule, startRedis } from '../processes.mjs'

const CLIENTS = 3
const IN_FLIGHT_EACH = 85
const KEYS = 10_000
/** Collection follows the commits by some seconds: what is counted begins when it runs along. */
const WARMUP_MS = 2_000

/** @typedef {Awaited<ReturnType<typeof startModule>>} Client */
/** @typedef {import('../cluster.mjs').Node} Node */
/** @typedef {{ redis: { pid: number }, nodes: readonly Node[], clients: readonly Client[] }} Setting */

/**
 * Commits a second on one, two and three nodes, with as many clients and one Redis. All of it shares the cores of one
 * machine, so what tells is the CPU time of a commit: of all processes together, and of the node that made it. The last
 * line is what is left once the work itself is accounted for: how busy the machine was, against how busy one node kept it.
 */
export async function scale(/** @type {import('../sections.mjs').Options} */ { quick, dice }) {
  const three = await settingOf(3)
  const settings = {
    one: await settingOf(1),
    two: await settingOf(2),
    three,
    // All load on one node of a cluster: the others only take in what it publishes.
    onlyFirst: { ...three, clients: await startClients(three.nodes.slice(0, 1)) },
  }
  const times = quick ? { warmupMs: 300, seconds: 0.4 } : { warmupMs: WARMUP_MS, seconds: 1.5 }
  /** @type {Record<keyof typeof settings, Run[]>} */
  const runs = { one: [], two: [], three: [], onlyFirst: [] }
  for (let round = 0; round < (quick ? 1 : 2); round++) {
    for (const name of dice.shuffled(/** @type {(keyof typeof settings)[]} */ (Object.keys(settings)))) {
      runs[name].push(await load(settings[name], times))
      // What is collected afterwards must not be charged to the next.
      if (!quick) await drained(settings[name].nodes)
    }
  }
  const applied = await sameEverywhere(three.nodes)
  return told((name, figure) => median(runs[name].map((run) => run[figure])), applied)
}

/** @typedef {'one' | 'two' | 'three' | 'onlyFirst'} SettingName */
/** @typedef {Awaited<ReturnType<typeof load>>} Run */

/** @param {(name: SettingName, figure: keyof Run) => number} of @param {number} applied */
function told(of, applied) {
  const inFlight = CLIENTS * IN_FLIGHT_EACH
  /** @param {string} name @param {string} unit @param {SettingName} setting @param {keyof Run} figure */
  const againstOne = (name, unit, setting, figure, than = figure) => {
    const [value, against] = [of(setting, figure), of('one', than)]
    return { name, unit, value, against, ratio: value / against }
  }
  const cores = againstOne(
    '  cores kept busy by three: what throughput is lost beyond the work itself',
    'cores',
    'three',
    'cores',
  )
  return {
    rows: [
      againstOne(
        `commits on two nodes together, ${inFlight} in flight, against one node`,
        '/s',
        'two',
        'rate',
      ),
      againstOne('commits on three nodes together, against one node', '/s', 'three', 'rate'),
      againstOne('  CPU of a commit with three, all processes', 'µs', 'three', 'allUs'),
      againstOne('  CPU of a commit, its node and what the other two do for it', 'µs', 'three', 'nodesUs'),
      againstOne(
        '  CPU of a commit on its own node, which publishes it, against a node alone',
        'µs',
        'onlyFirst',
        'firstUs',
        'nodesUs',
      ),
      {
        name: '  CPU of a commit on a peer, which takes it in',
        unit: 'µs',
        value: of('onlyFirst', 'otherUs'),
      },
      { ...cores, budget: '>= 0.95', holds: cores.ratio >= 0.95 },
      {
        name: '  nodes that have applied all that was committed, in the end',
        unit: 'nodes',
        value: applied,
        budget: '3',
        holds: applied === 3,
        counted: true,
      },
    ],
    tables: [
      {
        title: 'All processes on one machine',
        unit: 'medians of the rounds',
        columns: ['commits a second', 'CPU of a commit, µs', 'of it in nodes, µs', 'cores busy'],
        lines: /** @type {const} */ ([
          ['one node', 'one'],
          ['two nodes', 'two'],
          ['three nodes', 'three'],
        ]).map(([name, setting]) => ({
          name,
          cells: /** @type {const} */ (['rate', 'allUs', 'nodesUs', 'cores']).map((figure) =>
            of(setting, figure),
          ),
        })),
      },
    ],
  }
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
