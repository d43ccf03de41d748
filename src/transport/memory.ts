import type { Link, LinkHandlers, Listener, ListenerHandlers, PeerId } from '../ports/transport.js'

/**
 * Links and a listener within one process: for tests, and for a node that is embedded in its only executor. Frames arrive
 * in order, in a later microtask.
 */
export class MemoryHub {
  #listener: MemoryListener | undefined
  readonly #links = new Map<PeerId, MemoryLink>()
  #peers = 0

  listener(): Listener {
    return new MemoryListener(this)
  }

  link(): Link {
    return new MemoryLink(this)
  }

  /** @internal */
  attach(listener: MemoryListener): void {
    this.#listener = listener
    for (const link of this.#waiting) this.connect(link)
    this.#waiting.clear()
  }

  readonly #waiting = new Set<MemoryLink>()

  /** @internal */
  connect(link: MemoryLink): void {
    if (this.#listener === undefined) {
      this.#waiting.add(link)
      return
    }
    const peer = `memory-${++this.#peers}`
    this.#links.set(peer, link)
    link.connected(peer)
  }

  /** @internal */
  detach(): void {
    this.#listener = undefined
    for (const link of this.#links.values()) {
      link.disconnected()
      this.#waiting.add(link)
    }
    this.#links.clear()
  }

  /** @internal */
  leave(link: MemoryLink, peer: PeerId | undefined): void {
    this.#waiting.delete(link)
    if (peer === undefined) return
    this.#links.delete(peer)
    const listener = this.#listener
    queueMicrotask(() => listener?.left(peer))
  }

  /** @internal */
  toNode(peer: PeerId, frame: Uint8Array): boolean {
    const listener = this.#listener
    if (listener === undefined) return false
    const copy = Uint8Array.from(frame)
    queueMicrotask(() => listener.receive(peer, copy))
    return true
  }

  /** @internal */
  toExecutor(peer: PeerId, frame: Uint8Array): boolean {
    const link = this.#links.get(peer)
    if (link === undefined) return false
    const copy = Uint8Array.from(frame)
    queueMicrotask(() => link.receive(copy))
    return true
  }
}

class MemoryListener implements Listener {
  readonly #hub: MemoryHub
  #handlers: ListenerHandlers | undefined

  constructor(hub: MemoryHub) {
    this.#hub = hub
  }

  async listen(handlers: ListenerHandlers): Promise<void> {
    this.#handlers = handlers
    this.#hub.attach(this)
  }

  receive(peer: PeerId, frame: Uint8Array): void {
    this.#handlers?.onFrame(peer, frame)
  }

  left(peer: PeerId): void {
    this.#handlers?.onGone(peer)
  }

  send(peer: PeerId, frame: Uint8Array): boolean {
    return this.#hub.toExecutor(peer, frame)
  }

  async close(): Promise<void> {
    if (this.#handlers === undefined) return
    this.#handlers = undefined
    this.#hub.detach()
  }
}

class MemoryLink implements Link {
  readonly #hub: MemoryHub
  #handlers: LinkHandlers | undefined
  #peer: PeerId | undefined

  constructor(hub: MemoryHub) {
    this.#hub = hub
  }

  open(handlers: LinkHandlers): void {
    this.#handlers = handlers
    this.#hub.connect(this)
  }

  connected(peer: PeerId): void {
    this.#peer = peer
    queueMicrotask(() => {
      if (this.#peer === peer) this.#handlers?.onUp()
    })
  }

  disconnected(): void {
    this.#peer = undefined
    this.#handlers?.onDown()
  }

  receive(frame: Uint8Array): void {
    this.#handlers?.onFrame(frame)
  }

  send(frame: Uint8Array): boolean {
    return this.#peer !== undefined && this.#hub.toNode(this.#peer, frame)
  }

  async close(): Promise<void> {
    this.#handlers = undefined
    this.#hub.leave(this, this.#peer)
    this.#peer = undefined
  }
}
