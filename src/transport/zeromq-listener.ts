import { chmodSync } from 'node:fs'
import { context, Router } from 'zeromq'
import { VirgaError } from '../errors.js'
import type { Clock } from '../ports/clock.js'
import type { Listener, PeerId } from '../ports/transport.js'
import { peerIdOf, ZeromqPeers } from './zeromq-peers.js'
import { ZeromqReader } from './zeromq-reader.js'

context.blocky = false

export interface ZeromqListenerOptions {
  /** Path of the socket file. Its folder exists. */
  readonly path: string
  readonly clock: Clock
  readonly frameBytesMax: number
  /** Frames and bytes that wait for one slow peer before further ones are dropped. */
  readonly peerFramesMax?: number
  readonly peerBytesMax?: number
}

const PEER_FRAMES_MAX = 1_024
const PEER_BYTES_MAX = 64 * 1024 * 1024
/** Frames inside ZeroMQ per peer. Small: what waits here is bounded by bytes, what waits there is not. */
const HIGH_WATER_MARK = 64
const LINGER_MS = 500

/** The node's end of ZeroMQ IPC: one ROUTER, one reader loop, one writer loop. */
export function zeromqListener(options: ZeromqListenerOptions): Listener {
  return new ZeromqListener(options)
}

class ZeromqListener implements Listener {
  readonly #options: ZeromqListenerOptions
  readonly #socket: Router
  readonly #peers: ZeromqPeers
  #reader: ZeromqReader | undefined
  #closed = false

  constructor(options: ZeromqListenerOptions) {
    this.#options = options
    const { clock, peerFramesMax = PEER_FRAMES_MAX, peerBytesMax = PEER_BYTES_MAX } = options
    this.#socket = new Router({
      linger: LINGER_MS,
      mandatory: true,
      sendTimeout: 0,
      sendHighWaterMark: HIGH_WATER_MARK,
      receiveHighWaterMark: HIGH_WATER_MARK,
      maxMessageSize: options.frameBytesMax,
    })
    this.#peers = new ZeromqPeers(this.#socket, { clock, framesMax: peerFramesMax, bytesMax: peerBytesMax })
  }

  async listen(onFrame: (peer: PeerId, frame: Uint8Array) => void): Promise<void> {
    const before = process.umask(0o177)
    try {
      await this.#socket.bind(`ipc://${this.#options.path}`)
    } catch (cause) {
      throw new VirgaError('InvalidArgument', `can't listen on ${this.#options.path}`, { cause })
    } finally {
      process.umask(before)
    }
    chmodSync(this.#options.path, 0o600)
    this.#reader = new ZeromqReader(this.#socket, this.#options.clock, ([routingId, frame]) => {
      if (routingId === undefined || frame === undefined) return
      const peer = peerIdOf(routingId)
      this.#peers.open(peer)
      onFrame(peer, frame)
    })
  }

  send(peer: PeerId, frame: Uint8Array): boolean {
    return this.#peers.send(peer, frame)
  }

  forget(peer: PeerId): void {
    this.#peers.forget(peer)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#peers.close()
    this.#socket.close()
    await this.#reader?.done
  }
}
