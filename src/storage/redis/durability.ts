/** What a Redis server promises: read at opening, refused where it may throw data away, told in one line. */
import { Cluster, type Redis } from 'ioredis'
import { VirgaError } from '../../errors.js'
import type { RedisLike } from './connection.js'
import { unavailable } from './errors.js'
import type { RedisStorageOptions } from './options.js'

/** Undefined: the server doesn't tell (INFO or CONFIG may be forbidden). */
interface Facts {
  readonly version: string | undefined
  readonly isMaster: boolean | undefined
  readonly replicas: number
  readonly aof: boolean | undefined
  readonly fsync: string | undefined
  readonly policy: string | undefined
}

/** @throws VirgaError `InvalidArgument` for a server that virga must not be used with as it is, `StorageUnavailable` */
export async function inspect(redis: RedisLike, options: Omit<RedisStorageOptions, 'url'>): Promise<string> {
  const masters = redis instanceof Cluster ? redis.nodes('master') : [redis]
  const all = await Promise.all(masters.map(factsOf))
  for (const facts of all) check(facts, options)
  const kind = redis instanceof Cluster ? `Cluster of ${all.length} masters` : 'server'
  // The weakest one speaks for all.
  return `redis ${all[0]?.version ?? ''} ${kind}: ${all.map((facts) => promise(facts, options)).sort(byWeakness)[0]!.text}`
}

async function factsOf(redis: Redis): Promise<Facts> {
  const info = await ask(redis, 'info')
  const field = (name: string): string | undefined =>
    new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(info ?? '')?.[1]
  const [fsync, policy] = await Promise.all([config(redis, 'appendfsync'), config(redis, 'maxmemory-policy')])
  const aof = field('aof_enabled')
  const role = field('role')
  return {
    version: field('valkey_version') ?? field('redis_version'),
    isMaster: role === undefined ? undefined : role === 'master',
    replicas: Number(field('connected_slaves') ?? 0),
    aof: aof === undefined ? undefined : aof === '1',
    fsync,
    policy: policy ?? field('maxmemory_policy'),
  }
}

/** Undefined where this user may not ask. */
async function ask(redis: Redis, ...command: readonly [string, ...string[]]): Promise<string | undefined> {
  try {
    const [name, ...args] = command
    const reply = await redis.call(name, ...args)
    return Array.isArray(reply) ? String(reply[1]) : String(reply)
  } catch (error) {
    if ((error as Error).name === 'ReplyError') return undefined
    throw unavailable(`Redis, asking for its settings: ${(error as Error).message}`, 'definite', error)
  }
}

function config(redis: Redis, name: string): Promise<string | undefined> {
  return ask(redis, 'config', 'get', name)
}

function check(facts: Facts, options: Omit<RedisStorageOptions, 'url'>): void {
  if (facts.isMaster === false)
    throw new VirgaError('InvalidArgument', 'this Redis is a replica, virga needs the master')
  if (facts.policy !== undefined && facts.policy !== 'noeviction' && options.allowEviction !== true) {
    throw new VirgaError(
      'InvalidArgument',
      `this Redis may throw committed data away (maxmemory-policy ${facts.policy}): set it to noeviction, or allow eviction`,
    )
  }
  if (options.waitAof === true && (facts.aof === false || !atLeast(facts.version, 7, 2))) {
    throw new VirgaError(
      'InvalidArgument',
      `waitAof needs Redis 7.2 or later with AOF, this is ${facts.version}, AOF ${facts.aof}`,
    )
  }
}

function atLeast(version: string | undefined, major: number, minor: number): boolean {
  const [a = 0, b = 0] = (version ?? '').split('.').map(Number)
  return a > major || (a === major && b >= minor)
}

interface Promised {
  /** Higher is weaker. */
  readonly weakness: number
  readonly text: string
}

function byWeakness(a: Promised, b: Promised): number {
  return b.weakness - a.weakness
}

function promise(facts: Facts, options: Omit<RedisStorageOptions, 'url'>): Promised {
  const disk = onDisk(facts, options)
  return {
    weakness: disk.weakness + (facts.replicas === 0 ? 1 : 0),
    text: [disk.text, onReplicas(facts, options), eviction(facts, options)]
      .filter((part) => part !== '')
      .join('; '),
  }
}

function onDisk(facts: Facts, options: Omit<RedisStorageOptions, 'url'>): Promised {
  if (options.waitAof === true)
    return { weakness: 0, text: 'commits are fsynced (WAITAOF) and survive a crash of it' }
  if (facts.aof === false)
    return { weakness: 40, text: 'no AOF, a crash of it loses all commits since its last snapshot' }
  if (facts.aof === undefined)
    return { weakness: 30, text: 'it does not tell whether it has an AOF, a crash of it may lose commits' }
  if (facts.fsync === 'always')
    return { weakness: 0, text: 'AOF with appendfsync always, commits survive a crash of it' }
  if (facts.fsync === 'everysec')
    return {
      weakness: 10,
      text: 'AOF with appendfsync everysec, a crash of its machine may lose the commits of a second',
    }
  if (facts.fsync === 'no')
    return {
      weakness: 25,
      text: 'AOF with appendfsync no, a crash of its machine may lose the commits of half a minute',
    }
  return {
    weakness: 20,
    text: 'AOF, appendfsync unknown (CONFIG is forbidden), a crash of its machine may lose commits',
  }
}

function onReplicas(facts: Facts, options: Omit<RedisStorageOptions, 'url'>): string {
  const wait = options.wait ?? 0
  if (wait > 0)
    return `each commit waits for ${wait} of ${facts.replicas} replicas, a failover to one without it loses it`
  if (facts.replicas === 0) return 'no replica, losing its disk loses everything'
  return `${facts.replicas} replica(s) not waited for (wait=N), a failover may lose the latest commits`
}

function eviction(facts: Facts, options: Omit<RedisStorageOptions, 'url'>): string {
  if (facts.policy === undefined) return 'it does not tell whether it evicts data when memory is short'
  return facts.policy === 'noeviction' || options.allowEviction !== true
    ? ''
    : `maxmemory-policy ${facts.policy} may throw committed data away`
}
