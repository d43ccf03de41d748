import type { ClientOptions } from '../../src/client/options.js'
import { Virga } from '../../src/client/virga.js'
import { DEFAULT_CONFIG, type NodeConfig } from '../../src/node/config.js'
import { CacheNode } from '../../src/node/node.js'
import { macOf } from '../../src/platform/mac.js'
import type { Clock } from '../../src/ports/clock.js'
import { type Log, SILENT } from '../../src/ports/log.js'
import type { Processes, ProcessIdentity } from '../../src/ports/processes.js'
import type { Link, Listener } from '../../src/ports/transport.js'
import { createMemoryStorage } from '../../src/storage/memory.js'
import { createFaultyStorage, type FaultyStorage } from '../../src/testing/faulty-storage.js'
import { type SimClock, type Simulation, simulate } from '../../src/testing/sim-clock.js'
import { SimNetwork } from '../../src/testing/sim-network.js'
import { SimViews } from '../../src/testing/sim-view.js'
import { MemoryHub } from '../../src/transport/memory.js'
import { Life, mortal, type OnCall } from './incarnation.js'
import { Witness } from './witness.js'

/** How soon a node that died is started again. */
const RESTART_MS = 100

/**
 * A node and its executors in this process: the real CacheNode and Virga over memory transport, memory storage that can
 * be made to fail, and a clock that stands until it is moved. Everything follows from the seed.
 */
export class Cluster {
  readonly clock: SimClock
  readonly witness: Witness
  readonly storage: FaultyStorage
  readonly views: SimViews
  readonly hub = new MemoryHub()
  /** Errors that the node logged: unforeseen ones, unless a test expects them. */
  readonly logged: string[] = []
  /** What the node's clock moves on each time that the node looks at it: how slow its machine is. */
  lookMs = 0
  readonly #sim: Simulation
  readonly #fabric: SimNetwork
  readonly #alive = new Map<number, boolean>()
  readonly #clients: Virga[] = []
  #running: { readonly node: CacheNode; readonly life: Life; readonly listener: Listener } | undefined
  #pids = 100
  #isClosed = false

  constructor(seed = 1) {
    this.#sim = simulate(seed)
    this.clock = this.#sim.clock
    this.views = new SimViews({ clock: this.clock })
    this.#fabric = new SimNetwork(this.#sim)
    this.witness = new Witness(createMemoryStorage())
    this.storage = createFaultyStorage(this.witness, { clock: this.clock, random: this.#sim.random })
  }

  get node(): CacheNode {
    if (this.#running === undefined) throw new Error('no node runs')
    return this.#running.node
  }

  get isAlive(): boolean {
    return this.#running?.life.isAlive === true
  }

  /** A counter or gauge of the running node. */
  count(name: string): number {
    const found = this.node.inspect().counters.find(([each]) => each === name)
    if (found === undefined) throw new Error(`the node counts no ${name}`)
    return found[1]
  }

  /** Starts a node on the storage. `onCall` may make it die at any of its operations there, also while it boots. */
  async boot(config: Partial<NodeConfig> = {}, onCall?: OnCall): Promise<void> {
    await this.clock.until(this.start(config, onCall))
  }

  /** As `boot`, for use while something else moves the clock. */
  async start(config: Partial<NodeConfig> = {}, onCall: OnCall = () => undefined): Promise<void> {
    if (this.isAlive) throw new Error('a node runs already')
    await this.crash()
    const own = new Life()
    const listener = this.hub.listener()
    const log: Log = { ...SILENT, error: (_fields, message) => this.logged.push(message) }
    const { random } = this.#sim
    const clock = this.#slowClock()
    const network = this.#fabric.network('n1')
    const processes = this.#processes(1)
    const world = {
      clock,
      random,
      storage: this.storage,
      listener,
      network,
      processes,
      views: this.views,
      log,
    }
    const starting = CacheNode.start(
      mortal(world, own, onCall),
      { ...DEFAULT_CONFIG, nodeId: 'n1', ...config },
      macOf,
    )
    // A node that dies while it boots would leave its starter waiting for ever.
    const node = await Promise.race([starting, own.death])
    if (node === undefined) await listener.close()
    else this.#running = { node, life: own, listener }
  }

  /** Keeps a node running, as a service manager does: one that died, or failed to start, is started again. */
  async supervise(config: Partial<NodeConfig>, onCall: OnCall): Promise<void> {
    while (!this.#isClosed) {
      // A start that storage kept from succeeding is tried again.
      if (!this.isAlive) await this.start(config, onCall).catch(() => undefined)
      await this.#running?.life.death
      await new Promise<void>((resolve) => this.clock.timer(RESTART_MS, resolve))
    }
  }

  /** The node's process is killed: executors see the connection break. */
  async crash(): Promise<void> {
    const running = this.#running
    if (running === undefined) return
    running.life.die()
    this.#running = undefined
    await running.listener.close()
  }

  async stop(): Promise<void> {
    await this.clock.until(this.node.stop())
    this.#running = undefined
  }

  /** An executor, connected as soon as a node runs. */
  client(options: ClientOptions = {}, link: Link = this.hub.link()): Virga {
    const pid = ++this.#pids
    this.#alive.set(pid, true)
    const { clock, random } = this.#sim
    const world = { clock, random, processes: this.#processes(pid), link, views: this.views, macOf }
    const virga = new Virga(world, options)
    this.#clients.push(virga)
    return virga
  }

  /** The processes of executors, oldest first, by which the node tells who still lives. */
  killExecutor(nth: number): void {
    this.#alive.set(101 + nth, false)
  }

  /** Runs until `promise` settles, and settles like it. */
  until<T>(promise: Promise<T>, msMax?: number): Promise<T> {
    return this.clock.until(promise, msMax)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.storage.faults.plan(undefined)
    await this.crash()
    for (const client of this.#clients) await this.clock.until(client.close())
    await this.clock.until(this.storage.close())
  }

  #slowClock(): Clock {
    const { clock } = this
    let lateMs = 0
    return {
      now: () => clock.now(),
      precise: () => clock.precise(),
      monotonic: () => {
        lateMs += this.lookMs
        return clock.monotonic() + lateMs
      },
      timer: (delayMs, run) => clock.timer(delayMs, run),
      soon: (run) => clock.soon(run),
      defer: (run) => clock.defer(run),
    }
  }

  #processes(pid: number): Processes {
    const self: ProcessIdentity = { pid, namespace: 'sim', startedAt: '1' }
    // Of another namespace nothing can be told.
    const isAlive = ({ pid, namespace }: ProcessIdentity): boolean | undefined =>
      namespace === self.namespace ? (this.#alive.get(pid) ?? false) : undefined
    return { self: () => self, isAlive }
  }
}

/** Runs `test` on a cluster of its own, closes it, and fails if the witness saw a rule broken. */
export async function withCluster(test: (cluster: Cluster) => Promise<void>, seed = 1): Promise<void> {
  const cluster = new Cluster(seed)
  try {
    await test(cluster)
    if (cluster.witness.broken.length > 0) throw new Error(cluster.witness.broken.join('; '))
  } finally {
    await cluster.close()
  }
}
