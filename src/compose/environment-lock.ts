import { closeSync, mkdirSync, openSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { VirgaError } from '../errors.js'
import { acquireLock, type Lock } from '../platform/lock.js'

const LOCK_NAME = 'virga.lock'
/** The path of a local socket has about 104 bytes. */
const PATH_BYTES_MAX = 98

/**
 * Keeps an LMDB environment to one process. lmdb-js (2.9 to 3.5) loses acknowledged writes where several processes write to
 * one environment, though LMDB itself has a lock for that: docs/decisions/one-process-per-environment.md.
 *
 * Throws `Busy` if another node has it, `StorageUnavailable` if the folder can't be used.
 */
export async function lockEnvironment(path: string): Promise<Lock> {
  const folder = resolve(path)
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  } catch (cause) {
    const why = (cause as Error).message
    throw new VirgaError('StorageUnavailable', `can't make the folder ${folder}: ${why}`, { cause })
  }
  const short = shortPath(folder)
  try {
    const lock = await acquireLock(join(short.path, LOCK_NAME))
    return { release: () => lock.release().finally(short.close) }
  } catch (error) {
    short.close()
    if (!VirgaError.is(error)) throw error
    if (error.code !== 'Busy') throw new VirgaError('StorageUnavailable', error.message, { cause: error })
    throw new VirgaError(
      'Busy',
      `another node has the data in ${folder} open: stop it, or choose another folder`,
      {
        cause: error,
      },
    )
  }
}

/** On Linux a folder that is open has a short path as well. */
function shortPath(folder: string): { readonly path: string; readonly close: () => void } {
  const fits = Buffer.byteLength(join(folder, LOCK_NAME)) <= PATH_BYTES_MAX
  if (fits || process.platform !== 'linux') return { path: folder, close() {} }
  const descriptor = openSync(folder, 'r')
  return { path: `/proc/self/fd/${descriptor}`, close: () => closeSync(descriptor) }
}
