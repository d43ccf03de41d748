import { VirgaError } from '../errors.js'
import type { Line, LineHandlers, Network, NetworkHandlers, NodeAddress } from '../ports/network.js'
import type { PeerId } from '../ports/transport.js'
import { isKey } from './z85.js'
import { parseEndpoint } from './zeromq-network-address.js'
import { publicationConnect, requestConnect } from './zeromq-network-connect.js'
import { type Connect, ZeromqLine } from './zeromq-network-line.js'
import { checkNetworkOptions, type ZeromqNetworkOptions } from './zeromq-network-options.js'
import { ZeromqServer } from './zeromq-network-server.js'

export type { ZeromqNetworkOptions, ZeromqSecurity } from './zeromq-network-options.js'

const LINES_MAX = 2_000

/**
 * Nodes reach each other over TCP: a ROUTER takes requests, an XPUB publishes, each line has a DEALER or a SUB.
 *
 * With `security: 'curve'` everything is encrypted, and both ends of a connection know whom they speak with: this node only
 * takes connections of keys that are allowed (or pinned), and dials only whom it is given the key of (and, if keys are pinned,
 * that is pinned too). What changes who is allowed holds for new connections; those that stand are left alone.
 *
 * A line that must not be made (the address is none, one side has a key and the other has none, the key is not pinned) never
 * comes up, and is told through `onRefused`: one wrong entry in the list of members must not keep a node from the others.
 *
 * Throws `InvalidArgument`.
 */
export function zeromqNetwork(options: ZeromqNetworkOptions): Network {
  checkNetworkOptions(options)
  return new ZeromqNetwork(options)
}

const DEAD_LINE: Line = { send: () => false, close() {} }

class ZeromqNetwork implements Network {
  readonly #options: ZeromqNetworkOptions
  readonly #lines = new Set<ZeromqLine>()
  #allowed: ReadonlySet<string> = new Set()
  #handlers: NetworkHandlers | undefined
  #starting: Promise<ZeromqServer> | undefined
  #server: ZeromqServer | undefined
  #closing: Promise<void> | undefined

  constructor(options: ZeromqNetworkOptions) {
    this.#options = options
    const { security } = options
    if (security.kind === 'curve' && security.pinned !== undefined) this.#allowed = new Set(security.pinned)
  }

  async listen(handlers: NetworkHandlers): Promise<NodeAddress> {
    if (this.#closing !== undefined) throw new VirgaError('Closed', 'the network is closed')
    if (this.#starting !== undefined) throw new VirgaError('InvalidArgument', 'the network listens already')
    this.#handlers = handlers
    this.#starting = ZeromqServer.start(this.#options, (key) => this.#allowed.has(key), handlers)
    this.#server = await this.#starting
    return this.#server.address
  }

  answer(to: PeerId, frame: Uint8Array): boolean {
    return this.#closing === undefined && this.#server !== undefined && this.#server.answer(to, frame)
  }

  publish(frame: Uint8Array): void {
    if (this.#closing === undefined) this.#server?.publish(frame)
  }

  dial(address: string, publicKey: string | null, handlers: LineHandlers): Line {
    return this.#line(address, publicKey, handlers, requestConnect(this.#options, publicKey))
  }

  subscribe(address: string, publicKey: string | null, handlers: LineHandlers): Line {
    return this.#line(address, publicKey, handlers, publicationConnect(this.#options, publicKey))
  }

  allow(publicKeys: ReadonlySet<string>): void {
    if (this.#pinned === undefined) this.#allowed = new Set(publicKeys)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  get #pinned(): ReadonlySet<string> | undefined {
    const { security } = this.#options
    return security.kind === 'curve' ? security.pinned : undefined
  }

  #line(address: string, publicKey: string | null, handlers: LineHandlers, connect: Connect): Line {
    if (this.#closing !== undefined) throw new VirgaError('Closed', 'the network is closed')
    const endpoint = parseEndpoint(address)
    const why = this.#refusal(publicKey) ?? (endpoint === undefined ? 'that is no address' : undefined)
    if (endpoint === undefined || why !== undefined) {
      const says = `${JSON.stringify(address.slice(0, ADDRESS_LETTERS_SHOWN))} is not connected to: ${why}`
      if (this.#handlers === undefined) throw new VirgaError('InvalidArgument', says)
      this.#handlers.onRefused(says)
      return DEAD_LINE
    }
    const { clock, random } = this.#options
    const line = new ZeromqLine({ endpoint, connect, clock, random, handlers })
    this.#lines.add(line)
    void line.ended.then(() => this.#lines.delete(line))
    return line
  }

  #refusal(publicKey: string | null): string | undefined {
    const { security } = this.#options
    if (this.#lines.size >= LINES_MAX) return `there are ${LINES_MAX} lines already`
    if (security.kind === 'plain')
      return publicKey === null ? undefined : 'it has a key, and this node has none'
    if (publicKey === null) return 'it has no key, and this node has one'
    if (!isKey(publicKey)) return 'its key is none'
    if (security.pinned?.has(publicKey) === false) return `its key ${publicKey} is not among those pinned`
    return undefined
  }

  async #close(): Promise<void> {
    const lines = [...this.#lines]
    for (const line of lines) line.close()
    await this.#starting?.then(
      (server) => server.close(),
      () => undefined,
    )
    await Promise.all(lines.map(({ ended }) => ended))
  }
}

const ADDRESS_LETTERS_SHOWN = 300
