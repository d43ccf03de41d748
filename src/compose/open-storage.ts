import { VirgaError } from '../errors.js'
import type { Lock } from '../platform/lock.js'
import type { Log } from '../ports/log.js'
import type { Storage } from '../ports/storage.js'
import { lockEnvironment } from './environment-lock.js'

export interface OpenedStorage {
  readonly storage: Storage
  /** To be released after the storage was closed. */
  readonly lock: Lock | undefined
}

/** Opens the engine that a URL names. Engines are loaded when they are asked for. Throws `InvalidArgument`, `Busy`. */
export async function openStorage(url: string, log: Log): Promise<OpenedStorage> {
  const scheme = url.slice(0, url.indexOf(':') + 1).toLowerCase()
  const onWarning = (message: string, details: object): void => log.warn(details, message)
  switch (scheme) {
    case 'memory:':
      return { storage: (await import('../storage/memory.js')).memoryStorageFromUrl(url), lock: undefined }
    case 'lmdb:':
      return openLmdb(url)
    case 'redis:':
    case 'rediss:':
    case 'redis+cluster:':
    case 'redis+sentinel:':
      return {
        storage: await (await import('../storage/redis.js')).redisStorageFromUrl(url, onWarning),
        lock: undefined,
      }
    default:
      throw new VirgaError(
        'InvalidArgument',
        `a storage URL begins with memory:, lmdb:, redis:, rediss:, redis+cluster: or redis+sentinel:, not ${JSON.stringify(scheme)}`,
      )
  }
}

async function openLmdb(url: string): Promise<OpenedStorage> {
  const { openLmdbStorage, parseLmdbUrl } = await import('../storage/lmdb.js')
  const options = parseLmdbUrl(url)
  const lock = await lockEnvironment(options.path)
  try {
    return { storage: await openLmdbStorage(options), lock }
  } catch (error) {
    await lock.release()
    throw error
  }
}
