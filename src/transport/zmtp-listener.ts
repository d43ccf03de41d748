import { chmodSync, lstatSync, unlinkSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { VirgaError } from '../errors.js'
import type { Clock } from '../ports/clock.js'
import type { Listener, ListenerHandlers, PeerId } from '../ports/transport.js'
import { TurnBudget } from './turn-budget.js'
import { ZmtpConnection } from './zmtp-connection.js'
import { ZmtpWriter } from './zmtp-writer.js'

export interface ZmtpListenerOptions {
  /** Path of the socket file. Its folder exists, and nobody else listens there. */
  readonly path: string
  readonly clock: Clock
  readonly frameBytesMax: number
  /** Frames and bytes that wait for one slow peer before further ones are dropped. */
  readonly peerFramesMax?: number
  readonly peerBytesMax?: number
  /** Someone could not be let in: too many files are open, for one. The listener goes on. */
  readonly onError?: (error: Error) => void
}

const PEER_FRAMES_MAX = 1_024
const PEER_BYTES_MAX = 64 * 1024 * 1024
/** Who takes no answers for this long is not kept what waits. */
const STALL_MS_MAX = 30_000
const LINGER_MS = 500

/** The node's end of ZeroMQ IPC: a ROUTER, whose connections are read and written on the thread that works on them. */
export function zmtpListener(options: ZmtpListenerOptions): Listener {
  return new ZmtpListener(options)
}

class ZmtpListener implements Listener {
  readonly #options: ZmtpListenerOptions
  readonly #turns: TurnBudget
  readonly #writer = new ZmtpWriter()
  readonly #server: Server
  readonly #connections = new Map<PeerId, ZmtpConnection>()
  /** Undefined: there is nobody yet, or no more. */
  #handlers: ListenerHandlers | undefined
  #lastPeer = 0
  #closing: Promise<void> | undefined

  constructor(options: ZmtpListenerOptions) {
    this.#options = options
    this.#turns = new TurnBudget(options.clock)
    this.#server = createServer((socket) => this.#accept(socket))
  }

  async listen(handlers: ListenerHandlers): Promise<void> {
    this.#handlers = handlers
    const { path, onError } = this.#options
    try {
      removeStale(path)
      await listenAt(this.#server, path)
      chmodSync(path, 0o600)
    } catch (cause) {
      throw new VirgaError('InvalidArgument', `can't listen on ${path}: ${(cause as Error).message}`, {
        cause,
      })
    }
    this.#server.on('error', (error) => onError?.(error))
  }

  send(peer: PeerId, frame: Uint8Array): boolean {
    return this.#connections.get(peer)?.send(frame) ?? false
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#handlers = undefined
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
    })
    await Promise.all([...this.#connections.values()].map((connection) => connection.end(LINGER_MS)))
    await closed
  }

  #accept(socket: Socket): void {
    const {
      clock,
      frameBytesMax,
      peerFramesMax = PEER_FRAMES_MAX,
      peerBytesMax = PEER_BYTES_MAX,
    } = this.#options
    const peer = `c${++this.#lastPeer}`
    const connection = new ZmtpConnection(
      socket,
      {
        role: 'ROUTER',
        clock,
        turns: this.#turns,
        writer: this.#writer,
        frameBytesMax,
        outboxFramesMax: peerFramesMax,
        outboxBytesMax: peerBytesMax,
        stallMsMax: STALL_MS_MAX,
      },
      {
        onReady: () => undefined,
        onFrame: (frame) => this.#handlers?.onFrame(peer, frame),
        onGone: (why) => {
          this.#connections.delete(peer)
          this.#handlers?.onGone(peer, why)
        },
      },
    )
    socket.on('data', (piece) => connection.receive(piece))
    this.#connections.set(peer, connection)
  }
}

/** Of a node that was killed. Throws if something that is no socket has the name. */
function removeStale(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found === undefined) return
  if (!found.isSocket()) throw new Error('something that is no socket has that name')
  unlinkSync(path)
}

/** For this process alone, and for its user alone, from the first moment. */
function listenAt(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    const before = process.umask(0o177)
    try {
      server.listen({ path, exclusive: true }, () => {
        server.off('error', reject)
        resolve()
      })
    } finally {
      process.umask(before)
    }
  })
}
