import { context, Dealer } from 'zeromq'
import type { Clock } from '../ports/clock.js'
import type { Link, LinkHandlers } from '../ports/transport.js'
import { ZeromqWriter } from './zeromq-writer.js'

context.blocky = false

export interface ZeromqLinkOptions {
  /** Path of the node's socket file. */
  readonly path: string
  readonly frameBytesMax: number
  readonly clock: Clock
}

const HIGH_WATER_MARK = 64
const RECONNECT_MS = 20
const RECONNECT_MS_MAX = 100
const LINGER_MS = 200
const FLUSH_MS_MAX = 1_000

/**
 * The executor's end of ZeroMQ IPC: one DEALER, one reader loop, one writer loop. Nothing is queued while there is no
 * connection (`immediate`): a node that comes back must not be handed what was meant for its last incarnation.
 */
export function zeromqLink(options: ZeromqLinkOptions): Link {
  return new ZeromqLink(options)
}

class ZeromqLink implements Link {
  readonly #options: ZeromqLinkOptions
  readonly #socket: Dealer
  readonly #writer: ZeromqWriter
  #loops: readonly Promise<void>[] = []
  #up = false
  #closed = false

  constructor(options: ZeromqLinkOptions) {
    this.#options = options
    this.#socket = new Dealer({
      linger: LINGER_MS,
      immediate: true,
      sendHighWaterMark: HIGH_WATER_MARK,
      receiveHighWaterMark: HIGH_WATER_MARK,
      reconnectInterval: RECONNECT_MS,
      reconnectMaxInterval: RECONNECT_MS_MAX,
      maxMessageSize: options.frameBytesMax * 4,
    })
    this.#writer = new ZeromqWriter(this.#socket)
  }

  open(handlers: LinkHandlers): void {
    this.#loops = [this.#watch(handlers), this.#read(handlers)]
    this.#socket.connect(`ipc://${this.#options.path}`)
  }

  send(frame: Uint8Array): boolean {
    return !this.#closed && this.#up && this.#writer.send(frame)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    // A node that stands still takes nothing, for as long as it does.
    if (this.#up) await this.#flushed()
    this.#writer.clear()
    this.#socket.close()
    await Promise.allSettled(this.#loops)
  }

  #flushed(): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.clock.timer(FLUSH_MS_MAX, resolve)
      void this.#writer.flushed().then(() => {
        timer.cancel()
        resolve()
      })
    })
  }

  async #read(handlers: LinkHandlers): Promise<void> {
    for await (const [frame] of this.#socket) if (frame !== undefined) handlers.onFrame(frame)
  }

  async #watch(handlers: LinkHandlers): Promise<void> {
    for await (const event of this.#socket.events) {
      if (event.type === 'handshake') {
        this.#up = true
        handlers.onUp()
      } else if (event.type === 'disconnect' && this.#up) {
        this.#up = false
        this.#writer.clear()
        handlers.onDown()
      } else if (event.type === 'end') return
    }
  }
}
