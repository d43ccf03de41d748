import { chmodSync } from 'node:fs'
import { context, Router } from 'zeromq'
import { VirgaError } from '../errors.js'
import type { Clock, Timer } from '../ports/clock.js'
import type { Listener, PeerId } from '../ports/transport.js'
import { Outbox } from './outbox.js'

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
/** How long a peer whose queue is full is left alone before it is tried again. */
const STALL_RETRY_MS = 5
/** A peer that takes nothing for this long is given up. */
const STALL_MS_MAX = 30_000
const LINGER_MS = 500
/** Work on frames before timers, answers and requests that wait have their turn. */
const READ_TURN_MS_MAX = 2

interface Peer {
  readonly routingId: Buffer
  readonly outbox: Outbox
  stalledAt: number | undefined
  retry: Timer | undefined
  /** Forgotten once its queue is empty. */
  leaving: boolean
}

/**
 * The node's end of ZeroMQ IPC: one ROUTER, one reader loop, one writer loop. ZeroMQ allows one send and one receive in
 * flight, so each peer has a queue of its own here and the writer goes round.
 */
export function zeromqListener(options: ZeromqListenerOptions): Listener {
  return new ZeromqListener(options)
}

class ZeromqListener implements Listener {
  readonly #options: ZeromqListenerOptions
  readonly #socket: Router
  readonly #peers = new Map<PeerId, Peer>()
  readonly #ready: PeerId[] = []
  #reader: Promise<void> = Promise.resolve()
  #writer: Promise<void> | undefined
  #closed = false

  constructor(options: ZeromqListenerOptions) {
    this.#options = options
    this.#socket = new Router({
      linger: LINGER_MS,
      mandatory: true,
      sendTimeout: 0,
      sendHighWaterMark: HIGH_WATER_MARK,
      receiveHighWaterMark: HIGH_WATER_MARK,
      maxMessageSize: options.frameBytesMax,
    })
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
    this.#reader = this.#read(onFrame)
  }

  send(id: PeerId, frame: Uint8Array): boolean {
    if (this.#closed) return false
    const peer = this.#peers.get(id)
    if (peer === undefined) return false
    const wasEmpty = peer.outbox.isEmpty
    if (!peer.outbox.push(frame)) return false
    if (wasEmpty) this.#schedule(id)
    return true
  }

  forget(id: PeerId): void {
    const peer = this.#peers.get(id)
    if (peer === undefined) return
    peer.leaving = true
    if (peer.outbox.isEmpty) this.#drop(id, peer)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#writer
    for (const [id, peer] of this.#peers) this.#drop(id, peer)
    this.#socket.close()
    await this.#reader
  }

  async #read(onFrame: (peer: PeerId, frame: Uint8Array) => void): Promise<void> {
    const { clock } = this.#options
    let spentMs = 0
    for await (const [routingId, frame] of this.#socket) {
      if (routingId === undefined || frame === undefined) continue
      const start = clock.monotonic()
      onFrame(this.#peerOf(routingId), frame)
      spentMs += clock.monotonic() - start
      if (spentMs < READ_TURN_MS_MAX) continue
      // zeromq.js hands over up to 512 frames in one turn of the event loop: with large ones nothing else would run.
      await new Promise<void>((resolve) => clock.defer(resolve))
      spentMs = 0
    }
  }

  #drop(id: PeerId, peer: Peer): void {
    peer.retry?.cancel()
    peer.outbox.clear()
    this.#peers.delete(id)
  }

  #peerOf(routingId: Buffer): PeerId {
    const id = routingId.toString('latin1')
    const known = this.#peers.get(id)
    if (known !== undefined) known.leaving = false
    else {
      const { peerFramesMax = PEER_FRAMES_MAX, peerBytesMax = PEER_BYTES_MAX } = this.#options
      const outbox = new Outbox(peerFramesMax, peerBytesMax)
      this.#peers.set(id, {
        routingId: Buffer.from(routingId),
        outbox,
        stalledAt: undefined,
        retry: undefined,
        leaving: false,
      })
    }
    return id
  }

  #schedule(id: PeerId): void {
    this.#ready.push(id)
    this.#writer ??= this.#write()
  }

  /** One frame of each peer in turn, so that one peer's long queue does not keep the others waiting. */
  async #write(): Promise<void> {
    for (let id = this.#ready.shift(); id !== undefined; id = this.#ready.shift()) {
      const peer = this.#peers.get(id)
      const frame = peer?.outbox.peek()
      if (peer === undefined || frame === undefined) continue
      try {
        await this.#socket.send([peer.routingId, frame])
      } catch {
        // Gone, or its queue is full: ZeroMQ does not tell which.
        this.#stall(id, peer)
        continue
      }
      peer.stalledAt = undefined
      peer.outbox.shift()
      if (!peer.outbox.isEmpty) this.#ready.push(id)
      else if (peer.leaving) this.#drop(id, peer)
    }
    this.#writer = undefined
  }

  #stall(id: PeerId, peer: Peer): void {
    const { clock } = this.#options
    const now = clock.monotonic()
    peer.stalledAt ??= now
    if (this.#closed || now - peer.stalledAt >= STALL_MS_MAX) {
      this.#drop(id, peer)
      return
    }
    peer.retry = clock.timer(STALL_RETRY_MS, () => this.#schedule(id))
  }
}
