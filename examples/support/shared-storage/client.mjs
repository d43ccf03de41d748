// @ts-check
/**
 * Storage that another process has open (server.mjs). The connection is made again when it is asked for next; what was
 * under way when it broke, or got no answer in time, may have taken effect, and is told as such.
 *
 * @typedef {import('../../../src/ports/storage.js').StorageKey} StorageKey
 * @typedef {import('../../../src/ports/storage.js').StorageEntry} StorageEntry
 * @typedef {import('../../../src/ports/storage.js').CompareAndSwapResult} CompareAndSwapResult
 * @typedef {{ resolve: (value: any) => void, reject: (error: Error) => void }} Waiting
 * @typedef {{ socket: import('node:net').Socket, send: (message: readonly unknown[]) => void }} Connection
 */
import { once } from 'node:events'
import { createConnection } from 'node:net'
import { VirgaError } from 'virga'
import { receive, sender } from './frames.mjs'

const TIMEOUT_MS = 5_000
/** Requests without an answer. */
const WAITING_MAX = 16_384

// The checks that every engine of virga's makes. They are no part of its public surface.
/** @type {typeof import('../../../src/storage/guard.js')} */
const { GuardedStorage } = await import(new URL('../../../dist/storage/guard.js', import.meta.url).href)

/** @param {string} path of the server's socket */
export async function connectStorage(path) {
  const remote = new Remote(path)
  const durability = await remote.ask(READS, 'durability')
  return new SharedStorage(remote, durability)
}

/** Whether a request that got no answer may have taken effect. */
const READS = 'definite'
const WRITES = 'indefinite'

class SharedStorage extends GuardedStorage {
  /** @override @readonly @type {string} */
  durability
  /** @type {Remote} */
  #remote

  /** @param {Remote} remote @param {string} durability */
  constructor(remote, durability) {
    super()
    this.#remote = remote
    this.durability = durability
  }

  /** @protected @override @param {readonly StorageKey[]} keys @returns {Promise<(Uint8Array | undefined)[]>} */
  async read(keys) {
    /** @type {(Uint8Array | null)[]} */
    const values = await this.#remote.ask(READS, 'get', keys)
    return values.map(bytesOf)
  }

  /** @protected @override @param {readonly StorageEntry[]} entries */
  async write(entries) {
    await this.#remote.ask(WRITES, 'put', entries)
  }

  /**
   * @protected @override @param {StorageKey} key @param {Uint8Array | undefined} expected
   * @param {Uint8Array | undefined} next @returns {Promise<CompareAndSwapResult>}
   */
  async swap(key, expected, next) {
    const [swapped, current] = await this.#remote.ask(WRITES, 'swap', key, expected ?? null, next ?? null)
    return swapped ? { swapped } : { swapped, current: bytesOf(current) }
  }

  /** @protected @override @param {readonly StorageKey[]} keys */
  async remove(keys) {
    await this.#remote.ask(WRITES, 'delete', keys)
  }

  /** @protected @override @param {string} bucket @param {boolean} values */
  async *pages(bucket, values) {
    const number = this.#remote.nextNumber
    let [page, more] = await this.#remote.ask(READS, 'list', bucket, values)
    try {
      for (;;) {
        yield page.map((/** @type {[string, Uint8Array | null]} */ [id, value]) =>
          value === null ? { id } : { id, value: /** @type {Uint8Array} */ (bytesOf(value)) },
        )
        if (!more) return
        ;[page, more] = await this.#remote.ask(READS, 'page', number)
      }
    } finally {
      if (more) this.#remote.ask(READS, 'drop', number).catch(() => undefined)
    }
  }

  /** @protected @override */
  async shut() {
    this.#remote.close()
  }
}

/** A connection that is made when it is needed, and what waits for an answer on it. */
class Remote {
  /** @type {string} */
  #path
  /** @type {Connection | undefined} */
  #connection
  /** @type {Promise<Connection> | undefined} */
  #connecting
  /** @type {Map<number, Waiting>} */
  #waiting = new Map()
  #numbers = 0

  /** @param {string} path */
  constructor(path) {
    this.#path = path
  }

  /** Of the request that is made next. */
  get nextNumber() {
    return this.#numbers + 1
  }

  /**
   * @param {'definite' | 'indefinite'} unanswered @param {string} operation @param {unknown[]} args
   * @returns {Promise<any>}
   */
  async ask(unanswered, operation, ...args) {
    const number = ++this.#numbers
    if (this.#waiting.size >= WAITING_MAX) {
      throw unavailable(`${WAITING_MAX} requests to the storage process are under way`)
    }
    const { send } = this.#connection ?? (await this.#connect())
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(number)
        reject(unavailable(`the storage process gave no answer in ${TIMEOUT_MS} ms`, unanswered))
      }, TIMEOUT_MS)
      this.#waiting.set(number, {
        resolve(value) {
          clearTimeout(timer)
          resolve(value)
        },
        reject(error) {
          clearTimeout(timer)
          // The connection broke: only who asked knows what that means for what was asked.
          reject(VirgaError.is(error) ? error : unavailable(error.message, unanswered))
        },
      })
      try {
        send([number, operation, ...args])
      } catch (error) {
        this.#take([number, null, ['LimitExceeded', String(error), 'definite']])
      }
    })
  }

  close() {
    this.#connection?.socket.destroy()
  }

  #connect() {
    this.#connecting ??= this.#dial().finally(() => {
      this.#connecting = undefined
    })
    return this.#connecting
  }

  async #dial() {
    const socket = createConnection(this.#path)
    try {
      await once(socket, 'connect')
    } catch (cause) {
      throw unavailable(`the storage process can't be reached: ${/** @type {Error} */ (cause).message}`)
    }
    const connection = { socket, send: sender(socket) }
    this.#connection = connection
    receive(socket, (message) => this.#take(message))
    let why = 'the storage process has closed it'
    socket.on('error', ({ message }) => {
      why = message
    })
    socket.on('close', () => {
      this.#connection = undefined
      const broke = new Error(`the connection to the storage process broke: ${why}`)
      for (const { reject } of this.#waiting.values()) reject(broke)
      this.#waiting.clear()
    })
    return connection
  }

  /** @param {any[]} message */
  #take([number, value, error]) {
    const waiting = this.#waiting.get(number)
    // The answer to what was given up comes too late.
    if (waiting === undefined) return
    this.#waiting.delete(number)
    if (error === undefined) return waiting.resolve(value)
    const [code, text, outcome] = error
    waiting.reject(new VirgaError(code, text, { outcome }))
  }
}

/** @param {string} message @param {'definite' | 'indefinite'} [outcome] */
function unavailable(message, outcome = 'definite') {
  return new VirgaError('StorageUnavailable', message, { outcome })
}

/** A part of a frame would keep all of it. @param {Uint8Array | null} bytes */
function bytesOf(bytes) {
  return bytes === null ? undefined : new Uint8Array(bytes)
}
