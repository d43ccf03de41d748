import { type Origin, originStamp } from '../../core/ids.js'
import { VirgaError } from '../../errors.js'
import { mark } from '../../marks.js'
import type { Timer } from '../../ports/clock.js'
import type { Line, NodeAddress } from '../../ports/network.js'
import { peerReplyFrames, peerRequestFrames, publicationFrames } from '../../wire/frames.js'
import type { PeerReply, PeerReplyOf, PeerRequest, PublicationMessage } from '../../wire/peer-messages.js'
import type { Bounds } from '../bounds.js'
import type { StaticPeer } from '../config.js'
import type { Counters } from '../counters.js'
import type { World } from '../world.js'
import type { Member } from './lease-view.js'

export interface PeersConfig {
  readonly nodeId: string
  /** Addresses of nodes that are asked who they are, whether or not their leases are seen. */
  readonly peers: readonly StaticPeer[]
  readonly peerTimeoutMs: number
  readonly bounds: Bounds
}

export interface PeersHandlers {
  onPublication(peer: Peer, message: PublicationMessage): void
  /** A peer can be reached (again): what it published meanwhile was missed. */
  onUp(peer: Peer): void
}

/** A static peer that did not answer is asked again after this long. */
const GREET_AGAIN_MS = 1_000

type Without<T> = T extends unknown ? Omit<T, 'request'> : never
export type Ask = Without<PeerRequest>

interface Pending {
  readonly resolve: (reply: PeerReply) => void
  readonly reject: (error: VirgaError) => void
  readonly timer: Timer
}

/** One other node, as far as this one can reach it. */
export class Peer {
  readonly address: string
  /** That it is taken to have; null: it speaks in plain text. */
  readonly publicKey: string | null
  readonly #world: World
  readonly #timeoutMs: number
  readonly #requestsMax: number
  readonly #pending = new Map<number, Pending>()
  #requests = 0
  #isUp = false
  line: Line | undefined
  subscription: Line | undefined
  /** Where it publishes. */
  publications: string | undefined
  /** Undefined: it was not told yet. */
  origin: Origin | undefined
  nodeId: string | undefined
  heardAtMs = Number.NEGATIVE_INFINITY

  constructor(
    address: string,
    publicKey: string | null,
    world: World,
    { peerTimeoutMs, bounds }: PeersConfig,
  ) {
    this.address = address
    this.publicKey = publicKey
    this.#world = world
    this.#timeoutMs = peerTimeoutMs
    this.#requestsMax = bounds.peerRequestsMax
  }

  get isUp(): boolean {
    return this.#isUp
  }

  /** Rejects with `NodeUnavailable`, `Timeout`, `Busy`, or what the peer answers instead. */
  ask<N extends PeerReply['type']>(ask: Ask, due: readonly N[]): Promise<PeerReplyOf<N>> {
    return new Promise((resolve, reject) => {
      if (this.#pending.size >= this.#requestsMax) {
        mark('busy.peer')
        reject(new VirgaError('Busy', `${this.#requestsMax} requests to ${this.#name()} are under way`))
        return
      }
      const request = ++this.#requests
      const frame = peerRequestFrames.encode([{ ...ask, request } as PeerRequest])
      if (this.line === undefined || !this.line.send(frame)) {
        reject(new VirgaError('NodeUnavailable', `${this.#name()} can't be reached`))
        return
      }
      const timer = this.#world.clock.timer(this.#timeoutMs, () => {
        mark('fail.peer-silent')
        this.#pending.delete(request)
        reject(
          new VirgaError('Timeout', `${this.#name()} gave no answer to ${ask.type} in ${this.#timeoutMs} ms`),
        )
      })
      const take = (reply: PeerReply): void => {
        if ((due as readonly string[]).includes(reply.type)) resolve(reply as PeerReplyOf<N>)
        else if (reply.type === 'refused')
          reject(
            new VirgaError(reply.code, reply.message, {
              outcome: reply.indefinite ? 'indefinite' : 'definite',
            }),
          )
        else reject(new VirgaError('Malformed', `${this.#name()} answers ${ask.type} with ${reply.type}`))
      }
      this.#pending.set(request, { resolve: take, reject, timer })
    })
  }

  /** An answer arrived. One to a request that was given up is passed over. */
  answered(reply: PeerReply): void {
    const pending = this.#pending.get(reply.request)
    if (pending === undefined) return
    this.#pending.delete(reply.request)
    pending.timer.cancel()
    pending.resolve(reply)
  }

  up(): void {
    this.#isUp = true
  }

  /** What is under way won't be answered. */
  down(): void {
    this.#isUp = false
    for (const { reject, timer } of this.#pending.values()) {
      timer.cancel()
      reject(new VirgaError('NodeUnavailable', `the connection to ${this.#name()} broke`))
    }
    this.#pending.clear()
  }

  close(): void {
    this.line?.close()
    this.subscription?.close()
    this.line = undefined
    this.subscription = undefined
    this.down()
  }

  #name(): string {
    return this.nodeId ?? this.address
  }
}

/** Connections to the other nodes: made as their leases, or a static list, name them. */
export class Peers {
  readonly #world: World
  readonly #config: PeersConfig
  readonly #origin: Origin
  readonly #counters: Counters
  readonly #handlers: PeersHandlers
  readonly #byAddress = new Map<string, Peer>()
  /** Keys of those that were listed, by address. */
  readonly #static: ReadonlyMap<string, string | null>
  #greetings: Timer | undefined
  #closed = false

  constructor(
    world: World,
    config: PeersConfig,
    origin: Origin,
    counters: Counters,
    handlers: PeersHandlers,
  ) {
    this.#world = world
    this.#config = config
    this.#origin = origin
    this.#counters = counters
    this.#handlers = handlers
    this.#static = new Map(config.peers.map(({ address, publicKey }) => [address, publicKey]))
  }

  /** Connects to the static peers. */
  open(): void {
    for (const { address, publicKey } of this.#config.peers) this.#dial(address, publicKey)
    if (this.#config.peers.length > 0) this.#greetLater()
  }

  /** Follows the leases: connects to who is new, lets go of who is gone. */
  follow(members: readonly Member[]): void {
    if (this.#closed) return
    const keys = new Set<string>()
    const named = new Map<string, Member>()
    for (const member of members) {
      const { origin, address } = member.lease
      if (address?.publicKey) keys.add(address.publicKey)
      if (member.nodeId === this.#config.nodeId || address === undefined) continue
      const other = named.get(address.requests)
      // A node that has come back under another id: the one that started later is there.
      if (other !== undefined && originStamp(other.lease.origin) > originStamp(origin)) continue
      named.set(address.requests, member)
    }
    this.#world.network.allow(keys)
    for (const { nodeId, lease } of named.values()) this.#follow(nodeId, lease.origin, lease.address!)
    for (const [address, peer] of this.#byAddress) {
      if (named.has(address) || this.#static.has(address)) continue
      peer.close()
      this.#byAddress.delete(address)
    }
  }

  /** Peers that can be reached now. */
  up(): readonly Peer[] {
    return [...this.#byAddress.values()].filter((peer) => peer.isUp && peer.origin !== undefined)
  }

  get count(): number {
    return this.#byAddress.size
  }

  byOrigin(origin: Origin): Peer | undefined {
    for (const peer of this.#byAddress.values()) if (peer.origin === origin && peer.isUp) return peer
    return undefined
  }

  close(): void {
    this.#closed = true
    this.#greetings?.cancel()
    for (const peer of this.#byAddress.values()) peer.close()
    this.#byAddress.clear()
  }

  #follow(nodeId: string, origin: Origin, address: NodeAddress): void {
    // A key that was listed counts, whatever storage says.
    const publicKey = this.#static.get(address.requests) ?? address.publicKey
    const peer = this.#reachable(address, publicKey) ?? this.#dial(address.requests, publicKey)
    peer.nodeId = nodeId
    // Another incarnation at the same address: what it published so far was missed.
    const isNew = peer.origin !== origin
    peer.origin = origin
    this.#subscribe(peer, address.publications, publicKey)
    if (isNew && peer.isUp) this.#handlers.onUp(peer)
  }

  /** The connection to a peer, unless it was made with a key, or to a second address, that the peer has no more. */
  #reachable({ requests, publications }: NodeAddress, publicKey: string | null): Peer | undefined {
    const peer = this.#byAddress.get(requests)
    if (peer === undefined) return undefined
    const isSame = peer.publications === undefined || peer.publications === publications
    if (isSame && peer.publicKey === publicKey) return peer
    peer.close()
    this.#byAddress.delete(requests)
    return undefined
  }

  #dial(address: string, publicKey: string | null): Peer {
    const peer = new Peer(address, publicKey, this.#world, this.#config)
    this.#byAddress.set(address, peer)
    peer.line = this.#world.network.dial(address, publicKey, {
      onFrame: (frame) => this.#takeAnswers(peer, frame),
      onUp: () => {
        peer.up()
        if (peer.origin !== undefined) this.#handlers.onUp(peer)
        else void this.#greet(peer, publicKey)
      },
      onDown: () => peer.down(),
    })
    return peer
  }

  #subscribe(peer: Peer, address: string, publicKey: string | null): void {
    if (peer.subscription !== undefined) return
    peer.publications = address
    peer.subscription = this.#world.network.subscribe(address, publicKey, {
      onFrame: (frame) => this.#takePublications(peer, frame),
      // What was published before is asked for.
      onUp: () => {
        if (peer.isUp) this.#handlers.onUp(peer)
      },
      onDown() {},
    })
  }

  async #greet(peer: Peer, publicKey: string | null): Promise<void> {
    try {
      const { nodeId } = this.#config
      const greeted = await peer.ask({ type: 'greet', node: nodeId, origin: this.#origin }, ['greeted'])
      if (greeted.node === nodeId) {
        if (greeted.origin !== this.#origin)
          this.#world.log.warn({ address: peer.address }, 'a static peer has the id of this node')
        return
      }
      const isNew = peer.origin !== greeted.origin
      peer.nodeId = greeted.node
      peer.origin = greeted.origin
      this.#subscribe(peer, greeted.publications, publicKey)
      if (isNew) this.#handlers.onUp(peer)
    } catch (error) {
      this.#world.log.debug({ err: error, address: peer.address }, 'a static peer does not answer yet')
    }
  }

  #greetLater(): void {
    this.#greetings = this.#world.clock.timer(GREET_AGAIN_MS, () => {
      for (const { address, publicKey } of this.#config.peers) {
        const peer = this.#byAddress.get(address)
        if (peer?.isUp === true) void this.#greet(peer, publicKey)
      }
      this.#greetLater()
    })
  }

  #takeAnswers(peer: Peer, frame: Uint8Array): void {
    peer.heardAtMs = this.#world.clock.monotonic()
    try {
      for (const reply of peerReplyFrames.decode(frame)) peer.answered(reply)
    } catch (error) {
      this.#refuse(peer, error)
    }
  }

  #takePublications(peer: Peer, frame: Uint8Array): void {
    peer.heardAtMs = this.#world.clock.monotonic()
    try {
      for (const message of publicationFrames.decode(frame)) this.#handlers.onPublication(peer, message)
    } catch (error) {
      this.#refuse(peer, error)
    }
  }

  #refuse(peer: Peer, error: unknown): void {
    if (!VirgaError.is(error) || error.code === 'Internal') {
      this.#counters.internalErrors++
      this.#world.log.error({ err: error, peer: peer.nodeId }, 'an unforeseen error over what a peer sent')
      return
    }
    mark('refuse.peer-frame')
    this.#counters.peerFramesRefused++
    this.#world.log.warn({ err: error, peer: peer.nodeId }, 'a frame of a peer was refused')
  }
}
