/**
 * The node's end of a view, in LMDB. Measured (200-byte records, 2 cores, one synchronous write transaction a batch): with
 * `useWritemap` 2.9 µs for one record, 5.0 for three, 33 for 41; without it 10, 18 and 64, since each batch is then written
 * by system calls.
 *
 * A mapped file in memory has two traps. Where it has holes and memory runs out, touching one kills the process: so all of
 * it is filled in advance, and LMDB makes none where there is no room to begin with. And whoever truncates or overwrites it
 * pulls the ground from under all who have it mapped: so it may not be written through its name, and is watched. LMDB's own
 * writes go through the map, which no watcher hears of.
 */
import {
  chmodSync,
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { open, type RootDatabase } from 'lmdb'
import { VirgaError } from '../errors.js'
import type { ProcessIdentity } from '../ports/processes.js'
import type { ViewBatch, ViewWriter } from '../ports/view.js'
import { DATA_FILE, isEnvironment, keyEncoder, LOCK_FILE, OWNER_FILE } from './lmdb-layout.js'
import { watchFiles } from './watch.js'

const READERS_MAX = 1_024
/** What a new environment takes before it has grown. */
const SEED_BYTES = 256 * 1024
const CHUNK_BYTES = 1024 * 1024
const MIB = 1024 * 1024
const FILE_BYTES_MIN = 2 * MIB
/** Of the file, the rest is for what records that come and go leave half empty, and for a batch beside what it replaces. */
const CAPACITY_PART = 0.8
const BATCHES_BYTES = MIB
const PAGE_BYTES = 4_096
/** Where LMDB's magic and version are. */
const DATA_MARK = 24
const LOCK_MARK = 0
const MARK_BYTES = 8
const RESERVED_PAGES = 32
/** What a batch may take beside its records: branches, and the pages that tell which are free. */
const BATCH_PAGES = 16
/** Of a new record: its leaf, copied and split. */
const RECORD_PAGES = 2
/** Long keys make more branches. */
const KEY_PAGE_CHARS = 128

export interface LmdbWriterOptions {
  /** Of the file. */
  readonly bytesMax: number
  readonly owner: ProcessIdentity
  readonly onDamaged: () => void
}

type Owner = ProcessIdentity & { readonly bytes?: number }

/** Makes an empty view in a folder that must not exist. Throws `StorageUnavailable`. */
export function openLmdbWriter(path: string, { bytesMax, owner, onDamaged }: LmdbWriterOptions): ViewWriter {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    // At once, so that it is not left for good by a process that dies over it.
    writeOwner(path, owner)
    checkRoom(path)
    const bytes = fill(path, bytesMax)
    writeOwner(path, { ...owner, bytes })
    // Not later: where a process closes a file, it loses the locks that it has on it, and LMDB's with them.
    const lockLooks = looksOf(join(path, LOCK_FILE), LOCK_MARK)
    const db = openEnvironment(path, bytes)
    try {
      // The node writes through the map that it has.
      chmodSync(join(path, DATA_FILE), 0o400)
      return new LmdbWriter(path, bytes, lockLooks, db, onDamaged)
    } catch (error) {
      // Else its memory stays in use, though nobody can find it.
      db.close().catch(() => undefined)
      throw error
    }
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
      const { size } = statSync(file)
      const { bytes } = JSON.parse(readFileSync(join(path, OWNER_FILE), 'utf8')) as Owner
      // It was never ready, and nobody was told of it.
      if (bytes === undefined) return
      if (size !== bytes) throw new Error(`${size} bytes are left of ${bytes}`)
      chmodSync(file, 0o600)
      const db = openEnvironment(path, size)
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
  readonly #room: Room
  readonly #lockLooks: string
  readonly #dataLooks: string
  readonly #unwatch: () => void
  #isClosed = false

  constructor(
    path: string,
    bytes: number,
    lockLooks: string,
    db: RootDatabase<Buffer, string>,
    onDamaged: () => void,
  ) {
    this.path = path
    this.capacityBytes = Math.floor(bytes * CAPACITY_PART) - BATCHES_BYTES
    this.#db = db
    this.#room = new Room(db, bytes)
    this.#lockLooks = lockLooks
    this.#dataLooks = looksOf(join(path, DATA_FILE), DATA_MARK)
    this.#unwatch = watchFiles([join(path, DATA_FILE), join(path, LOCK_FILE)], onDamaged)
  }

  write(batch: ViewBatch): void {
    if (this.#isClosed) throw new VirgaError('Closed', 'the view is closed')
    if (!this.#room.take(batch)) throw new VirgaError('LimitExceeded', 'the view is full')
    try {
      this.#put(batch)
    } catch (cause) {
      throw new VirgaError('LimitExceeded', `the view can't be written: ${(cause as Error).message}`, {
        cause,
      })
    }
  }

  releaseDead(): void {
    if (!this.#isClosed) this.#db.readerCheck()
  }

  close(last?: ViewBatch): boolean {
    if (this.#isClosed) return false
    this.#isClosed = true
    this.#unwatch()
    try {
      // What somebody has written over, or cut off, must not be touched: it would end this process.
      if (!this.#isIntact()) return false
      if (last !== undefined) this.#put(last)
      this.#db.close().catch(() => undefined)
      return last !== undefined
    } catch {
      return false
    } finally {
      // Whoever has it mapped keeps it until they let go.
      rmSync(this.path, { recursive: true, force: true })
    }
  }

  #isIntact(): boolean {
    return (
      isIntact(join(this.path, DATA_FILE), DATA_MARK, this.#dataLooks) &&
      isIntact(join(this.path, LOCK_FILE), LOCK_MARK, this.#lockLooks)
    )
  }

  #put(batch: ViewBatch): void {
    this.#db.transactionSync(() => {
      for (const [key, value] of batch) {
        if (value === null) this.#db.removeSync(key)
        else this.#db.putSync(key, asBuffer(value))
      }
    })
  }
}

/** Of a file that only its map should be written through: its size, and bytes that LMDB never changes. Its time moves with the map. */
function looksOf(path: string, markAt: number): string {
  const mark = Buffer.alloc(MARK_BYTES)
  const descriptor = openSync(path, 'r')
  try {
    readSync(descriptor, mark, 0, mark.length, markAt)
    return `${fstatSync(descriptor).size} ${mark.toString('hex')}`
  } finally {
    closeSync(descriptor)
  }
}

/** What was deleted or renamed is whole. */
function isIntact(path: string, markAt: number, looks: string): boolean {
  try {
    return looksOf(path, markAt) === looks
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT'
  }
}

/**
 * The pages that are left. lmdb-js never says that a map is full: it makes the file larger, beyond what was asked for, and
 * with holes in it. So a batch is refused that might need more pages than the file has. It is asked how many are in use
 * when as many may have been taken since as there were left.
 */
class Room {
  readonly #db: RootDatabase<Buffer, string>
  readonly #pages: number
  #left = 0

  constructor(db: RootDatabase<Buffer, string>, bytes: number) {
    this.#db = db
    // The rest is for the last batch, which is not refused.
    this.#pages = Math.floor(bytes / PAGE_BYTES) - RESERVED_PAGES
  }

  take(batch: ViewBatch): boolean {
    let pages = BATCH_PAGES
    for (const [key, value] of batch) {
      pages += 1 + Math.floor(key.length / KEY_PAGE_CHARS)
      if (value !== null) pages += RECORD_PAGES - 1 + Math.floor(value.length / PAGE_BYTES)
    }
    if (pages > this.#left) this.#left = this.#pages - this.#lastPage()
    if (pages > this.#left) return false
    this.#left -= pages
    return true
  }

  #lastPage(): number {
    const { env } = this.#db as unknown as { readonly env: { info(): { readonly lastPageNumber: number } } }
    return env.info().lastPageNumber
  }
}

function writeOwner(path: string, owner: Owner): void {
  writeFileSync(join(path, OWNER_FILE), JSON.stringify(owner), { mode: 0o600 })
}

/** LMDB makes files with holes and touches them at once. What it needs for that is many times less. */
function checkRoom(path: string): void {
  const room = join(path, 'room')
  writeFileSync(room, '')
  const isThere = extend(room, FILE_BYTES_MIN)
  rmSync(room)
  if (!isThere) throw noRoom(path)
}

function noRoom(path: string): VirgaError {
  return new VirgaError(
    'StorageUnavailable',
    `there is no room for a view of ${FILE_BYTES_MIN} bytes in ${path}`,
  )
}

/** Makes the file, of its full size and without holes: as large as may be, and as there is room for. */
function fill(path: string, bytesMax: number): number {
  const seed = openEnvironment(path, SEED_BYTES)
  void seed.close()
  const file = join(path, DATA_FILE)
  for (const made of [file, join(path, LOCK_FILE)]) fillHoles(made)
  for (let bytes = bytesMax; bytes >= FILE_BYTES_MIN; bytes = Math.floor(bytes / 2 / MIB) * MIB) {
    if (extend(file, bytes)) return bytes
    // Others may need the room that is not enough.
    truncateSync(file, SEED_BYTES)
  }
  throw noRoom(path)
}

/** What LMDB made, it only gave a size. */
function fillHoles(file: string): void {
  const bytes = readFileSync(file)
  const descriptor = openSync(file, 'r+')
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at, bytes.length - at, at)
  } finally {
    closeSync(descriptor)
  }
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
