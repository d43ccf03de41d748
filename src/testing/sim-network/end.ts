import { VirgaError } from '../../errors.js'
import type { Line, LineHandlers, Network, NetworkHandlers, NodeAddress } from '../../ports/network.js'
import type { PeerId } from '../../ports/transport.js'
import type { SimNetwork } from '../sim-network.js'
import type { Connection } from './connection.js'
import { type Kind, SimLine } from './line.js'

export interface SimEndOptions {
  /** Where it is reached. Default: one place for each name. */
  readonly address?: string
  /** What it proves to own. Default null: it speaks in plain text. */
  readonly publicKey?: string | null
}

/** One incarnation of a node, as the network knows it. */
export class SimEnd implements Network {
  readonly name: string
  readonly publicKey: string | null
  isAlive = true
  isFrozen = false
  readonly #fabric: SimNetwork
  readonly #address: string
  readonly #lines = new Set<SimLine>()
  /** Connections that others made to this node. */
  readonly #accepted = new Map<PeerId, Connection>()
  #handlers: NetworkHandlers | undefined
  #allowed: ReadonlySet<string> = new Set()

  constructor(fabric: SimNetwork, name: string, options: SimEndOptions) {
    this.#fabric = fabric
    this.name = name
    this.publicKey = options.publicKey ?? null
    this.#address = options.address ?? `tcp://${name}.sim`
  }

  get handlers(): NetworkHandlers | undefined {
    return this.#handlers
  }

  async listen(handlers: NetworkHandlers): Promise<NodeAddress> {
    if (!this.isAlive) throw closed()
    const requests = `${this.#address}:1`
    const publications = `${this.#address}:2`
    this.#fabric.bind(requests, this)
    this.#fabric.bind(publications, this)
    this.#handlers = handlers
    return { requests, publications, publicKey: this.publicKey }
  }

  answer(to: PeerId, frame: Uint8Array): boolean {
    return this.#accepted.get(to)?.toDialer(frame) ?? false
  }

  publish(frame: Uint8Array): void {
    for (const connection of this.#accepted.values()) {
      if (connection.line.kind === 'publications') connection.toDialer(frame)
    }
  }

  dial(address: string, publicKey: string | null, handlers: LineHandlers): Line {
    return this.#connect('requests', address, publicKey, handlers)
  }

  subscribe(address: string, publicKey: string | null, handlers: LineHandlers): Line {
    return this.#connect('publications', address, publicKey, handlers)
  }

  allow(publicKeys: ReadonlySet<string>): void {
    this.#allowed = publicKeys
  }

  async close(): Promise<void> {
    this.die(false)
  }

  /** Who speaks in plain text lets in who does; who does not, those whose key it knows. */
  admits(dialer: SimEnd, expectedKey: string | null): boolean {
    if (this.publicKey === null && expectedKey === null) return true
    const why =
      expectedKey !== this.publicKey
        ? `${dialer.name} takes this node for another`
        : dialer.publicKey === null || !this.#allowed.has(dialer.publicKey)
          ? `${dialer.name} is not on the list`
          : undefined
    if (why === undefined) return true
    this.#handlers?.onRefused(why)
    return false
  }

  accept(connection: Connection): void {
    this.#accepted.set(connection.peer, connection)
  }

  release(connection: Connection): void {
    this.#accepted.delete(connection.peer)
  }

  forgetLine(line: SimLine): void {
    this.#lines.delete(line)
  }

  /** Nothing comes from it, or nothing reaches it: whoever has a connection with it gives that up unless it is over by then. */
  grewSilent(): void {
    const connections = [...this.#accepted.values()]
    for (const { connection } of this.#lines) if (connection !== undefined) connections.push(connection)
    for (const connection of connections) connection.watch()
  }

  die(silently: boolean): void {
    if (!this.isAlive) return
    this.isAlive = false
    this.#handlers = undefined
    for (const connection of [...this.#accepted.values()]) connection.acceptorDied(silently)
    for (const line of [...this.#lines]) line.dialerDied(silently)
    this.#fabric.unbind(this)
  }

  #connect(kind: Kind, address: string, publicKey: string | null, handlers: LineHandlers): Line {
    if (!this.isAlive) throw closed()
    const line = new SimLine(this.#fabric, this, { kind, address, publicKey }, handlers)
    this.#lines.add(line)
    line.connect()
    return line
  }
}

function closed(): VirgaError {
  return new VirgaError('Closed', 'this network was closed')
}
