/** Makes the ioredis client, and waits for its first connection. */
import { Cluster, Redis } from 'ioredis'
import type { RedisLike } from './connection.js'
import { unavailable } from './errors.js'
import type { RedisStorageOptions, RedisTarget } from './options.js'

const RECONNECT_MS_MAX = 2_000
const WARNING_INTERVAL_MS = 1_000

export interface ClientTimeouts {
  readonly operationMs: number
  readonly connectMs: number
}

/** Connected and ready, or a rejection: `StorageUnavailable`, definite. Once connected, it connects again for ever. */
export async function connectClient(
  target: RedisTarget,
  options: Omit<RedisStorageOptions, 'url'>,
  timeouts: ClientTimeouts,
): Promise<RedisLike> {
  const redis = makeClient(target, options, timeouts)
  let last: Error | undefined
  const onError = (error: Error): void => {
    last = error
  }
  redis.on('error', onError)
  const warn = limited(options.onWarning)
  try {
    await ready(redis, timeouts.connectMs, () => last)
  } catch (error) {
    redis.disconnect()
    throw error
  } finally {
    // The listener below takes over: without one ioredis prints.
    redis.on('error', (error: Error) => warn('Redis connection', { error: error.message }))
    redis.off('error', onError)
  }
  redis.on('close', () => warn('Redis connection lost', {}))
  redis.on('ready', () => warn('Redis connected again', {}))
  if (redis instanceof Cluster) {
    redis.on('node error', (error: Error, node: string) =>
      warn('Redis connection', { node, error: error.message }),
    )
  }
  return redis
}

function makeClient(
  target: RedisTarget,
  options: Omit<RedisStorageOptions, 'url'>,
  timeouts: ClientTimeouts,
): RedisLike {
  const tls = target.tls ? { tls: options.tls ?? {} } : {}
  const username = options.username ?? target.username
  const password = options.password ?? target.password
  const common = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...tls,
    protocol: 2 as const,
    connectionName: 'virga',
    disableClientInfo: true,
    connectTimeout: timeouts.connectMs,
    // Ends a connection whose other end is gone without a word. Later than the operations' own time-out.
    socketTimeout: Math.round(timeouts.operationMs * 1.5),
    // What was under way when a connection was lost fails at once, and is never sent again by ioredis.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
  }
  if (target.kind === 'cluster') {
    return new Cluster([...target.addresses], {
      lazyConnect: true,
      enableOfflineQueue: false,
      // Would send again what was under way on a lost connection.
      retryDelayOnFailover: 0,
      clusterRetryStrategy: backoff,
      slotsRefreshTimeout: timeouts.connectMs,
      redisOptions: common,
    })
  }
  const single = {
    ...common,
    lazyConnect: true,
    enableOfflineQueue: false,
    retryStrategy: backoff,
    // A master that became a replica: connect anew, to the master of the day. Without sending the command again.
    reconnectOnError: (error: Error): 1 | false => (error.message.startsWith('READONLY') ? 1 : false),
    db: target.db,
  }
  if (target.kind === 'sentinel') {
    return new Redis({
      ...single,
      sentinels: [...target.addresses],
      name: target.masterName,
      sentinelRetryStrategy: backoff,
      enableTLSForSentinelMode: target.tls,
    })
  }
  return new Redis({ ...single, ...target.addresses[0] })
}

function backoff(times: number): number {
  return Math.min(RECONNECT_MS_MAX, 25 * 2 ** Math.min(times, 10)) * (0.5 + Math.random() / 2)
}

function ready(redis: RedisLike, timeoutMs: number, last: () => Error | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      redis.off('ready', onReady)
      const error = last()
      const why = error === undefined ? '' : `: ${error.message}`
      reject(unavailable(`Redis cannot be reached within ${timeoutMs} ms${why}`, 'definite', error))
    }, timeoutMs)
    const onReady = (): void => {
      clearTimeout(timer)
      resolve()
    }
    redis.once('ready', onReady)
    // Its rejection is only that of the first try.
    redis.connect().catch(() => {})
  })
}

/** At most one call a second for one message. */
function limited(onWarning: RedisStorageOptions['onWarning']): NonNullable<RedisStorageOptions['onWarning']> {
  const told = new Map<string, number>()
  return (message, details) => {
    const now = performance.now()
    if (
      onWarning === undefined ||
      now - (told.get(message) ?? Number.NEGATIVE_INFINITY) < WARNING_INTERVAL_MS
    )
      return
    told.set(message, now)
    onWarning(message, details)
  }
}
