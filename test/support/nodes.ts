/** Nodes and executors for tests: in this process, or in one of their own. All end with the test that started them. */
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Virga } from '../../src/client/virga.js'
import { type ConnectOptions, connect } from '../../src/compose/connect.js'
import { type NodeOptions, type RunningNode, startNode } from '../../src/compose/start-node.js'
import { Child } from './child.js'
import { startRedis } from './redis.js'
import { tempFolder } from './temp.js'

export const ENGINES = ['lmdb', 'redis'] as const
export type Engine = (typeof ENGINES)[number]

/** A storage of the running test, as a URL: LMDB in a temporary folder, or a redis-server that writes all to disk. */
export async function storageUrl(engine: Engine | 'memory'): Promise<string> {
  if (engine === 'memory') return 'memory:'
  if (engine === 'lmdb') return `lmdb:${join(tempFolder(), 'data')}`
  const redis = await startRedis({ config: { appendonly: 'yes', appendfsync: 'always' } })
  onTestFinished(() => redis.stop())
  return redis.url
}

export interface TestNode extends RunningNode {
  count(counter: string): number
  connect(options?: ConnectOptions): Promise<Virga>
}

/** A node in this process. By default on LMDB, without waiting long for what is open when it stops. */
export async function testNode(options: NodeOptions = {}): Promise<TestNode> {
  const socket = join(tempFolder(), 's')
  const storage = options.storage ?? (await storageUrl('lmdb'))
  const node = await startNode({ socket, nodeId: 'n1', drainMsMax: 200, ...options, storage })
  onTestFinished(() => node.stop())
  return {
    socket: node.socket,
    inspect: () => node.inspect(),
    stop: () => node.stop(),
    ended: node.ended,
    count: (counter) => counted(node.inspect(), counter),
    connect: (more) => testClient(node.socket, more),
  }
}

/** A client in this process. */
export async function testClient(socket: string, options: ConnectOptions = {}): Promise<Virga> {
  const virga = await connect({ socket, ...options })
  onTestFinished(() => virga.close())
  return virga
}

/** A node in a process of its own. It keeps socket and storage over any number of kills and starts. */
export class NodeProcess {
  readonly socket: string
  readonly #options: NodeOptions
  #child: Child

  static async start(options: NodeOptions & { readonly storage: string }): Promise<NodeProcess> {
    const given = { socket: join(tempFolder(), 's'), nodeId: 'n1', ...options }
    return new NodeProcess(given, await Child.start('node-process.mjs', given))
  }

  private constructor(options: NodeOptions & { readonly socket: string }, child: Child) {
    this.socket = options.socket
    this.#options = options
    this.#child = child
  }

  get pid(): number {
    return this.#child.pid
  }

  /** SIGKILL. */
  kill(): Promise<void> {
    return this.#child.kill()
  }

  /** Kills it if it still runs. Resolves when the new one serves. */
  async restart(): Promise<void> {
    await this.#child.kill()
    this.#child = await Child.start('node-process.mjs', this.#options)
  }

  /** As SIGTERM would: drains, and ends. */
  async stop(): Promise<void> {
    await this.#child.call('stop')
    await this.#child.ended()
  }

  pause(): void {
    this.#child.signal('SIGSTOP')
  }

  resume(): void {
    this.#child.signal('SIGCONT')
  }

  async count(counter: string): Promise<number> {
    return counted(await this.#child.call<Readonly<Record<string, number | string>>>('inspect'), counter)
  }
}

/** An executor in a process of its own, with one client named `c`. */
export async function executorProcess(socket: string, options: ConnectOptions = {}): Promise<Child> {
  const child = await Child.start('executor-process.mjs', { socket, ...options })
  await child.call('connect', 'c', {})
  return child
}

function counted(inspected: Readonly<Record<string, number | string>>, counter: string): number {
  const value = inspected[counter]
  if (typeof value !== 'number') throw new Error(`the node counts no ${counter}`)
  return value
}
