import { connect, type Socket } from 'node:net'
import type { Clock, Timer } from '../ports/clock.js'
import type { Link, LinkHandlers } from '../ports/transport.js'
import { TurnBudget } from './turn-budget.js'
import { ZmtpConnection } from './zmtp-connection.js'
import { ZmtpWriter } from './zmtp-writer.js'

export interface ZmtpLinkOptions {
  /** Path of the node's socket file. */
  readonly path: string
  readonly frameBytesMax: number
  readonly clock: Clock
}

const OUTBOX_FRAMES_MAX = 4_096
const OUTBOX_BYTES_MAX = 128 * 1024 * 1024
const READ_BYTES = 64 * 1024
const RECONNECT_MS = 20
const RECONNECT_MS_MAX = 100
const FLUSH_MS_MAX = 1_000

/**
 * The executor's end of ZeroMQ IPC: a DEALER with one connection, which it makes again when it breaks. Nothing is queued while there
 * is none: a node that comes back must not be handed what was meant for its last incarnation.
 */
export function zmtpLink(options: ZmtpLinkOptions): Link {
  return new ZmtpLink(options)
}

class ZmtpLink implements Link {
  readonly #options: ZmtpLinkOptions
  readonly #turns: TurnBudget
  readonly #writer = new ZmtpWriter()
  /** What comes is read into it, and copied from there: less than room for each read, and a stream to hand it over. */
  readonly #room = Buffer.allocUnsafeSlow(READ_BYTES)
  #handlers: LinkHandlers | undefined
  #connecting: Socket | undefined
  #connection: ZmtpConnection | undefined
  #isUp = false
  #retry: Timer | undefined
  #retryMs = RECONNECT_MS
  #closing: Promise<void> | undefined

  constructor(options: ZmtpLinkOptions) {
    this.#options = options
    this.#turns = new TurnBudget(options.clock)
  }

  open(handlers: LinkHandlers): void {
    this.#handlers = handlers
    this.#connect()
  }

  send(frame: Uint8Array): boolean {
    return this.#closing === undefined && this.#isUp && this.#connection!.send(frame)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#retry?.cancel()
    this.#connecting?.destroy()
    // A node that stands still takes nothing, for as long as it does.
    if (this.#isUp) await this.#connection!.end(FLUSH_MS_MAX)
    else this.#connection?.destroy()
  }

  #connect(): void {
    const onread = {
      buffer: this.#room,
      callback: (bytes: number): boolean => {
        this.#connection!.receive(Buffer.from(this.#room.subarray(0, bytes)))
        return true
      },
    }
    const socket = connect({ path: this.#options.path, onread })
    this.#connecting = socket
    // Nobody is there yet, or this user may not ask.
    const onFailure = (): void => {
      this.#connecting = undefined
      this.#connectLater()
    }
    socket.once('error', onFailure)
    socket.once('connect', () => {
      socket.off('error', onFailure)
      this.#connecting = undefined
      this.#take(socket)
    })
  }

  #connectLater(): void {
    if (this.#closing !== undefined) return
    this.#retry = this.#options.clock.timer(this.#retryMs, () => this.#connect(), { keepsAlive: true })
    this.#retryMs = Math.min(2 * this.#retryMs, RECONNECT_MS_MAX)
  }

  #take(socket: Socket): void {
    const { clock, frameBytesMax } = this.#options
    this.#connection = new ZmtpConnection(
      socket,
      {
        role: 'DEALER',
        clock,
        turns: this.#turns,
        writer: this.#writer,
        // Answers may be larger than requests.
        frameBytesMax: frameBytesMax * 4,
        outboxFramesMax: OUTBOX_FRAMES_MAX,
        outboxBytesMax: OUTBOX_BYTES_MAX,
      },
      {
        onReady: () => {
          this.#isUp = true
          this.#retryMs = RECONNECT_MS
          this.#handlers!.onUp()
        },
        onFrame: (frame) => {
          if (this.#closing === undefined) this.#handlers!.onFrame(frame)
        },
        onGone: () => {
          const wasUp = this.#isUp
          this.#isUp = false
          this.#connection = undefined
          this.#connectLater()
          if (wasUp) this.#handlers!.onDown()
        },
      },
    )
  }
}
