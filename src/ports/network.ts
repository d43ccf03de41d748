import type { PeerId } from './transport.js'

/**
 * How nodes reach each other: requests with answers, and publications that whoever subscribes hears of. Frames are
 * messages of bytes: each arrives whole or not at all, those of one sender on one connection arrive in order, and any may
 * be lost. Nothing here ever waits for a peer.
 */

/** Where a node is reached by other nodes. */
export interface NodeAddress {
  /** Where requests go: `tcp://HOST:PORT`. */
  readonly requests: string
  /** Where publications come from. */
  readonly publications: string
  /** What the node proves to own when it is connected to; null: it speaks in plain text. */
  readonly publicKey: string | null
}

export interface NetworkHandlers {
  /** A request of a peer that may speak to this node. Must not throw. The bytes belong to the callee. */
  onRequest(from: PeerId, frame: Uint8Array): void
  /** A peer was refused that may not. */
  onRefused(why: string): void
}

export interface LineHandlers {
  onFrame(frame: Uint8Array): void
  /** The connection was made, or made again. What was sent before may be lost. */
  onUp(): void
  onDown(): void
}

/** A connection to one peer. It is made again by itself when it breaks, until it is closed. */
export interface Line {
  /** Queues a frame. False: there is no connection, or its queue is full, and the frame was dropped. */
  send(frame: Uint8Array): boolean
  close(): void
}

export interface Network {
  /** Begins to receive. Throws `InvalidArgument` if the address can't be had. Returns where peers reach this node. */
  listen(handlers: NetworkHandlers): Promise<NodeAddress>
  /** Answers a request. False: the peer is gone or its queue is full. */
  answer(to: PeerId, frame: Uint8Array): boolean
  /** Sends to all who subscribe. A slow one misses frames; nobody waits for it. */
  publish(frame: Uint8Array): void
  /** Connects to where a node takes requests. `onFrame` hears its answers. */
  dial(address: string, publicKey: string | null, handlers: LineHandlers): Line
  /** Connects to where a node publishes. Frames that are sent on this line go nowhere. */
  subscribe(address: string, publicKey: string | null, handlers: LineHandlers): Line
  /** From now on whoever proves to own one of these keys may speak to this node. Ignored where the keys are pinned. */
  allow(publicKeys: ReadonlySet<string>): void
  close(): Promise<void>
}
