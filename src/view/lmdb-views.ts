import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, readdirSync, readFileSync, statfsSync } from 'node:fs'
import { userInfo } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { VirgaError } from '../errors.js'
import type { Processes, ProcessIdentity } from '../ports/processes.js'
import type { Random } from '../ports/random.js'
import type { Views } from '../ports/view.js'
import { OWNER_FILE } from './lmdb-layout.js'
import { openLmdbWriter, retireLmdb } from './lmdb-writer.js'

const TMPFS = 0x01021994
/** Two views never have one name. */
const NAME_BYTES = 6
const VIEW_NAME = /-[0-9a-f]{12}-[0-9a-f]{12}$/
const SHARED_MEMORY = '/dev/shm'

export interface LmdbViewsOptions {
  /** Path of the node's socket, which this process has the lock of. */
  readonly socket: string
  readonly bytesMax: number
  readonly random: Random
  readonly processes: Processes
  /** Of the record by which readers tell whether a view is kept up. */
  readonly headKey: string
}

/**
 * Views in memory: beside the socket where that lies in memory, as in a runtime folder, and can be seen by containers that
 * mount it; else in /dev/shm; else beside the socket all the same. What dead nodes of other sockets left, which nobody
 * may start again, is removed.
 */
export function lmdbViews({ socket, bytesMax, random, processes, headKey }: LmdbViewsOptions): Views {
  const folder = placeOf(dirname(socket))
  const mark = createHash('sha256').update(socket).digest('hex').slice(0, 12)
  const prefix = `${basename(socket)}-${mark}-`
  for (const name of namesIn(folder))
    if (!name.startsWith(prefix) && isLeft(join(folder, name), processes))
      removeLeft(join(folder, name), headKey)
  return {
    retire(key) {
      const left = namesIn(folder).filter((name) => name.startsWith(prefix))
      for (const name of left) retireLmdb(join(folder, name), key)
    },
    create(onDamaged) {
      makePrivate(folder)
      const name = prefix + Buffer.from(random.bytes(NAME_BYTES)).toString('hex')
      return openLmdbWriter(join(folder, name), { bytesMax, owner: processes.self(), onDamaged })
    },
  }
}

/**
 * Readers are told first, as its own node would do that is started again: it finds nothing more to tell of. What can't be removed is
 * left: it is none of this node's, and somebody else may be at it.
 */
function removeLeft(path: string, headKey: string): void {
  try {
    retireLmdb(path, headKey)
  } catch {
    // Who starts next looks again.
  }
}

/** Of a node that is known to be dead. */
function isLeft(path: string, processes: Processes): boolean {
  if (!VIEW_NAME.test(path)) return false
  try {
    const owner = JSON.parse(readFileSync(join(path, OWNER_FILE), 'utf8')) as ProcessIdentity
    return processes.isAlive(owner) === false
  } catch {
    // It is being made, or removed, or is none.
    return false
  }
}

/** Others may make folders in /dev/shm as well. */
function makePrivate(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const stat = lstatSync(folder)
  if (stat.isDirectory() && stat.uid === userInfo().uid && (stat.mode & 0o022) === 0) return
  throw new VirgaError('StorageUnavailable', `${folder} is open to others: there is no view in it`)
}

function placeOf(besideSocket: string): string {
  if (isMemory(besideSocket)) return besideSocket
  if (isMemory(SHARED_MEMORY)) return join(SHARED_MEMORY, `virga-${userInfo().uid}`)
  return besideSocket
}

function isMemory(path: string): boolean {
  try {
    return statfsSync(path).type === TMPFS
  } catch {
    return false
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
