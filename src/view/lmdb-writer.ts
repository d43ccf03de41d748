/**
 * The node's end of a view, in LMDB. Measured (200-byte records, 2 cores, one synchronous write transaction a batch): with
 * `useWritemap` 2.9 µs for one record, 5.0 for three, 33 for 41; without it 10, 18 and 64, since each batch is then written
 * by system calls.
 *
 * A mapped file in memory has two traps. Where it has holes and memory runs out, touching one kills the process: so all of
 * it is filled in advance. And whoever truncates or overwrites it pulls the ground from under all who have it mapped: so
 * it may not be written through its name, and is watched. LMDB's own writes go through the map, which no watcher hears of.
 */
import { chmodSync, closeSync, mkdirSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { open, type RootDatabase } from 'lmdb'
import { VirgaError } from '../errors.js'
import type { ViewBatch, ViewWriter } from '../ports/view.js'
import { DATA_FILE, isEnvironment, keyEncoder } from './lmdb-layout.js'
import { watchFile } from './watch.js'

const READERS_MAX = 1_024
/** What a new environment takes before it has grown. */
const SEED_BYTES = 256 * 1024
const CHUNK_BYTES = 1024 * 1024
const MIB = 1024 * 1024
const CAPACITY_BYTES_MIN = 2 * MIB

/** Makes an empty view in a folder that must not exist. Throws `StorageUnavailable`. */
export function openLmdbWriter(path: string, bytesMax: number, onDamaged: () => void): ViewWriter {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    const capacityBytes = fill(path, bytesMax)
    const db = openEnvironment(path, capacityBytes)
    // The node writes through the map that it has.
    chmodSync(join(path, DATA_FILE), 0o400)
    return new LmdbWriter(path, capacityBytes, db, onDamaged)
  } catch (cause) {
    rmSync(path, { recursive: true, force: true })
    if (VirgaError.is(cause)) throw cause
    throw new VirgaError('StorageUnavailable', `no view in ${path}: ${(cause as Error).message}`, { cause })
  }
}

/** Empties a record of a view that an earlier process has left, and removes the view. Throws `StorageUnavailable` if it can't. */
export function retireLmdb(path: string, key: string): void {
  const file = join(path, DATA_FILE)
  try {
    if (isEnvironment(file)) {
      chmodSync(file, 0o600)
      const db = openEnvironment(path, statSync(file).size)
      db.transactionSync(() => {
        // Not removed: lmdb-js ends the process when it takes the last record out.
        db.putSync(key, Buffer.alloc(0))
      })
      db.close().catch(() => undefined)
    }
  } catch (cause) {
    throw new VirgaError('StorageUnavailable', `a view is left in ${path}: ${(cause as Error).message}`, {
      cause,
    })
  } finally {
    rmSync(path, { recursive: true, force: true })
  }
}

class LmdbWriter implements ViewWriter {
  readonly path: string
  readonly capacityBytes: number
  readonly #db: RootDatabase<Buffer, string>
  readonly #unwatch: () => void
  #isClosed = false

  constructor(path: string, capacityBytes: number, db: RootDatabase<Buffer, string>, onDamaged: () => void) {
    this.path = path
    this.capacityBytes = capacityBytes
    this.#db = db
    this.#unwatch = watchFile(join(path, DATA_FILE), onDamaged)
  }

  write(batch: ViewBatch): void {
    if (this.#isClosed) throw new VirgaError('Closed', 'the view is closed')
    try {
      this.#db.transactionSync(() => {
        for (const [key, value] of batch) {
          if (value === null) this.#db.removeSync(key)
          else this.#db.putSync(key, asBuffer(value))
        }
      })
    } catch (cause) {
      throw new VirgaError('LimitExceeded', `the view can't be written: ${(cause as Error).message}`, {
        cause,
      })
    }
  }

  releaseDead(): void {
    if (!this.#isClosed) this.#db.readerCheck()
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#unwatch()
    // Whoever has it mapped keeps it until they let go.
    rmSync(this.path, { recursive: true, force: true })
    this.#db.close().catch(() => undefined)
  }
}

/** Makes the file, of its full size and without holes: as large as may be, and as there is room for. */
function fill(path: string, bytesMax: number): number {
  const seed = openEnvironment(path, SEED_BYTES)
  void seed.close()
  const file = join(path, DATA_FILE)
  for (let bytes = bytesMax; bytes >= CAPACITY_BYTES_MIN; bytes = Math.floor(bytes / 2 / MIB) * MIB) {
    if (extend(file, bytes)) return bytes
  }
  throw new VirgaError(
    'StorageUnavailable',
    `there is no room for a view of ${CAPACITY_BYTES_MIN} bytes in ${path}`,
  )
}

function extend(file: string, bytes: number): boolean {
  const from = statSync(file).size
  const descriptor = openSync(file, 'r+')
  const zeros = Buffer.alloc(CHUNK_BYTES)
  try {
    for (let at = from; at < bytes; ) {
      const length = Math.min(CHUNK_BYTES, bytes - at)
      const written = writeSync(descriptor, zeros, 0, length, at)
      at += written
      if (written === 0) return false
    }
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOSPC' && code !== 'EDQUOT' && code !== 'EFBIG') throw error
    return false
  } finally {
    closeSync(descriptor)
  }
}

function openEnvironment(path: string, mapSize: number): RootDatabase<Buffer, string> {
  const before = process.umask(0o177)
  try {
    return open<Buffer, string>({
      path,
      noSubdir: false,
      encoding: 'binary',
      keyEncoder,
      cache: false,
      mapSize,
      maxReaders: READERS_MAX,
      useWritemap: true,
      // It is gone with the machine, and with the node.
      noSync: true,
      noMetaSync: true,
      overlappingSync: false,
    })
  } finally {
    process.umask(before)
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
