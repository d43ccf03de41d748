/**
 * How frames travel between executors and their node. A frame is one message of bytes: it arrives whole or not at all,
 * frames of one sender arrive in order, and a frame may be lost when a connection breaks or a queue is full.
 */

/** Names one connected executor to the node. Stable while the connection lasts, never reused within a process. */
export type PeerId = string

/** What is called must not throw. */
export interface ListenerHandlers {
  /** The bytes belong to the callee. */
  onFrame(peer: PeerId, frame: Uint8Array): void
  /**
   * A connection has ended, and all that was read from it was told.
   *
   * @param why it was broken off, since the other side did not keep to the transport's format, or to its limits
   */
  onGone(peer: PeerId, why?: Error): void
}

/** The node's end. */
export interface Listener {
  /** Begins to receive. */
  listen(handlers: ListenerHandlers): Promise<void>
  /**
   * Queues a frame, or a copy: the bytes are the caller's again when it returns. False: it was dropped, since the peer is gone or
   * its queue is full.
   */
  send(peer: PeerId, frame: Uint8Array): boolean
  /** Sends what is queued, for a bounded time, then closes. */
  close(): Promise<void>
}

export interface LinkHandlers {
  onFrame(frame: Uint8Array): void
  /** The connection was made, or made again. Frames that were sent before may be lost. */
  onUp(): void
  /** The connection broke. The link tries to make it again by itself. */
  onDown(): void
}

/** The executor's end. */
export interface Link {
  open(handlers: LinkHandlers): void
  /** Queues a frame, or a copy: the bytes are the caller's again when it returns. False: the queue is full and it was dropped. */
  send(frame: Uint8Array): boolean
  close(): Promise<void>
}
