/**
 * A cluster of the running test: nodes in processes of their own, real sockets between them, one real Redis that writes all to
 * disk. Everything of it can be killed, stopped, restarted, cut off and delayed; all ends with the test.
 *
 * ```ts
 * const { nodes: [a, b, c] } = await startCluster()
 * await a.virga.transaction((tx) => tx.put('x', 1))
 * await b.kill()
 * await b.restart()
 * ```
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { ClientOptions } from '../../src/client/options.js'
import type { Virga } from '../../src/client/virga.js'
import { connect } from '../../src/compose/connect.js'
import type { NodeOptions } from '../../src/compose/start-node.js'
import { Child } from './child.js'
import { type RedisServer, startRedis } from './redis.js'
import { tempFolder } from './temp.js'

type NodeFlags = Omit<NodeOptions, 'storage' | 'log' | 'nodeId'>

export interface ClusterOptions {
  /** Default 3. */
  readonly nodes?: number
  /** For all nodes. */
  readonly node?: NodeFlags
  /** For each node, by its index, beside those for all. */
  readonly nodeAt?: (index: number) => NodeFlags & Partial<Pick<NodeSetting, 'clockOffsetMs' | 'hosts'>>
  /** Of the storage's URL. */
  readonly query?: string
  /** Connects the nodes to the storage: default directly. */
  readonly storageAt?: (index: number, redis: RedisServer) => string
  readonly redis?: RedisServer
}

/** Of a node process: test/support/cluster-node.mjs. */
interface NodeSetting {
  readonly options: NodeOptions & {
    readonly storage: string
    readonly socket: string
    readonly nodeId: string
  }
  /** How this node's machine resolves the names of others. */
  readonly hosts: Readonly<Record<string, string>>
  readonly clockOffsetMs: number
}

/** Leases short enough for failures to be seen within seconds. */
const QUICK: NodeFlags = { leaseTtlMs: 2_000, drainMsMax: 500 }
/** A client that goes on through everything. */
export const PATIENT: ClientOptions = { attemptsMax: 1_000, retryDelayMsMax: 100 }

export interface Strike {
  readonly operation: 'get' | 'put' | 'compareAndSwap' | 'delete'
  /** How the name of the bucket begins. */
  readonly bucket: string
  /** Default: any. */
  readonly id?: string
  /** Before it is done, or when it is and its answer was not given yet. */
  readonly moment: 'before' | 'after'
  /** SIGKILL or SIGSTOP of the whole process. */
  readonly fate: 'die' | 'stop'
}

export interface Logged {
  readonly level: 'info' | 'warn' | 'error'
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
  readonly error: string
}

export interface Memory {
  readonly rss: number
  readonly heapUsed: number
  readonly external: number
  readonly arrayBuffers: number
}

/** A node, over any number of kills and starts. */
export class ClusterNode {
  readonly id: string
  readonly socket: string
  readonly #setting: NodeSetting
  #child: Child
  #virga: Virga | undefined

  static async start(setting: NodeSetting): Promise<ClusterNode> {
    return new ClusterNode(setting, await Child.start('cluster-node.mjs', setting))
  }

  private constructor(setting: NodeSetting, child: Child) {
    this.id = setting.options.nodeId
    this.socket = setting.options.socket
    this.#setting = setting
    this.#child = child
  }

  /** A client that goes on through every failure. Give the node a moment after a restart, or use `client`. */
  get virga(): Virga {
    if (this.#virga === undefined) throw new Error(`${this.id} has no client yet`)
    return this.#virga
  }

  /** @internal */
  async open(): Promise<this> {
    this.#virga = await this.client(PATIENT)
    return this
  }

  async client(options: ClientOptions = {}): Promise<Virga> {
    const virga = await connect({ socket: this.socket, ...options })
    onTestFinished(() => virga.close())
    return virga
  }

  get hasEnded(): boolean {
    return this.#child.hasEnded
  }

  get pid(): number {
    return this.#child.pid
  }

  /** SIGKILL. */
  kill(): Promise<void> {
    return this.#child.kill()
  }

  /** Waits for the process to end by itself. */
  ended(): Promise<void> {
    return this.#child.ended()
  }

  /** Kills it if it still runs. Resolves when the new one serves. */
  async restart(): Promise<void> {
    await this.#child.kill()
    this.#child = await Child.start('cluster-node.mjs', this.#setting)
  }

  /** As SIGTERM would: drains, and ends. */
  async stop(): Promise<void> {
    await this.#child.call('stop')
    await this.#child.ended()
  }

  /** SIGSTOP. */
  pause(): void {
    this.#child.signal('SIGSTOP')
  }

  /** Resolves when the process stands still, as one does that a strike has stopped. */
  async standsStill(): Promise<void> {
    const state = async (): Promise<string | undefined> =>
      / ([A-Z]) /.exec((await readFile(`/proc/${this.pid}/stat`, 'utf8')).replace(/^.*\)/, ''))?.[1]
    await within(10_000, async () => {
      if ((await state()) !== 'T') throw new Error(`${this.id} goes on`)
    })
  }

  /** SIGCONT. */
  resume(): void {
    this.#child.signal('SIGCONT')
  }

  /** What happens at one of its next operations of storage. */
  async strike(strike: Strike): Promise<void> {
    await this.#child.call('strike', strike)
  }

  async setClock(offsetMs: number): Promise<void> {
    await this.#child.call('setClock', offsetMs)
  }

  inspect(): Promise<Readonly<Record<string, number | string>>> {
    return this.#child.call('inspect')
  }

  async count(counter: string): Promise<number> {
    const value = (await this.inspect())[counter]
    if (typeof value !== 'number') throw new Error(`the node counts no ${counter}`)
    return value
  }

  /** Of the process that runs now. */
  logged(): Promise<readonly Logged[]> {
    return this.#child.call('logged')
  }

  /** Operations of storage so far, by their name and the first part of the bucket's: `get base`. */
  operations(): Promise<Readonly<Record<string, number>>> {
    return this.#child.call('operations')
  }

  memory(): Promise<Memory> {
    return this.#child.call('memory')
  }

  /** Processor time used so far, in milliseconds. */
  cpuMs(): Promise<number> {
    return this.#child.call('cpu')
  }
}

export interface Cluster {
  readonly redis: RedisServer
  readonly nodes: readonly ClusterNode[]
  /** One more node, under the next name. */
  join(flags?: NodeFlags): Promise<ClusterNode>
}

/** Starts a cluster; resolves when each node serves and sees all others. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const redis = options.redis ?? (await durableRedis())
  const nodes: ClusterNode[] = []
  const start = async (flags?: NodeFlags): Promise<ClusterNode> => {
    const index = nodes.length
    const { clockOffsetMs = 0, hosts = {}, ...own } = options.nodeAt?.(index) ?? {}
    const storage = options.storageAt?.(index, redis) ?? `${redis.url}${options.query ?? ''}`
    const nodeId = `n${index + 1}`
    const socket = join(tempFolder(), 's')
    const given = { ...QUICK, ...options.node, ...own, ...flags, storage, socket, nodeId }
    const node = await ClusterNode.start({ options: given, hosts, clockOffsetMs })
    nodes.push(node)
    return node.open()
  }
  for (let i = 0; i < (options.nodes ?? 3); i++) await start()
  await allConnected(nodes)
  return { redis, nodes, join: start }
}

/** Every write is on disk before it is acknowledged. */
export async function durableRedis(): Promise<RedisServer> {
  const redis = await startRedis({ config: { appendonly: 'yes', appendfsync: 'always' } })
  onTestFinished(() => redis.stop())
  return redis
}

/** Resolves when each node has a connection to each other one. */
export async function allConnected(nodes: readonly ClusterNode[], timeoutMs = 10_000): Promise<void> {
  await within(timeoutMs, async () => {
    for (const node of nodes) {
      const up = await node.count('peersUp')
      if (up < nodes.length - 1) throw new Error(`${node.id} reaches ${up} of ${nodes.length - 1} others`)
    }
  })
}

/** Tries again and again until it succeeds; rejects with its last failure when the time is over. */
export async function within<T>(timeoutMs: number, run: () => Promise<T>): Promise<T> {
  const end = performance.now() + timeoutMs
  for (;;) {
    try {
      return await run()
    } catch (error) {
      if (performance.now() >= end) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
