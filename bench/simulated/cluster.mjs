// @ts-check
import {
  CacheNode,
  createMemoryStorage,
  DEFAULT_CONFIG,
  MemoryHub,
  macOf,
  SimClock,
  SimNetwork,
  SimViews,
  seededRandom,
  Virga,
} from './internals.mjs'
import { Meter, noAccounts } from './meter.mjs'
import { Processor } from './processor.mjs'
import { countedStorage, noUse } from './storage.mjs'
import { countedNetwork, noTraffic, Told } from './traffic.mjs'

/** @typedef {import('../../src/ports/clock.js').Clock} Clock */
/** @typedef {import('../../src/core/ids.js').Origin} Origin */

/** One way, between nodes: drawn anew for each frame. */
export const LINK_MS = { delayMsMin: 0.2, delayMsMax: 0.8 }
/** One way, to storage. */
const STORAGE_MS = 0.5
/** One way, between an executor and its node. */
const EXECUTOR_MS = 0.02
/** Whose publications are watched as they are applied: enough to tell percentiles. */
const WATCHED_MAX = 4
const SETTLED_MS = 5_000

const SILENT = { debug() {}, info() {}, warn() {}, error() {} }
/** No time is spent on watching processes. @type {import('../../src/ports/processes.js').Processes} */
const PROCESSES = { self: () => ({ pid: 1, namespace: '', startedAt: '' }), isAlive: () => undefined }

/**
 * @typedef {object} SimulatedNode
 * @property {import('../../src/node/node.js').CacheNode} node
 * @property {import('../../src/client/virga.js').Virga} virga of its one executor
 * @property {Processor} processor
 * @property {import('./meter.mjs').Accounts} accounts
 * @property {import('./traffic.mjs').Traffic} traffic
 * @property {import('./storage.mjs').Use} use
 */

/**
 * Real nodes and clients on a simulated clock, network and storage, all calm: what is counted depends on the seed alone. Nodes
 * have no view: it is of use to executors, and costs no message.
 */
export class SimulatedCluster {
  meter = new Meter()
  engine = createMemoryStorage()
  /** Those in which something was written. @type {Set<string>} */
  buckets = new Set()
  /** @type {SimulatedNode[]} */
  nodes = []
  /** When the decisions of each node stood, by its place. @type {Map<string, number[]>} */
  decidedAtMs = new Map()
  /** Called with how long after it was decided a decision was applied by another node. @type {(ms: number) => void} */
  onVisible = () => {}
  /** Called with what a node publishes. @type {(frame: Uint8Array) => void} */
  onPublish = () => {}
  clock = new SimClock()
  #told = new Told()
  #random
  #fabric

  /** @param {number} seed */
  constructor(seed) {
    this.#random = seededRandom(seed)
    this.#fabric = new SimNetwork({
      clock: this.outside(),
      random: seededRandom(this.seed()),
      faults: LINK_MS,
      queueFramesMax: 100_000,
    })
  }

  seed() {
    return this.#random.fraction() * 2 ** 32
  }

  /** Starts so many nodes at once, and lets them find each other. @param {number} count */
  async start(count) {
    const starting = Array.from({ length: count }, (_, i) => this.#startNode(`n${i + 1}`, i < WATCHED_MAX))
    this.nodes = await this.clock.until(Promise.all(starting))
    await this.advance(SETTLED_MS)
  }

  /** Lets time pass. @param {number} ms */
  async advance(ms) {
    await this.clock.advance(ms)
    this.meter.leave()
  }

  /** Time that passes for whoever is no node: what happens then is charged to nobody. @returns {Clock} */
  outside() {
    const { clock, meter } = this
    return {
      now: () => clock.now(),
      precise: () => clock.precise(),
      monotonic: () => clock.monotonic(),
      timer: (ms, run) =>
        clock.timer(ms, () => {
          meter.leave()
          run()
        }),
      soon: (run) =>
        clock.soon(() => {
          meter.leave()
          run()
        }),
      defer: (run) =>
        clock.defer(() => {
          meter.leave()
          run()
        }),
    }
  }

  /** @param {string} name @param {boolean} isWatched @returns {Promise<SimulatedNode>} */
  async #startNode(name, isWatched) {
    const { clock, meter } = this
    const accounts = noAccounts()
    const traffic = noTraffic()
    const use = noUse()
    const processor = new Processor(clock, meter, accounts)
    const hub = new MemoryHub()
    /** @type {number[]} */
    const decidedAtMs = []
    /** @type {import('./traffic.mjs').Stretch[]} */
    let underWay = []
    const look = () => {
      meter.leave()
      if (underWay.length === 0) return
      const { applied } = node.inspect()
      const nowMs = clock.monotonic()
      underWay = underWay.filter(({ origin, first, count }) => {
        if ((applied.get(/** @type {Origin} */ (origin)) ?? 0) < first + count - 1) return true
        const times = this.decidedAtMs.get(origin) ?? []
        for (let place = first; place < first + count; place++)
          this.onVisible(nowMs - (times[place - 1] ?? 0))
        return false
      })
    }
    const node = await CacheNode.start(
      {
        clock: {
          now: () => clock.now(),
          precise: () => clock.precise(),
          monotonic: () => clock.monotonic(),
          timer: (ms, run) => clock.timer(ms, () => processor.come('timers', run)),
          soon: (run) => clock.soon(() => processor.come('timers', run)),
          defer: (run) => clock.defer(() => processor.come('timers', run)),
        },
        random: seededRandom(this.seed()),
        storage: countedStorage(this.engine, {
          clock: this.outside(),
          processor,
          use,
          oneWayMs: STORAGE_MS,
          buckets: this.buckets,
          onCommit: () => decidedAtMs.push(clock.monotonic()),
        }),
        listener: this.#listener(hub, processor),
        network: countedNetwork(this.#fabric.network(name), {
          processor,
          traffic,
          told: this.#told,
          onPublish: (frame) => this.onPublish(frame),
          onPublished: (stretch) => {
            if (!isWatched) return
            underWay.push(stretch)
            look()
          },
        }),
        processes: PROCESSES,
        views: new SimViews({ clock }),
        log: SILENT,
      },
      /** @type {import('../../src/node/config.js').NodeConfig} */ ({
        ...DEFAULT_CONFIG,
        viewBytesMax: 0,
        nodeId: name,
      }),
      macOf,
    )
    this.decidedAtMs.set(node.origin, decidedAtMs)
    return { node, virga: this.#client(hub), processor, accounts, traffic, use }
  }

  /** @param {InstanceType<typeof MemoryHub>} hub @param {Processor} processor */
  #listener(hub, processor) {
    const listener = hub.listener()
    /** @type {import('../../src/ports/transport.js').Listener} */
    const counted = {
      listen: (handlers) =>
        listener.listen({
          onFrame: (peer, frame) => processor.come('executors', () => handlers.onFrame(peer, frame)),
          onGone: (peer) => processor.come('executors', () => handlers.onGone(peer)),
        }),
      send: (peer, frame) => listener.send(peer, frame),
      close: () => listener.close(),
    }
    return counted
  }

  /** @param {InstanceType<typeof MemoryHub>} hub */
  #client(hub) {
    const clock = this.outside()
    const link = hub.link()
    return new Virga(
      {
        clock,
        random: seededRandom(this.seed()),
        processes: PROCESSES,
        views: new SimViews({ clock }),
        macOf,
        link: {
          open: (handlers) =>
            link.open({
              onUp: () => handlers.onUp(),
              onDown: () => handlers.onDown(),
              onFrame: (frame) => void clock.timer(EXECUTOR_MS, () => handlers.onFrame(frame)),
            }),
          send(frame) {
            const copy = Uint8Array.from(frame)
            clock.timer(EXECUTOR_MS, () => void link.send(copy))
            return true
          },
          close: () => link.close(),
        },
      },
      {},
    )
  }
}
