/** Options of the Redis engine, and its URLs. */
import type { ConnectionOptions } from 'node:tls'
import { VirgaError } from '../../errors.js'
import type { GuardLimits } from '../guard.js'
import { booleanOption, countOption, type ParsedStorageUrl, parseStorageUrl, redacted } from '../url.js'

export interface RedisStorageOptions extends GuardLimits {
  /**
   * `redis://[user:password@]host[:port][/db]`, `rediss://…` (TLS), `redis+cluster://[user:password@]a:port,b:port,…`,
   * `redis+sentinel://[user:password@]a:port,b:port/name[/db]`. Its query may hold `prefix`, `timeoutMs` (of an
   * operation), `connectTimeoutMs`, `wait`, `waitTimeoutMs`, `waitAof`, `allowEviction`, and of Cluster and Sentinel `tls`.
   * Fields of this object go before it.
   */
  readonly url: string
  /** Instead of those of the URL, which other users of the machine may see in the list of processes. */
  readonly username?: string
  readonly password?: string
  /** Begins the name of every key. No braces. Default `virga:`. */
  readonly prefix?: string
  /** After which an operation fails. Default 5,000 ms. */
  readonly operationTimeoutMs?: number
  /** For the first connection at opening, and for each one later. Default 5,000 ms. */
  readonly connectTimeoutMs?: number
  /** Replicas that must have a write before it is acknowledged (WAIT). Default 0. */
  readonly wait?: number
  /** How long they may take. Then the write fails with an unknown outcome. Default half of `operationTimeoutMs`. */
  readonly waitTimeoutMs?: number
  /** WAITAOF instead of WAIT: the server and `wait` replicas have fsynced it. Redis 7.2 and later, with AOF. */
  readonly waitAof?: boolean
  /** Take a server whose maxmemory-policy may throw committed data away. Default false. */
  readonly allowEviction?: boolean
  /** Settings of TLS, which the URL switches on with `rediss:` or `?tls=true`. */
  readonly tls?: ConnectionOptions
  /** Told of lost connections and of what else an operator should know. Called at most once a second for one message. */
  readonly onWarning?: (message: string, details: Readonly<Record<string, unknown>>) => void
}

export interface RedisAddress {
  readonly host: string
  readonly port: number
}

export interface RedisTarget {
  readonly kind: 'standalone' | 'cluster' | 'sentinel'
  readonly addresses: readonly RedisAddress[]
  /** Sentinel's name of the master. */
  readonly masterName: string
  readonly db: number
  readonly username: string | undefined
  readonly password: string | undefined
  readonly tls: boolean
  readonly options: Omit<RedisStorageOptions, 'url'>
}

const KINDS: Readonly<Record<string, RedisTarget['kind']>> = {
  'redis:': 'standalone',
  'rediss:': 'standalone',
  'redis+cluster:': 'cluster',
  'redis+sentinel:': 'sentinel',
}

export const REDIS_SCHEMES = Object.keys(KINDS)

/** @throws VirgaError `InvalidArgument` */
export function parseRedisUrl(url: URL | string): RedisTarget {
  const parsed = parseStorageUrl(url, REDIS_SCHEMES)
  const { scheme, rest, take, done } = parsed
  const kind = KINDS[scheme]!
  const options = queryOptions(take)
  const tls = (kind === 'standalone' ? undefined : booleanOption(take, 'tls')) ?? scheme === 'rediss:'
  done()

  const match = /^\/\/(?:([^/]*)@)?([^/@]*)(?:\/(.*))?$/.exec(rest)
  if (match === null) throw new VirgaError('InvalidArgument', `not a Redis URL: ${redacted(String(url))}`)
  const [, userInfo, hosts, path = ''] = match
  const [username, password] = credentials(userInfo)
  const parts = path.split('/').filter((part) => part !== '')
  const masterName = kind === 'sentinel' ? decodeURIComponent(parts.shift() ?? '') : ''
  if (kind === 'sentinel' && masterName === '') {
    throw new VirgaError(
      'InvalidArgument',
      'redis+sentinel: needs the name of the master: redis+sentinel://host:26379/name',
    )
  }
  const dbText = parts.shift() ?? '0'
  if (!/^\d{1,5}$/.test(dbText) || parts.length > 0 || (kind === 'cluster' && path !== '')) {
    throw new VirgaError('InvalidArgument', `${scheme} cannot take the path /${path}`)
  }
  const addresses = (hosts ?? '')
    .split(',')
    .map((text) => address(text, kind === 'sentinel' ? 26_379 : 6_379))
  if (kind === 'standalone' && addresses.length > 1) {
    throw new VirgaError(
      'InvalidArgument',
      `${scheme} takes one host; several are redis+cluster: or redis+sentinel:`,
    )
  }
  return { kind, addresses, masterName, db: Number(dbText), username, password, tls, options }
}

function queryOptions(take: ParsedStorageUrl['take']): Omit<RedisStorageOptions, 'url'> {
  const found = {
    prefix: take('prefix'),
    operationTimeoutMs: countOption(take, 'timeoutMs', 3_600_000),
    connectTimeoutMs: countOption(take, 'connectTimeoutMs', 3_600_000),
    wait: countOption(take, 'wait', 100),
    waitTimeoutMs: countOption(take, 'waitTimeoutMs', 3_600_000),
    waitAof: booleanOption(take, 'waitAof'),
    allowEviction: booleanOption(take, 'allowEviction'),
  }
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined))
}

function credentials(userInfo: string | undefined): readonly [string | undefined, string | undefined] {
  if (userInfo === undefined) return [undefined, undefined]
  const colon = userInfo.indexOf(':')
  const [user, password] = colon < 0 ? [userInfo, ''] : [userInfo.slice(0, colon), userInfo.slice(colon + 1)]
  return [decodeURIComponent(user) || undefined, decodeURIComponent(password) || undefined]
}

function address(text: string, portDefault: number): RedisAddress {
  const match = /^(?:\[([0-9a-f:.%]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/i.exec(text)
  const port = Number(match?.[3] ?? portDefault)
  if (match === null || port < 1 || port > 65_535) {
    throw new VirgaError('InvalidArgument', `not a host and port: ${JSON.stringify(text)}`)
  }
  return { host: (match[1] ?? match[2])!, port }
}
