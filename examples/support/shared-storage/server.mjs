// @ts-check
/**
 * One process opens a storage engine and serves it to others on this machine, over a local socket. For demos and tests
 * alone: LMDB belongs to one process, and the cluster demo wants three nodes on it with nothing installed. For production,
 * that is what Redis or Valkey is there for.
 *
 * A request is `[number, operation, ...arguments]`, an answer `[number, value]` or `[number, null, error]`.
 *
 * @typedef {import('../../../src/ports/storage.js').Storage} Storage
 * @typedef {import('../../../src/ports/storage.js').ListedEntry} ListedEntry
 */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { VirgaError } from 'virga'
import { receive, sender } from './frames.mjs'

const PAGE_ENTRIES_MAX = 1_000
const PAGE_BYTES_MAX = 4 * 1024 * 1024
/** Listings of one client that are under way. */
const LISTINGS_MAX = 64

/** Serves until `close`, which leaves the storage open.
 *
 * @param {Storage} storage @param {string} path of the socket
 */
export async function serveStorage(storage, path) {
  /** @type {Set<import('node:net').Socket>} */
  const sockets = new Set()
  const server = createServer((socket) => {
    sockets.add(socket)
    const client = new Client(storage)
    const send = sender(socket)
    // Whoever is gone gets no answer. What it asked for is done all the same: it was told of an unknown outcome.
    const answer = (/** @type {readonly unknown[]} */ message) => {
      if (socket.writable) send(message)
    }
    receive(socket, ([number, operation, ...args]) => {
      client
        .perform(number, operation, args)
        .then((value) => answer([number, value]))
        .catch((error) => answer([number, null, told(error)]))
    })
    socket.on('error', (error) => {
      // A client that was killed is nothing new; a message that can't be read is.
      if (!('code' in error)) console.error('a storage connection was given up:', error)
    })
    socket.on('close', () => {
      sockets.delete(socket)
      client.close()
    })
  })
  server.listen(path)
  await once(server, 'listening')
  return {
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** What one client has under way. */
class Client {
  /** @type {Storage} */
  #storage
  /** @type {Map<number, AsyncIterator<ListedEntry>>} */
  #listings = new Map()

  /** @param {Storage} storage */
  constructor(storage) {
    this.#storage = storage
  }

  /** @param {number} number @param {string} operation @param {any[]} args @returns {Promise<unknown>} */
  async perform(number, operation, args) {
    switch (operation) {
      case 'durability':
        return this.#storage.durability
      case 'get':
        return (await this.#storage.get(args[0])).map((value) => value ?? null)
      case 'put':
        return this.#storage.put(args[0])
      case 'swap': {
        const [key, expected, next] = args
        const result = await this.#storage.compareAndSwap(key, expected ?? undefined, next ?? undefined)
        return result.swapped ? [true, null] : [false, result.current ?? null]
      }
      case 'delete':
        return this.#storage.delete(args[0])
      case 'list': {
        if (this.#listings.size >= LISTINGS_MAX) {
          throw new VirgaError('StorageUnavailable', `${LISTINGS_MAX} listings are under way`)
        }
        const [bucket, values] = args
        this.#listings.set(number, this.#storage.list(bucket, { values })[Symbol.asyncIterator]())
        return this.#page(number)
      }
      case 'page':
        return this.#page(args[0])
      case 'drop':
        return this.#drop(args[0])
      default:
        throw new VirgaError('Unsupported', `there is no operation ${operation}`)
    }
  }

  close() {
    for (const listing of this.#listings.keys()) this.#drop(listing).catch(() => undefined)
  }

  /** @param {number} listing */
  async #drop(listing) {
    const entries = this.#listings.get(listing)
    this.#listings.delete(listing)
    await entries?.return?.()
  }

  /** The next entries of a listing, and whether there may be more. @param {number} listing */
  async #page(listing) {
    const entries = this.#listings.get(listing)
    if (entries === undefined) throw new VirgaError('StorageUnavailable', 'that listing is over')
    /** @type {[string, Uint8Array | null][]} */
    const page = []
    let bytes = 0
    try {
      while (page.length < PAGE_ENTRIES_MAX && bytes < PAGE_BYTES_MAX) {
        const { done, value } = await entries.next()
        if (done) {
          this.#listings.delete(listing)
          return [page, false]
        }
        page.push([value.id, value.value ?? null])
        bytes += value.id.length + (value.value?.length ?? 0)
      }
      return [page, true]
    } catch (error) {
      this.#listings.delete(listing)
      throw error
    }
  }
}

/** An error that is none of the engine's leaves it open whether a write took effect. @param {unknown} error */
function told(error) {
  return VirgaError.is(error)
    ? [error.code, error.message, error.outcome]
    : ['StorageUnavailable', String(error), 'indefinite']
}
