import { randomBytes } from 'node:crypto'
import { Dealer } from 'zeromq'
import { decode, encode } from './messagepack.mjs'

/**
 * A client written from protocol/README.md alone: it imports nothing of virga. What it can do, a client in any other
 * language can.
 */

const VERSION = 2
const REQUEST = { hello: 1, begin: 2, read: 3, spill: 4, commit: 5, end: 6, handoff: 7, resume: 8 }
const MORE = { status: 9, cancel: 10, resolve: 11, ping: 12, bye: 13, inspect: 14, passed: 18 }
const NUMBERS = { ...REQUEST, ...MORE }
const ERROR = 73

/** An error of the node, as it says it. */
export class Refusal extends Error {
  constructor([code, indefinite, message]) {
    super(`${code}: ${message}`)
    this.code = code
    this.indefinite = indefinite
  }
}

export class TinyClient {
  #socket = new Dealer({ linger: 0 })
  #waiting = new Map()
  #request = 0
  #sending = Promise.resolve()

  constructor(path) {
    this.#socket.connect(`ipc://${path}`)
    this.#read()
  }

  /** Says who it is. Liveness by words alone: no process is named, so the node gives up after a silence. */
  async hello() {
    const [node, origin, , sessionTimeoutMs] = await this.ask(
      'hello',
      randomBytes(12).toString('hex'),
      0,
      '',
      '',
    )
    return { node, origin, sessionTimeoutMs }
  }

  /** Sends one request in a frame of its own. Resolves with the fields of the answer, its number first under `type`. */
  async ask(name, ...fields) {
    const [answer] = this.askTogether([name, ...fields])
    return answer
  }

  /** Sends several requests in one frame. Returns a promise for each. */
  askTogether(...requests) {
    const numbered = requests.map(([name, ...fields]) => [NUMBERS[name], ++this.#request, ...fields])
    const answers = numbered.map(
      ([, request]) => new Promise((resolve, reject) => this.#waiting.set(request, { resolve, reject })),
    )
    // Whoever asks for several may look at one answer only.
    for (const answer of answers) answer.catch(() => undefined)
    // One send at a time: a second one before the first has settled is refused by ZeroMQ's binding.
    this.#sending = this.#sending.then(() => this.#socket.send(encode([VERSION, ...numbered])))
    return answers
  }

  close() {
    this.#socket.close()
    for (const { reject } of this.#waiting.values()) reject(new Error('closed'))
    this.#waiting.clear()
  }

  async #read() {
    for await (const [frame] of this.#socket) {
      const [version, ...messages] = decode(frame)
      if (version !== VERSION) throw new Error(`the node speaks version ${version}`)
      for (const [number, request, ...fields] of messages) this.#settle(number, request, fields)
    }
  }

  #settle(number, request, fields) {
    const waiting = this.#waiting.get(request)
    this.#waiting.delete(request)
    if (number === ERROR) waiting?.reject(new Refusal(fields))
    else waiting?.resolve(Object.assign(fields, { type: number }))
  }
}

/** A UUIDv7. */
export function newId(timeMs = Date.now()) {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(timeMs, 0, 6)
  bytes[6] = (bytes[6] & 0x0f) | 0x70
  bytes[8] = (bytes[8] & 0x3f) | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

/** A value is a byte that tells how to read the rest: 0 as bytes, 1 as MessagePack. */
export function toValue(value) {
  return Uint8Array.of(1, ...encode(value))
}

export function fromValue(bytes) {
  if (bytes === null) return undefined
  return bytes[0] === 0 ? bytes.subarray(1) : decode(bytes.subarray(1))
}
