import type { Dealer, Subscriber } from 'zeromq'
import type { Clock } from '../ports/clock.js'
import { ZeromqReader } from './zeromq-reader.js'

/** A try to connect that has come to nothing after this time never will. */
const TRY_MS_MAX = 10_000

export interface ConnectionHandlers {
  /** The peer has shown who it is, and so has this node. */
  onHandshake(): void
  onMessage(parts: readonly Buffer[]): void
}

/**
 * One connection, or one try at it. Each has a socket of its own: nothing that was queued for one connection goes out on
 * the next, and what ZeroMQ makes of a refusal (it never tries again, and says so to nobody) does not matter.
 */
export class ZeromqConnection {
  /** Resolves when it is over: it broke, it could not be made, or it was closed. */
  readonly ended: Promise<void>
  readonly #socket: Dealer | Subscriber
  readonly #clock: Clock
  readonly #reader: ZeromqReader
  #state: 'trying' | 'open' | 'over' = 'trying'
  #isClosed = false

  /** Begins to connect. */
  constructor(socket: Dealer | Subscriber, address: string, clock: Clock, handlers: ConnectionHandlers) {
    this.#socket = socket
    this.#clock = clock
    this.#reader = new ZeromqReader(socket, clock, (parts) => {
      if (this.#isClosed) return
      // The event that tells of the handshake comes another way, and may be late.
      this.#open(handlers)
      handlers.onMessage(parts)
    })
    this.ended = this.#run(handlers)
    socket.connect(address)
  }

  /** Made, and not broken. */
  get isOpen(): boolean {
    return this.#state === 'open' && !this.#isClosed
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#socket.close()
  }

  async #run(handlers: ConnectionHandlers): Promise<void> {
    const patience = this.#clock.timer(TRY_MS_MAX, () => {
      if (this.#state === 'trying') this.close()
    })
    let events: Promise<void> = Promise.resolve()
    await new Promise<void>((over) => {
      events = this.#watch(handlers, over)
    })
    patience.cancel()
    this.#state = 'over'
    await this.#drain()
    this.close()
    await Promise.all([this.#reader.done, events])
  }

  #open(handlers: ConnectionHandlers): void {
    if (this.#state !== 'trying') return
    this.#state = 'open'
    handlers.onHandshake()
  }

  /**
   * Calls `over` when the connection is. Goes on to the last event even then: an observer that nobody reads any more is
   * collected as garbage, and libzmq waits for ever to tell it that the socket was closed, in the one thread that closes
   * the sockets of all.
   */
  async #watch(handlers: ConnectionHandlers, over: () => void): Promise<void> {
    for await (const { type } of this.#socket.events) {
      switch (type) {
        case 'handshake':
          if (!this.#isClosed) this.#open(handlers)
          break
        case 'disconnect':
        case 'connect:retry':
        case 'handshake:error:auth':
        case 'handshake:error:protocol':
        case 'handshake:error:other':
        case 'end':
          over()
          break
      }
    }
    over()
  }

  /** What had arrived when the connection broke is still handed on. Ends, since nothing is added to it. */
  async #drain(): Promise<void> {
    do await new Promise<void>((resolve) => this.#clock.defer(resolve))
    while (!this.#isClosed && !this.#reader.isIdle)
  }
}
