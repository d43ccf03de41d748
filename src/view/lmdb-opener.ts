/** An executor's end of a view in LMDB. */
import type { EventEmitter } from 'node:events'
import { accessSync, constants, statSync } from 'node:fs'
import { join } from 'node:path'
import type { RootDatabase } from 'lmdb'
import { VirgaError } from '../errors.js'
import type { ViewOpener, ViewReader } from '../ports/view.js'
import { DATA_FILE, isEnvironment, keyEncoder, LOCK_FILE } from './lmdb-layout.js'
import { watchFiles } from './watch.js'

/** One environment must not be opened twice in one process: all connections of this one share it. */
interface Shared {
  readonly db: RootDatabase<Buffer, string>
  readonly readers: Set<() => void>
  readonly unwatch: () => void
  readonly lockBytes: number
  /** Counts the read transactions that were begun. */
  batch: number
}
const opened = new Map<string, Shared>()

/** Opens views that a node on this machine has made. The native package is loaded when it is first needed. */
export function lmdbOpener(): ViewOpener {
  return { open: openReader }
}

async function openReader(path: string, onDamaged: () => void): Promise<ViewReader> {
  let shared = opened.get(path)
  if (shared === undefined) {
    try {
      const { open } = await import('lmdb')
      // Another connection may have been as quick.
      shared = opened.get(path) ?? share(path, open)
    } catch (cause) {
      if (VirgaError.is(cause)) throw cause
      throw new VirgaError(
        'StorageUnavailable',
        `can't open the view in ${path}: ${(cause as Error).message}`,
        {
          cause,
        },
      )
    }
  }
  return new LmdbReader(path, shared, onDamaged)
}

function share(path: string, open: typeof import('lmdb').open): Shared {
  check(path)
  const readers = new Set<() => void>()
  const tell = (): void => {
    for (const one of [...readers]) one()
  }
  const db = open<Buffer, string>({
    path,
    noSubdir: false,
    encoding: 'binary',
    keyEncoder,
    cache: false,
    readOnly: true,
  })
  const shared = sharedOf(path, db, readers, tell)
  // lmdb-js renews its read transaction in a later turn, and in the turn of a timer that it had set before. It tells of each.
  ;(db as unknown as EventEmitter).on('begin-transaction', () => {
    shared.batch++
  })
  opened.set(path, shared)
  return shared
}

function sharedOf(path: string, db: Shared['db'], readers: Set<() => void>, tell: () => void): Shared {
  try {
    const lockBytes = statSync(join(path, LOCK_FILE)).size
    const unwatch = watchFiles([join(path, DATA_FILE), join(path, LOCK_FILE)], tell)
    return { db, readers, unwatch, lockBytes, batch: 0 }
  } catch (error) {
    // Else its memory stays in use for as long as this process lives.
    db.close().catch(() => undefined)
    throw error
  }
}

function isCutOff(file: string, bytes: number): boolean {
  try {
    return statSync(file).size < bytes
  } catch {
    // Deleted or renamed: it is whole.
    return false
  }
}

function check(path: string): void {
  const file = join(path, DATA_FILE)
  accessSync(file, constants.R_OK)
  accessSync(join(path, LOCK_FILE), constants.R_OK | constants.W_OK)
  if (!isEnvironment(file)) throw new VirgaError('StorageUnavailable', `${file} is no view`)
}

const NOTHING: Uint8Array = new Uint8Array(0)

class LmdbReader implements ViewReader {
  bytes: Uint8Array = NOTHING
  data: DataView = new DataView(NOTHING.buffer)
  readonly #path: string
  readonly #shared: Shared
  readonly #tell: () => void
  #found: Buffer | undefined
  #isClosed = false

  constructor(path: string, shared: Shared, onDamaged: () => void) {
    this.#path = path
    this.#shared = shared
    this.#tell = onDamaged
    shared.readers.add(this.#tell)
  }

  get batch(): number {
    return this.#shared.batch
  }

  refresh(): void {
    if (!this.#isClosed) this.#shared.db.resetReadTxn()
  }

  get(key: string): number {
    if (this.#isClosed) return -1
    // Nearly always one and the same buffer, larger than what is in it: its `length` alone tells of that.
    const found = this.#shared.db.getBinaryFast(key)
    if (found === undefined) return -1
    if (found !== this.#found) {
      this.#found = found
      this.bytes = new Uint8Array(found.buffer, found.byteOffset, found.byteLength)
      this.data = new DataView(found.buffer, found.byteOffset, found.byteLength)
    }
    return found.length
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    const { readers, unwatch, db, lockBytes } = this.#shared
    readers.delete(this.#tell)
    if (readers.size > 0) return
    unwatch()
    opened.delete(this.#path)
    // LMDB would clear its place in it: what is cut off would end this process.
    if (!isCutOff(join(this.#path, LOCK_FILE), lockBytes)) db.close().catch(() => undefined)
  }
}
