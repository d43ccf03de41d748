import { VirgaError } from '../errors.js'
import type { Log } from '../ports/log.js'
import type { Storage } from '../ports/storage.js'

/** Opens the engine that a URL names. Engines are loaded when they are asked for. Throws `InvalidArgument`. */
export async function openStorage(url: string, log: Log): Promise<Storage> {
  const scheme = url.slice(0, url.indexOf(':') + 1).toLowerCase()
  const onWarning = (message: string, details: object): void => log.warn(details, message)
  switch (scheme) {
    case 'memory:':
      return (await import('../storage/memory.js')).memoryStorageFromUrl(url)
    case 'lmdb:':
      return (await import('../storage/lmdb.js')).lmdbStorageFromUrl(url)
    case 'redis:':
    case 'rediss:':
    case 'redis+cluster:':
    case 'redis+sentinel:':
      return (await import('../storage/redis.js')).redisStorageFromUrl(url, onWarning)
    default:
      throw new VirgaError(
        'InvalidArgument',
        `a storage URL begins with memory:, lmdb:, redis:, rediss:, redis+cluster: or redis+sentinel:, not ${JSON.stringify(scheme)}`,
      )
  }
}
