import { VirgaError } from '../errors.js'
import type { Log } from '../ports/log.js'
import type { Storage } from '../ports/storage.js'
import { lmdbStorageFromUrl } from '../storage/lmdb.js'
import { memoryStorageFromUrl } from '../storage/memory.js'

/** Opens the engine that a URL names. Engines are loaded when they are asked for. */
export async function openStorage(url: string, log: Log): Promise<Storage> {
  void log
  const scheme = url.slice(0, url.indexOf(':') + 1).toLowerCase()
  switch (scheme) {
    case 'memory:':
      return memoryStorageFromUrl(url)
    case 'lmdb:':
      return lmdbStorageFromUrl(url)
    default:
      throw new VirgaError(
        'InvalidArgument',
        `no storage engine for ${JSON.stringify(scheme)}: use memory:, lmdb: or redis:`,
      )
  }
}
