/**
 * Redis or Valkey: standalone, Sentinel or Cluster, through ioredis.
 *
 * A bucket is a hash, an id a field. A commit is one HSETNX: one command, one round trip. Compare-and-swap from a value
 * is a Lua script. What a crash or a failover of the server can lose depends on its settings: see `durability`.
 */
import { createHash } from 'node:crypto'
import { VirgaError } from '../errors.js'
import type {
  CompareAndSwapResult,
  ListedEntry,
  Storage,
  StorageEntry,
  StorageKey,
} from '../ports/storage.js'
import { GuardedStorage } from './guard.js'
import { connectClient } from './redis/client.js'
import type { Argument } from './redis/command.js'
import {
  Operation,
  RedisConnection,
  type RedisLike,
  type Reply,
  type ScanPlace,
  type WaitSettings,
} from './redis/connection.js'
import { inspect } from './redis/durability.js'
import { parseRedisUrl, type RedisStorageOptions } from './redis/options.js'
import { Timeouts } from './timeouts.js'

export type { RedisStorageOptions } from './redis/options.js'

/**
 * Connects, and reads what the server promises.
 *
 * @throws VirgaError `StorageUnavailable`, or `InvalidArgument` (the URL; a replica; a maxmemory-policy that evicts)
 */
export async function openRedisStorage(given: RedisStorageOptions): Promise<Storage> {
  const target = parseRedisUrl(given.url)
  const options = { ...target.options, ...given }
  const prefix = options.prefix ?? PREFIX_DEFAULT
  if (/[{}]/.test(prefix))
    throw new VirgaError('InvalidArgument', 'a prefix with braces would put all keys on one node')
  const operationMs = positive('operationTimeoutMs', options.operationTimeoutMs ?? TIMEOUT_MS_DEFAULT)
  const connectMs = positive('connectTimeoutMs', options.connectTimeoutMs ?? TIMEOUT_MS_DEFAULT)
  const wait = settingsOfWait(options, operationMs)

  const redis = await connectClient(target, options, { operationMs, connectMs })
  try {
    const durability = await inspect(redis, options)
    // WAIT holds up all that follows on its connection: reads get one of their own then. (In a Cluster they may wait.)
    const reader =
      wait === undefined || target.kind === 'cluster'
        ? redis
        : await connectClient(target, options, { operationMs, connectMs })
    return new RedisStorage(redis, reader, durability, { ...options, prefix, operationMs, wait })
  } catch (error) {
    redis.disconnect()
    throw error
  }
}

/** Parses a URL with all its options. See `RedisStorageOptions.url`. */
export function redisStorageFromUrl(
  url: URL | string,
  onWarning?: NonNullable<RedisStorageOptions['onWarning']>,
): Promise<Storage> {
  return openRedisStorage({ url: String(url), ...(onWarning === undefined ? {} : { onWarning }) })
}

const PREFIX_DEFAULT = 'virga:'
const TIMEOUT_MS_DEFAULT = 5_000
/** Fields or bytes in one command: keeps the server's pauses short. */
const CHUNK_FIELDS = 1_000
const CHUNK_BYTES = 4 * 1024 * 1024
const SWAP_ATTEMPTS_MAX = 1_000
/** Up to here a listing without values takes HKEYS, about 10 ms of the server, rather than reading all values too. */
const HKEYS_FIELDS_MAX = 50_000
const SCAN_COUNT = '1000'
const CLOSE_MS_MAX = 3_000

/**
 * KEYS: hash. ARGV: field, whether something is expected, what, whether something is to stand next, what.
 * 1: swapped. Otherwise what stands.
 */
const SWAP = `
local current = redis.call('HGET', KEYS[1], ARGV[1])
if ARGV[2] == '1' then
  if current ~= ARGV[3] then return current end
elseif current then
  return current
end
if ARGV[4] == '1' then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[5])
elseif current then
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return 1`
const SWAP_SHA = createHash('sha1').update(SWAP).digest('hex')

class RedisStorage extends GuardedStorage {
  readonly durability: string
  readonly #clients: ReadonlySet<RedisLike>
  readonly #writer: RedisConnection
  readonly #reader: RedisConnection
  readonly #timeouts: Timeouts
  readonly #prefix: string

  constructor(writer: RedisLike, reader: RedisLike, durability: string, settings: Settings) {
    super(settings)
    this.durability = durability
    this.#clients = new Set([writer, reader])
    this.#writer = new RedisConnection(writer, settings.wait)
    this.#reader = reader === writer ? this.#writer : new RedisConnection(reader, undefined)
    this.#timeouts = new Timeouts(settings.operationMs)
    this.#prefix = settings.prefix
  }

  protected override read(keys: readonly StorageKey[]): Promise<(Uint8Array | undefined)[]> {
    return this.#operation(async (operation) => {
      const found = new Array<Uint8Array | undefined>(keys.length)
      const commands = chunks(keys).map(async ({ bucket, places }) => {
        const ids = places.map((place) => keys[place]!.id)
        const values = (await this.#reader.read(operation, 'hmget', [
          this.#name(bucket),
          ...ids,
        ])) as (Buffer | null)[]
        for (const [n, place] of places.entries()) found[place] = own(values[n])
      })
      await Promise.all(commands)
      return found
    })
  }

  protected override write(entries: readonly StorageEntry[]): Promise<void> {
    return this.#operation(async (operation) => {
      const commands = chunks(entries).map(({ bucket, places }) => {
        const fields = places.flatMap((place) => [entries[place]!.id, bufferOf(entries[place]!.value)])
        return this.#writer.write(operation, 'hset', [this.#name(bucket), ...fields])
      })
      await all(commands)
    })
  }

  protected override remove(keys: readonly StorageKey[]): Promise<void> {
    return this.#operation(async (operation) => {
      const commands = chunks(keys).map(({ bucket, places }) => {
        const ids = places.map((place) => keys[place]!.id)
        return this.#writer.write(operation, 'hdel', [this.#name(bucket), ...ids])
      })
      await all(commands)
    })
  }

  protected override swap(
    { bucket, id }: StorageKey,
    expected: Uint8Array | undefined,
    next: Uint8Array | undefined,
  ): Promise<CompareAndSwapResult> {
    const name = this.#name(bucket)
    return this.#operation(async (operation) => {
      if (expected !== undefined || next === undefined)
        return this.#swapByScript(operation, name, id, expected, next)
      for (let attempt = 1; attempt <= SWAP_ATTEMPTS_MAX; attempt += 1) {
        if ((await this.#writer.write(operation, 'hsetnx', [name, id, bufferOf(next)])) === 1)
          return { swapped: true }
        operation.wrote = false
        const current = await this.#reader.read(operation, 'hget', [name, id])
        if (current !== null) return { swapped: false, current: own(current as Buffer) }
        // Deleted since.
      }
      throw new VirgaError('StorageUnavailable', `a swap that others overtook ${SWAP_ATTEMPTS_MAX} times`)
    })
  }

  async #swapByScript(
    operation: Operation,
    name: string,
    id: string,
    expected: Uint8Array | undefined,
    next: Uint8Array | undefined,
  ): Promise<CompareAndSwapResult> {
    const args: Argument[] = ['1', name, id, ...optional(expected), ...optional(next)]
    let reply: Reply
    try {
      reply = await this.#writer.write(operation, 'evalsha', [SWAP_SHA, ...args])
    } catch (error) {
      if (!isNoScript(error)) throw error
      reply = await this.#writer.write(operation, 'eval', [SWAP, ...args])
    }
    if (reply === 1) return { swapped: true }
    operation.wrote = false
    return { swapped: false, current: own(reply as Buffer | null) }
  }

  protected override async *pages(bucket: string, values: boolean): AsyncGenerator<readonly ListedEntry[]> {
    const name = this.#name(bucket)
    if (!values) {
      const length = (await this.#operation((operation) =>
        this.#reader.read(operation, 'hlen', [name]),
      )) as number
      if (length <= HKEYS_FIELDS_MAX) {
        const ids = (await this.#operation((operation) =>
          this.#reader.read(operation, 'hkeys', [name]),
        )) as Buffer[]
        yield ids.map((id) => ({ id: id.toString() }))
        return
      }
    }
    // HSCAN may give a field twice. What it takes to give each once is the bucket's ids, not its values.
    const seen = new Set<string>()
    const place: ScanPlace = { cursor: '0', stream: undefined }
    do {
      const fields = (await this.#operation((operation) =>
        this.#reader.scan(operation, name, place, SCAN_COUNT),
      )) as Buffer[]
      const page: ListedEntry[] = []
      for (let n = 0; n < fields.length; n += 2) {
        const id = fields[n]!.toString()
        if (seen.has(id)) continue
        seen.add(id)
        page.push(values ? { id, value: own(fields[n + 1])! } : { id })
      }
      yield page
    } while (place.cursor !== '0')
  }

  protected override async shut(): Promise<void> {
    await Promise.all([...this.#clients].map(disconnected))
  }

  #name(bucket: string): string {
    return this.#prefix + bucket
  }

  #operation<T>(run: (operation: Operation) => Promise<T>): Promise<T> {
    const operation = new Operation()
    return this.#timeouts.bound(run(operation), () => operation.expire(this.#timeouts.timeoutMs))
  }
}

interface Settings extends Omit<RedisStorageOptions, 'wait'> {
  readonly prefix: string
  readonly operationMs: number
  readonly wait: WaitSettings | undefined
}

function settingsOfWait(
  options: Omit<RedisStorageOptions, 'url'>,
  operationMs: number,
): WaitSettings | undefined {
  const replicas = options.wait ?? 0
  const aof = options.waitAof ?? false
  if (!Number.isSafeInteger(replicas) || replicas < 0) {
    throw new VirgaError('InvalidArgument', `wait must be a number of replicas, not ${replicas}`)
  }
  if (replicas === 0 && !aof) return undefined
  const timeoutMs = positive('waitTimeoutMs', options.waitTimeoutMs ?? Math.ceil(operationMs / 2))
  if (timeoutMs >= operationMs) {
    throw new VirgaError(
      'InvalidArgument',
      `waitTimeoutMs (${timeoutMs}) must be below operationTimeoutMs (${operationMs})`,
    )
  }
  return { replicas, timeoutMs, aof }
}

function positive(name: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new VirgaError('InvalidArgument', `${name} must be a whole number above 0, not ${value}`)
  }
  return value
}

interface Chunk {
  readonly bucket: string
  /** Indices into the batch. */
  readonly places: number[]
  bytes: number
}

/** A batch by bucket, since a command names one key; in a Cluster each finds its own node. */
function chunks(batch: readonly (StorageKey & { readonly value?: Uint8Array })[]): Chunk[] {
  const open = new Map<string, Chunk>()
  const done: Chunk[] = []
  for (const [place, { bucket, value }] of batch.entries()) {
    let chunk = open.get(bucket)
    if (chunk === undefined || chunk.places.length >= CHUNK_FIELDS || chunk.bytes >= CHUNK_BYTES) {
      chunk = { bucket, places: [], bytes: 0 }
      open.set(bucket, chunk)
      done.push(chunk)
    }
    chunk.places.push(place)
    chunk.bytes += value?.byteLength ?? 0
  }
  return done
}

/** Waits for all; then the whole fails if one did. Indefinite if any may have had its effect. */
async function all(commands: readonly Promise<unknown>[]): Promise<void> {
  const settled = await Promise.allSettled(commands)
  const failed = settled
    .filter((each) => each.status === 'rejected')
    .map(({ reason }) => reason as VirgaError)
  const worst = failed.find(({ outcome }) => outcome === 'indefinite') ?? failed[0]
  if (worst === undefined) return
  if (failed.length === settled.length || worst.outcome === 'indefinite') throw worst
  throw new VirgaError(worst.code, `${failed.length} of ${settled.length} commands: ${worst.message}`, {
    outcome: 'indefinite',
    cause: worst,
  })
}

function optional(value: Uint8Array | undefined): readonly Argument[] {
  return value === undefined ? ['0', ''] : ['1', bufferOf(value)]
}

function bufferOf(value: Uint8Array): Buffer {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
}

/** A copy: a reply is a window on 64 KiB that came from the socket, all of which would stay in memory with it. */
function own(value: Buffer | null | undefined): Uint8Array | undefined {
  return value === null || value === undefined ? undefined : new Uint8Array(value)
}

function isNoScript(error: unknown): boolean {
  const { cause } = error as { readonly cause?: { readonly message?: string } }
  return cause?.message?.startsWith('NOSCRIPT') === true
}

function disconnected(redis: RedisLike): Promise<void> {
  return new Promise((resolve) => {
    if (redis.status === 'end') return resolve()
    const timer = setTimeout(resolve, CLOSE_MS_MAX)
    redis.once('end', () => {
      clearTimeout(timer)
      resolve()
    })
    const { status } = redis
    redis.disconnect()
    // Between two connections there is nothing to close, and ioredis tells of no end.
    if (status === 'reconnecting' || status === 'wait' || status === 'close') {
      clearTimeout(timer)
      resolve()
    }
  })
}
