import { Reply, Request } from 'zeromq'
import { z85Encode } from './z85.js'
import { networkContext } from './zeromq-network-options.js'

/**
 * Who may connect to sockets that speak CURVE: a handler of ZAP (ZeroMQ RFC 27). Without one, ZeroMQ takes every key. ZAP
 * knows one handler per context, so the networks of a process share it, each under a domain of its own. Sockets enforce
 * their domain (`zapEnforceDomain`): while there is no handler, nobody gets in.
 */

const ADDRESS = 'inproc://zeromq.zap.01'
const VERSION = '1.0'
/** What the handler tells itself when it is to rest. */
const REST = 'rest'

export interface ZapGuard {
  isAllowed(publicKey: string): boolean
  onRefused(why: string): void
}

export interface ZapDomain {
  readonly name: string
  /** From now on nobody is let in. */
  close(): Promise<void>
}

const guards = new Map<string, ZapGuard>()
let domains = 0
let handler: Handler | undefined
/** What changes whether the handler works goes one after the other. */
let turn: Promise<void> = Promise.resolve()

export async function openZapDomain(guard: ZapGuard): Promise<ZapDomain> {
  const name = `virga-${++domains}`
  guards.set(name, guard)
  try {
    await settleHandler()
  } catch (error) {
    guards.delete(name)
    throw error
  }
  const close = async (): Promise<void> => {
    if (guards.delete(name)) await settleHandler()
  }
  return { name, close }
}

/** The handler works if and only if there are domains: its waiting for requests keeps the process alive. */
function settleHandler(): Promise<void> {
  const settled = turn.then(async () => {
    if (guards.size > 0) {
      handler ??= await Handler.make()
      handler.work()
    } else await handler?.rest()
  })
  turn = settled.catch(() => undefined)
  return settled
}

/**
 * Its socket is never closed: every connection that was authenticated has a pipe to it, and libzmq (4.3.5) aborts the process
 * when both ends of one are closed at the same time.
 */
class Handler {
  readonly #socket: Reply
  readonly #waker: Request
  #loop: Promise<void> | undefined

  static async make(): Promise<Handler> {
    const socket = new Reply({ context: networkContext, linger: 0 })
    try {
      await socket.bind(ADDRESS)
    } catch (error) {
      socket.close()
      throw error
    }
    const waker = new Request({ context: networkContext, linger: 0 })
    waker.connect(ADDRESS)
    return new Handler(socket, waker)
  }

  private constructor(socket: Reply, waker: Request) {
    this.#socket = socket
    this.#waker = waker
  }

  work(): void {
    this.#loop ??= this.#serve()
  }

  async rest(): Promise<void> {
    if (this.#loop === undefined) return
    await this.#waker.send(REST)
    await this.#waker.receive()
    await this.#loop
    this.#loop = undefined
  }

  async #serve(): Promise<void> {
    for await (const parts of this.#socket) {
      // Requests of ZeroMQ have more parts.
      if (parts.length === 1) {
        await this.#socket.send(REST)
        return
      }
      const [, request = '', domain, address, , mechanism, credentials] = parts
      const guard = guards.get(String(domain))
      const isKey = String(mechanism) === 'CURVE' && credentials?.length === 32
      const key = isKey ? z85Encode(credentials) : ''
      const isAllowed = guard !== undefined && isKey && guard.isAllowed(key)
      // Not 300, which stands for a refusal for now: ZeroMQ then leaves the client waiting instead of telling it.
      const [status, text] = isAllowed ? ['200', 'OK'] : ['400', 'not a key of this cluster']
      await this.#socket.send([VERSION, request, status, text, key, ''])
      if (!isAllowed) guard?.onRefused(`the key ${key} of ${address} is not one of this cluster's`)
    }
  }
}
