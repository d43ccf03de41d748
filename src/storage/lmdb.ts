/**
 * LMDB: the embedded default. One ordered map in a directory, for one process at a time: with several that write,
 * lmdb-js loses writes (docs/decisions/one-process-per-environment.md). Whoever opens it sees to that.
 *
 * Writes go to LMDB's own writer thread: all of an event turn, and all that arrive while it commits, are one LMDB
 * transaction and one sync. The main thread spends 1.1 to 2 µs on each, never takes the write lock and
 * never waits for a disk.
 *
 * Rejected, measured with 256 and 16 in flight on 2 cores (main thread per compare-and-swap, 300 bytes, no sync):
 * - one `transactionSync` for each turn: 2.2 and 4.0 µs against 1.1 and 2.1, and with sync it waits for fsync on the main
 *   thread (230 µs each with one in flight).
 * - asynchronous transactions with a callback: the writer thread, holding the write lock, waits for ours.
 * - lmdb-js's default `overlappingSync`: readers see what is not yet on disk, so a power cut could take back a decision
 *   that somebody was already told. Without it a commit is visible once it is on disk, and it was no slower
 *   (239,000/s against 185,000/s with 256 in flight).
 *
 * Compare-and-swap without a callback in the writer: each value carries a version that is never used again for another
 * value. From absent: put if there is no such key. From a value: read, compare, put if the version is still that one.
 *
 * Do not put it on a network file system.
 */
import { randomInt } from 'node:crypto'
import { open, type RootDatabase } from 'lmdb'
import { VirgaError } from '../errors.js'
import type {
  CompareAndSwapResult,
  ListedEntry,
  Storage,
  StorageEntry,
  StorageKey,
} from '../ports/storage.js'
import { GuardedStorage, type GuardLimits } from './guard.js'
import { classified, translated } from './lmdb-errors.js'
import { prepareDirectory } from './lmdb-files.js'
import { Timeouts } from './timeouts.js'
import { booleanOption, countOption, parseStorageUrl, sizeOption } from './url.js'

export interface LmdbStorageOptions extends GuardLimits {
  /** A directory. Made, with mode 0700, where it is missing. */
  readonly path: string
  /** Wait for the disk before a write is acknowledged. Default true. False: a crash of the machine may lose or damage data. */
  readonly sync?: boolean
  /** Address space reserved at the start. Not a limit: the map grows as long as the disk does. Default 4 GiB. */
  readonly mapSizeBytes?: number
  /** After which a write fails with an unknown outcome. Default 5,000 ms. */
  readonly operationTimeoutMs?: number
}

/**
 * Opens or creates the environment. One process at a time may have it open; the caller sees to that.
 *
 * @throws VirgaError `StorageUnavailable` (no access, no space), `StorageCorrupt` (not an environment of virga),
 * `InvalidArgument` (this process has it open with another `sync`)
 */
export async function openLmdbStorage(options: LmdbStorageOptions): Promise<Storage> {
  const sync = options.sync ?? true
  let release: (() => void) | undefined
  try {
    const path = prepareDirectory(options.path)
    release = claim(path, sync)
    // For its user alone, also in a folder that others may enter: the key that contexts are signed with lies there too.
    const before = process.umask(0o177)
    let db: RootDatabase<Buffer, Buffer>
    try {
      db = open<Buffer, Buffer>({
        path,
        // Otherwise a name with a dot in it is taken for a file.
        noSubdir: false,
        encoding: 'binary',
        keyEncoding: 'binary',
        useVersions: true,
        overlappingSync: false,
        noSync: !sync,
        mapSize: options.mapSizeBytes ?? MAP_SIZE_BYTES_DEFAULT,
        maxReaders: READERS_MAX,
      })
    } finally {
      process.umask(before)
    }
    await checkFormat(db, path)
    return new LmdbStorage(db, sync, options, release)
  } catch (error) {
    release?.()
    throw await translated(error, `cannot open LMDB in ${options.path}`, 'definite')
  }
}

/** Parses `lmdb:PATH`, with `?sync=false`, `?mapSize=64g` and `?timeoutMs=5000`. Throws `InvalidArgument`. */
export function parseLmdbUrl(url: URL | string): LmdbStorageOptions {
  const { rest, take, done } = parseStorageUrl(url, ['lmdb:'])
  const sync = booleanOption(take, 'sync')
  const mapSizeBytes = sizeOption(take, 'mapSize')
  const operationTimeoutMs = countOption(take, 'timeoutMs')
  done()
  // lmdb:///var/lib/virga is what a URL would look like, lmdb:./data is what people write.
  const path = decodeURIComponent(rest.startsWith('///') ? rest.slice(2) : rest)
  if (path === '') throw new VirgaError('InvalidArgument', 'lmdb: needs a path, such as lmdb:./virga-data')
  return {
    path,
    ...(sync === undefined ? {} : { sync }),
    ...(mapSizeBytes === undefined ? {} : { mapSizeBytes }),
    ...(operationTimeoutMs === undefined ? {} : { operationTimeoutMs }),
  }
}

const MAP_SIZE_BYTES_DEFAULT = 4 * 1024 ** 3
const OPERATION_TIMEOUT_MS_DEFAULT = 5_000
const READERS_MAX = 512
/** Above 300,000 lmdb-js blocks the main thread to slow its caller down. */
const WRITES_UNDER_WAY_MAX = 200_000
/** Reads and listed entries in one go of the main thread, about 1 ms. */
const READ_CHUNK = 2_000
const PAGE_ENTRIES = 1_000
const PAGE_BYTES = 8 * 1024 * 1024
/** Each lost attempt is a write of someone else that took effect. */
const SWAP_ATTEMPTS_MAX = 10_000
/** No bucket begins with NUL, so this is nobody's key. */
const FORMAT_KEY = Buffer.from('\0virga')
const FORMAT = Buffer.from('1')

class LmdbStorage extends GuardedStorage {
  readonly durability: string
  readonly #db: RootDatabase<Buffer, Buffer>
  readonly #timeouts: Timeouts
  readonly #release: () => void
  #underWay = 0
  #covering = false
  /** Random at the start, so that no two processes give one version to two values. */
  #version = randomInt(1, 2 ** 47) * 32

  constructor(
    db: RootDatabase<Buffer, Buffer>,
    sync: boolean,
    options: LmdbStorageOptions,
    release: () => void,
  ) {
    super(options)
    this.#db = db
    this.#release = release
    this.#timeouts = new Timeouts(options.operationTimeoutMs ?? OPERATION_TIMEOUT_MS_DEFAULT)
    this.durability = sync
      ? 'lmdb with fsync: commits survive crashes of the process and of the machine'
      : 'lmdb without fsync: commits survive a crash of the process; a crash of the machine may lose or damage the data'
  }

  protected override async read(keys: readonly StorageKey[]): Promise<(Uint8Array | undefined)[]> {
    const found: (Uint8Array | undefined)[] = []
    for (let from = 0; from < keys.length; from += READ_CHUNK) {
      if (from > 0) await nextTurn()
      const to = Math.min(from + READ_CHUNK, keys.length)
      this.#fresh(() => {
        for (let n = from; n < to; n += 1) found.push(plain(this.#db.getBinary(encodeKey(keys[n]!))))
      })
    }
    return found
  }

  protected override async write(entries: readonly StorageEntry[]): Promise<void> {
    for (let from = 0; from < entries.length; from += READ_CHUNK) {
      const chunk = entries.slice(from, from + READ_CHUNK)
      await this.#submit(chunk.length, () =>
        Promise.all(
          chunk.map((entry) => this.#db.put(encodeKey(entry), Buffer.from(entry.value), this.#nextVersion())),
        ),
      )
    }
  }

  protected override async remove(keys: readonly StorageKey[]): Promise<void> {
    for (let from = 0; from < keys.length; from += READ_CHUNK) {
      const chunk = keys.slice(from, from + READ_CHUNK)
      await this.#submit(chunk.length, () => Promise.all(chunk.map((key) => this.#db.remove(encodeKey(key)))))
    }
  }

  protected override async swap(
    key: StorageKey,
    expected: Uint8Array | undefined,
    next: Uint8Array | undefined,
  ): Promise<CompareAndSwapResult> {
    const encoded = encodeKey(key)
    // A copy: after a time-out the caller may change its array while the writer thread still reads it.
    const value = next === undefined ? undefined : Buffer.from(next)
    for (let attempt = 1; attempt <= SWAP_ATTEMPTS_MAX; attempt += 1) {
      if (expected === undefined && value !== undefined) {
        const put = await this.#submit(1, () => this.#db.put(encoded, value, this.#nextVersion(), IF_ABSENT))
        if (put) return { swapped: true }
      }
      const standing = this.#fresh(() => this.#db.getEntry(encoded))
      if (standing === undefined) {
        if (expected !== undefined) return { swapped: false, current: undefined }
        if (value === undefined) return { swapped: true }
        continue // Deleted since the put found it.
      }
      const { value: current, version } = standing
      if (expected === undefined || Buffer.compare(current, expected) !== 0)
        return { swapped: false, current: plain(current) }
      const swapped = await this.#submit(1, () =>
        value === undefined
          ? this.#db.remove(encoded, version!)
          : this.#db.put(encoded, value, this.#nextVersion(), version),
      )
      if (swapped) return { swapped: true }
    }
    throw new VirgaError('StorageUnavailable', `a swap that others overtook ${SWAP_ATTEMPTS_MAX} times`)
  }

  protected override async *pages(bucket: string, values: boolean): AsyncGenerator<readonly ListedEntry[]> {
    const prefixBytes = bucket.length + 1
    const end = Buffer.from(`${bucket}\x01`)
    let start = Buffer.from(`${bucket}\0`)
    for (;;) {
      const page: ListedEntry[] = []
      let bytes = 0
      this.#fresh(() => {
        for (const key of this.#db.getKeys({ start, end, limit: PAGE_ENTRIES })) {
          const id = key.toString('utf8', prefixBytes)
          const value = values ? plain(this.#db.getBinary(key)) : undefined
          page.push(value === undefined ? { id } : { id, value })
          bytes += key.byteLength + (value?.byteLength ?? 0)
          // The next key in this order.
          start = Buffer.concat([key, NUL])
          if (bytes >= PAGE_BYTES) break
        }
      })
      if (page.length > 0) yield page
      if (page.length < PAGE_ENTRIES && bytes < PAGE_BYTES) return
      await nextTurn()
    }
  }

  protected override async shut(): Promise<void> {
    try {
      await this.#timeouts.bound(
        Promise.resolve(this.#db.close()),
        () => new VirgaError('StorageUnavailable', 'LMDB did not close in time', { outcome: 'indefinite' }),
      )
    } catch (error) {
      throw await translated(error, 'closing LMDB', 'indefinite')
    } finally {
      this.#release()
    }
  }

  /** Reads what is committed now: LMDB would go on with the snapshot of this event turn. */
  #fresh<T>(read: () => T): T {
    try {
      this.#db.resetReadTxn()
      return read()
    } catch (error) {
      throw classified(error, 'reading from LMDB', 'definite')
    }
  }

  async #submit<T>(count: number, start: () => Promise<T>): Promise<T> {
    if (this.#underWay + count > WRITES_UNDER_WAY_MAX) {
      throw new VirgaError('StorageUnavailable', `LMDB has ${this.#underWay} writes under way`)
    }
    this.#underWay += count
    try {
      const written = start()
      this.#coverBatch()
      const settled = written.finally(() => {
        this.#underWay -= count
      })
      return await this.#timeouts.bound(settled, this.#late)
    } catch (error) {
      throw await translated(error, 'writing to LMDB', 'indefinite')
    }
  }

  /**
   * lmdb-js makes one promise more for each event turn with writes, which nobody sees and which rejects with them: as an
   * unhandled rejection it would end the process when the disk is full. It is there once lmdb-js's own task of this
   * turn, set by the first write, has run.
   */
  #coverBatch(): void {
    if (this.#covering) return
    this.#covering = true
    setImmediate(() => {
      this.#covering = false
      // It calls what it is given without looking whether that is a function.
      this.#db.committed.then(
        () => {},
        () => {},
      )
    })
  }

  readonly #late = (): VirgaError =>
    new VirgaError('StorageUnavailable', `LMDB wrote nothing for ${this.#timeouts.timeoutMs} ms`, {
      outcome: 'indefinite',
    })

  #nextVersion(): number {
    this.#version += 1
    return this.#version
  }
}

/** lmdb-js reads null as "only where there is no such key"; its types don't know that. */
const IF_ABSENT = null as unknown as number
const NUL = Buffer.from([0])

/** Sorts by bucket, then id, and nothing of another bucket lies between: no bucket holds a NUL. */
function encodeKey(key: StorageKey): Buffer {
  return Buffer.from(`${key.bucket}\0${key.id}`)
}

/** Not a Buffer, as of no engine: whoever compares or prints would tell them apart. */
function plain<T extends Buffer | undefined>(value: T): Uint8Array | (T & undefined) {
  return (
    value === undefined ? undefined : new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  ) as Uint8Array | (T & undefined)
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

/** lmdb-js gives an environment that this process has open already, with the flags it was opened with. */
const openHere = new Map<string, { readonly sync: boolean; count: number }>()

function claim(path: string, sync: boolean): () => void {
  const held = openHere.get(path) ?? { sync, count: 0 }
  if (held.sync !== sync) {
    throw new VirgaError('InvalidArgument', `LMDB in ${path} is open in this process with sync=${held.sync}`)
  }
  held.count += 1
  openHere.set(path, held)
  return () => {
    held.count -= 1
    if (held.count === 0) openHere.delete(path)
  }
}

async function checkFormat(db: RootDatabase<Buffer, Buffer>, path: string): Promise<void> {
  let format = db.get(FORMAT_KEY)
  if (format === undefined) {
    if (db.getKeysCount({ limit: 1 }) > 0) {
      await db.close()
      throw new VirgaError('StorageCorrupt', `LMDB in ${path} holds data that is not of virga`)
    }
    await db.put(FORMAT_KEY, FORMAT, 1, IF_ABSENT)
    db.resetReadTxn()
    format = db.get(FORMAT_KEY)
  }
  if (format === undefined || !FORMAT.equals(format)) {
    await db.close()
    throw new VirgaError(
      'StorageCorrupt',
      `LMDB in ${path} has format ${format?.toString()}, this version reads ${FORMAT}`,
    )
  }
}
