import type { Router } from 'zeromq'
import type { Clock, Timer } from '../ports/clock.js'
import type { PeerId } from '../ports/transport.js'
import { Outbox } from './outbox.js'

/** How long a peer whose queue is full is left alone before it is tried again. */
const STALL_RETRY_MS = 5
/** A peer that takes nothing for this long is given up. */
const STALL_MS_MAX = 30_000

export interface ZeromqPeersOptions {
  readonly clock: Clock
  /** Frames and bytes that wait for one slow peer before further ones are dropped. */
  readonly framesMax: number
  readonly bytesMax: number
}

interface Peer {
  readonly routingId: Buffer
  readonly outbox: Outbox
  stalledAt: number | undefined
  retry: Timer | undefined
  /** Forgotten once its queue is empty. */
  leaving: boolean
}

/** Names a peer of a ROUTER. */
export function peerIdOf(routingId: Buffer): PeerId {
  return routingId.toString('latin1')
}

/**
 * The sending half of a ROUTER. ZeroMQ allows one send in flight, so each peer has a queue of its own here and the writer
 * goes round. The socket is `mandatory`, with a `sendTimeout` of 0: it says when it can't send, and never waits.
 */
export class ZeromqPeers {
  readonly #socket: Router
  readonly #options: ZeromqPeersOptions
  readonly #peers = new Map<PeerId, Peer>()
  readonly #ready: PeerId[] = []
  #writer: Promise<void> | undefined
  #closed = false

  constructor(socket: Router, options: ZeromqPeersOptions) {
    this.#socket = socket
    this.#options = options
  }

  /** Peers that are kept: those opened and not forgotten, and those forgotten whose queue is not empty yet. */
  get size(): number {
    return this.#peers.size
  }

  has(id: PeerId): boolean {
    return this.#peers.has(id)
  }

  /** Keeps a queue for a peer until it is forgotten. */
  open(id: PeerId): void {
    const known = this.#peers.get(id)
    if (known !== undefined) {
      known.leaving = false
      return
    }
    const { framesMax, bytesMax } = this.#options
    this.#peers.set(id, {
      routingId: Buffer.from(id, 'latin1'),
      outbox: new Outbox(framesMax, bytesMax),
      stalledAt: undefined,
      retry: undefined,
      leaving: false,
    })
  }

  /** False: there is no queue for this peer, or it is full. */
  send(id: PeerId, frame: Uint8Array): boolean {
    if (this.#closed) return false
    const peer = this.#peers.get(id)
    if (peer === undefined) return false
    const wasEmpty = peer.outbox.isEmpty
    if (!peer.outbox.push(frame)) return false
    if (wasEmpty) this.#schedule(id)
    return true
  }

  /** Frees what is kept for a peer, once its queue is empty. */
  forget(id: PeerId): void {
    const peer = this.#peers.get(id)
    if (peer === undefined) return
    peer.leaving = true
    if (peer.outbox.isEmpty) this.#drop(id, peer)
  }

  /** Hands ZeroMQ what it takes at once, and drops the rest. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#writer
    for (const [id, peer] of this.#peers) this.#drop(id, peer)
  }

  #drop(id: PeerId, peer: Peer): void {
    peer.retry?.cancel()
    peer.outbox.clear()
    this.#peers.delete(id)
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
      } catch (error) {
        if (isGone(error)) this.#drop(id, peer)
        else this.#stall(id, peer)
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

/** `EAGAIN`: its queue is full. A connection that has just broken may also look like that, for a moment. */
function isGone(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EHOSTUNREACH'
}
