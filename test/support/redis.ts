/**
 * Real redis-servers for tests: each on a free port of 127.0.0.1, with its data in a temporary directory.
 *
 * ```ts
 * const redis = await startRedis({ config: { appendonly: 'yes', appendfsync: 'always' } })
 * const storage = await openRedisStorage({ url: redis.url })
 * redis.pause()            // SIGSTOP: connections stay open, nothing answers
 * redis.resume()
 * await redis.kill()       // SIGKILL: as in a crash
 * await redis.restart()    // same port, same data
 * await redis.stop()       // ends it, whatever its state, and deletes its data. Call it in afterAll or finally.
 * ```
 *
 * What a test forgot is killed when its process exits.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { freePort } from './free-port.js'

export interface RedisServer {
  /** `redis://127.0.0.1:PORT` */
  readonly url: string
  readonly port: number
  /** Where it keeps its data. */
  readonly directory: string
  /** Of the process that runs now; undefined when none does. */
  readonly pid: number | undefined
  /** Sends one command on a connection of its own. */
  command(name: string, ...args: readonly (string | number)[]): Promise<unknown>
  /** How often the server was told each command (`INFO commandstats`), by its name in lower case. */
  commandCounts(): Promise<Map<string, number>>
  /** SIGSTOP: connections stay open, nothing answers. */
  pause(): void
  /** SIGCONT. */
  resume(): void
  /** SIGKILL, and waits for the end. The data stays, as far as it was written. */
  kill(): Promise<void>
  /** Starts it again on the same port with the same data. Kills it first where it still runs. */
  restart(): Promise<void>
  /** Ends it and deletes its data. May be called more than once, and in any state. */
  stop(): Promise<void>
}

export interface RedisServerOptions {
  /** Lines of redis.conf. By default nothing is written to disk. */
  readonly config?: Readonly<Record<string, string>>
}

export interface RedisCluster {
  /** `redis+cluster://127.0.0.1:A,127.0.0.1:B,…` */
  readonly url: string
  readonly masters: readonly RedisServer[]
  stop(): Promise<void>
}

const START_ATTEMPTS = 5
const READY_TIMEOUT_MS = 15_000
const CONFIG_DEFAULT = { save: '', appendonly: 'no', bind: '127.0.0.1', 'enable-debug-command': 'yes' }

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const directory = await mkdtemp(join(tmpdir(), 'virga-redis-'))
  // Between finding a free port and using it somebody else may take it: try another one then.
  for (let attempt = 1; ; attempt += 1) {
    const server = new Server(await freePort(), directory, { ...CONFIG_DEFAULT, ...options.config })
    try {
      await server.restart()
      return server
    } catch (error) {
      await server.kill()
      if (attempt < START_ATTEMPTS && /Address already in use/.test(String(error))) continue
      await server.stop()
      throw error
    }
  }
}

/** Masters without replicas that share the slots evenly. */
export async function startRedisCluster({ masters = 3 } = {}): Promise<RedisCluster> {
  const servers: RedisServer[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()))
  }
  try {
    for (let n = 0; n < masters; n += 1) {
      const config = {
        'cluster-enabled': 'yes',
        'cluster-port': String(await freePort()),
        'cluster-node-timeout': '5000',
      }
      servers.push(await startRedis({ config }))
    }
    const share = 16_384 / masters
    for (const [n, server] of servers.entries()) {
      await server.command('CLUSTER', 'SET-CONFIG-EPOCH', n + 1)
      await server.command('CLUSTER', 'ADDSLOTSRANGE', Math.round(n * share), Math.round((n + 1) * share) - 1)
    }
    const first = servers[0]!
    const busPort = String(await first.command('CONFIG', 'GET', 'cluster-port')).split(',')[1]!
    for (const server of servers.slice(1))
      await server.command('CLUSTER', 'MEET', '127.0.0.1', first.port, busPort)
    await Promise.all(servers.map((server) => agreed(server, masters)))
  } catch (error) {
    await stop()
    throw error
  }
  return {
    url: `redis+cluster://${servers.map((server) => `127.0.0.1:${server.port}`).join(',')}`,
    masters: servers,
    stop,
  }
}

export interface RedisSentinel {
  /** `redis+sentinel://127.0.0.1:PORT/mymaster` */
  readonly url: string
  stop(): Promise<void>
}

/** One sentinel that watches `master`, and alone decides that it is down, after half a second. */
export async function startRedisSentinel(master: RedisServer): Promise<RedisSentinel> {
  const directory = await mkdtemp(join(tmpdir(), 'virga-sentinel-'))
  const port = await freePort()
  const file = join(directory, 'sentinel.conf')
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${directory}`,
    `sentinel monitor mymaster 127.0.0.1 ${master.port} 1`,
    'sentinel down-after-milliseconds mymaster 500',
    'sentinel failover-timeout mymaster 2000',
  ]
  await writeFile(file, `${lines.join('\n')}\n`)
  const child = spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' })
  child.once('error', () => {})
  running.add(child)
  const stop = async (): Promise<void> => {
    running.delete(child)
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    }
    await rm(directory, { recursive: true, force: true })
  }
  try {
    await until(`the sentinel on port ${port}`, async () => {
      const replicas = await commandAt(port, 'SENTINEL', ['REPLICAS', 'mymaster'])
      return Array.isArray(replicas) && replicas.length > 0
    })
  } catch (error) {
    await stop()
    throw error
  }
  return { url: `redis+sentinel://127.0.0.1:${port}/mymaster`, stop }
}

async function agreed(server: RedisServer, nodes: number): Promise<void> {
  await until(`the cluster around port ${server.port}`, async () => {
    const info = String(await server.command('CLUSTER', 'INFO'))
    return (
      /cluster_state:ok/.test(info) &&
      info.includes(`cluster_known_nodes:${nodes}\r`) &&
      info.includes('cluster_slots_ok:16384')
    )
  })
}

class Server implements RedisServer {
  readonly url: string
  readonly port: number
  readonly directory: string
  readonly #config: Readonly<Record<string, string>>
  #child: ChildProcess | undefined

  constructor(port: number, directory: string, config: Readonly<Record<string, string>>) {
    this.url = `redis://127.0.0.1:${port}`
    this.port = port
    this.directory = directory
    this.#config = config
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  command(name: string, ...args: readonly (string | number)[]): Promise<unknown> {
    return commandAt(this.port, name, args)
  }

  async commandCounts(): Promise<Map<string, number>> {
    const info = String(await this.command('INFO', 'commandstats'))
    return new Map(
      [...info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(([, name, calls]) => [name!, Number(calls)]),
    )
  }

  pause(): void {
    this.#child?.kill('SIGSTOP')
  }

  resume(): void {
    this.#child?.kill('SIGCONT')
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    this.#child = undefined
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    }
  }

  async restart(): Promise<void> {
    await this.kill()
    const log = join(this.directory, 'redis.log')
    const config = { ...this.#config, port: String(this.port), dir: this.directory, logfile: log }
    const args = Object.entries(config).flatMap(([name, value]) => [`--${name}`, value])
    const child = spawn('redis-server', args, { stdio: 'ignore' })
    const failed = new Promise<never>((_, reject) => {
      child.once('error', (error: NodeJS.ErrnoException) => {
        reject(error.code === 'ENOENT' ? new Error(MISSING) : error)
      })
      child.once('exit', async () => {
        running.delete(child)
        reject(
          new Error(
            `redis-server ended at its start:\n${await readFile(log, 'utf8').catch(() => '(no log)')}`,
          ),
        )
      })
    })
    failed.catch(() => {})
    running.add(child)
    this.#child = child
    await Promise.race([
      failed,
      until(`redis-server on port ${this.port}`, async () => (await this.command('PING')) === 'PONG'),
    ])
  }

  async stop(): Promise<void> {
    await this.kill()
    await rm(this.directory, { recursive: true, force: true })
  }
}

async function commandAt(port: number, name: string, args: readonly (string | number)[]): Promise<unknown> {
  const redis = new Redis({
    port,
    host: '127.0.0.1',
    lazyConnect: true,
    retryStrategy: () => null,
    disableClientInfo: true,
  })
  redis.on('error', () => {})
  try {
    await redis.connect()
    return await redis.call(name, ...args)
  } finally {
    redis.disconnect()
  }
}

const MISSING =
  'redis-server is not on the PATH, and these tests need a real one. Install it: apt-get install redis-server (Debian, Ubuntu), brew install redis (macOS).'

async function until(what: string, isReady: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + READY_TIMEOUT_MS
  let last: unknown
  while (performance.now() < end) {
    try {
      if (await isReady()) return
    } catch (error) {
      last = error
    }
    await sleep(20)
  }
  throw new Error(`${what} was not ready after ${READY_TIMEOUT_MS} ms`, { cause: last })
}
