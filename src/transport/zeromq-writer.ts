import type { Dealer } from 'zeromq'
import { Outbox } from './outbox.js'

const OUTBOX_FRAMES_MAX = 4_096
const OUTBOX_BYTES_MAX = 128 * 1024 * 1024

/** The sending half of a DEALER: ZeroMQ allows one send in flight, so frames wait here for their turn. */
export class ZeromqWriter {
  readonly #socket: Dealer
  readonly #outbox = new Outbox(OUTBOX_FRAMES_MAX, OUTBOX_BYTES_MAX)
  #writing: Promise<void> | undefined

  constructor(socket: Dealer) {
    this.#socket = socket
  }

  /** False: full. */
  send(frame: Uint8Array): boolean {
    if (!this.#outbox.push(frame)) return false
    this.#writing ??= this.#write()
    return true
  }

  /** Drops what waits. */
  clear(): void {
    this.#outbox.clear()
  }

  /** Resolves when nothing waits any more, or the socket was closed. */
  async flushed(): Promise<void> {
    await this.#writing
  }

  async #write(): Promise<void> {
    for (let frame = this.#outbox.peek(); frame !== undefined; frame = this.#outbox.peek()) {
      this.#outbox.shift()
      try {
        await this.#socket.send(frame)
      } catch {
        // The socket was closed under a waiting send: what is left has nowhere to go.
        this.#outbox.clear()
      }
    }
    this.#writing = undefined
  }
}
