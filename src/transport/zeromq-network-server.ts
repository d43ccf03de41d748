import { Router, type Socket, XPublisher } from 'zeromq'
import { VirgaError } from '../errors.js'
import type { NetworkHandlers, NodeAddress } from '../ports/network.js'
import type { PeerId } from '../ports/transport.js'
import { bareHost, formatEndpoint, isWildcard, resolveOwnHost } from './zeromq-network-address.js'
import { ECHO_BYTES_MAX, ECHO_TOPIC, PUBLICATION_TOPIC } from './zeromq-network-connect.js'
import {
  publicationMark,
  requestMarks,
  socketOptions,
  type ZeromqNetworkOptions,
} from './zeromq-network-options.js'
import { openZapDomain, type ZapDomain } from './zeromq-network-zap.js'
import { peerIdOf, ZeromqPeers } from './zeromq-peers.js'
import { ZeromqReader } from './zeromq-reader.js'

const PEER_FRAMES_MAX = 1_024
const PEER_BYTES_MAX = 64 * 1024 * 1024
/** Peers with answers that wait. Others take no room here. */
const PEERS_MAX = 4_096

const SUBSCRIBE = 1
const ECHO_LETTER = ECHO_TOPIC.charCodeAt(0)

/** The two ports of a node: a ROUTER takes requests and answers them, an XPUB publishes. */
export class ZeromqServer {
  readonly address: NodeAddress
  readonly #options: ZeromqNetworkOptions
  readonly #router: Router
  readonly #publisher: XPublisher
  readonly #zap: ZapDomain | undefined
  readonly #peers: ZeromqPeers
  readonly #loops: readonly Promise<unknown>[]

  /** Throws `InvalidArgument` if an address can't be had. */
  static async start(
    options: ZeromqNetworkOptions,
    isAllowed: (publicKey: string) => boolean,
    handlers: NetworkHandlers,
  ): Promise<ZeromqServer> {
    const { host, advertise, security } = options
    const bare = bareHost(advertise ?? host)
    if (isWildcard(bare)) {
      throw new VirgaError(
        'InvalidArgument',
        `peers can't reach ${bare}, which stands for all addresses: say as advertise under which name or address they reach this node`,
      )
    }
    const own = await resolveOwnHost(host)
    const onRefused = (why: string): void => handlers.onRefused(why)
    const zap = security.kind === 'curve' ? await openZapDomain({ isAllowed, onRefused }) : undefined
    const common = { ...socketOptions(options), ...serverSecurity(options, zap), ipv6: own.includes(':') }
    const router = new Router({ ...common, ...requestMarks(), mandatory: true, sendTimeout: 0 })
    // A timeout of 0 has each send done when it returns. An XPUB never has to wait anyhow: who is slow misses something.
    const publisher = new XPublisher({
      ...common,
      sendHighWaterMark: publicationMark(options),
      sendTimeout: 0,
    })
    publisher.verbosity = 'allSubs'
    const watch = (socket: Socket): Promise<void> => watchRefusals(socket, security.kind, handlers)
    const watching = Promise.all([watch(router), watch(publisher)])
    try {
      const requests = await bind(router, own, options.requestsPort, 'requests')
      const publications = await bind(publisher, own, options.publicationsPort, 'publications')
      const address: NodeAddress = {
        requests: formatEndpoint({ host: bare, port: requests }),
        publications: formatEndpoint({ host: bare, port: publications }),
        publicKey: security.kind === 'curve' ? security.publicKey : null,
      }
      return new ZeromqServer(options, handlers, address, { router, publisher, zap, watching })
    } catch (error) {
      router.close()
      publisher.close()
      // Until then what was bound may be so still.
      await watching
      await zap?.close()
      throw error
    }
  }

  private constructor(
    options: ZeromqNetworkOptions,
    handlers: NetworkHandlers,
    address: NodeAddress,
    parts: {
      readonly router: Router
      readonly publisher: XPublisher
      readonly zap: ZapDomain | undefined
      /** Resolves when both sockets are closed. */
      readonly watching: Promise<unknown>
    },
  ) {
    const { clock } = options
    this.address = address
    this.#options = options
    this.#router = parts.router
    this.#publisher = parts.publisher
    this.#zap = parts.zap
    this.#peers = new ZeromqPeers(parts.router, {
      clock,
      framesMax: PEER_FRAMES_MAX,
      bytesMax: PEER_BYTES_MAX,
    })
    const requests = new ZeromqReader(parts.router, clock, ([routingId, frame, more]) => {
      if (routingId === undefined || frame === undefined || more !== undefined) return
      handlers.onRequest(peerIdOf(routingId), frame)
    })
    const subscriptions = new ZeromqReader(parts.publisher, clock, ([message]) => {
      if (message?.[0] !== SUBSCRIBE || message[1] !== ECHO_LETTER) return
      if (message.length <= ECHO_BYTES_MAX) void this.#publisher.send(message.subarray(1))
    })
    this.#loops = [requests.done, subscriptions.done, parts.watching]
  }

  answer(to: PeerId, frame: Uint8Array): boolean {
    if (frame.length > this.#options.frameBytesMax) return false
    if (this.#peers.size >= PEERS_MAX && !this.#peers.has(to)) return false
    this.#peers.open(to)
    const isTaken = this.#peers.send(to, frame)
    this.#peers.forget(to)
    return isTaken
  }

  publish(frame: Uint8Array): void {
    if (frame.length <= this.#options.frameBytesMax) void this.#publisher.send([PUBLICATION_TOPIC, frame])
  }

  async close(): Promise<void> {
    await this.#peers.close()
    this.#router.close()
    this.#publisher.close()
    // Connections that were authenticated end with the help of who authenticated them.
    await Promise.all(this.#loops)
    await this.#zap?.close()
  }
}

function serverSecurity(
  { security }: ZeromqNetworkOptions,
  zap: ZapDomain | undefined,
):
  | {
      readonly curveServer: true
      readonly curveSecretKey: string
      readonly zapDomain: string
      readonly zapEnforceDomain: true
    }
  | Record<string, never> {
  if (security.kind === 'plain' || zap === undefined) return {}
  return {
    curveServer: true,
    curveSecretKey: security.secretKey,
    zapDomain: zap.name,
    zapEnforceDomain: true,
  }
}

/** Binds, and returns the port. */
async function bind(socket: Socket, host: string, port: number, what: string): Promise<number> {
  const address = formatEndpoint({ host, port })
  try {
    await socket.bind(address)
  } catch (cause) {
    const why = BIND_FAILURES[(cause as NodeJS.ErrnoException).code ?? ''] ?? (cause as Error).message
    throw new VirgaError('InvalidArgument', `can't listen on ${address} for ${what}: ${why}`, { cause })
  }
  return Number(/:(\d+)$/.exec(socket.lastEndpoint ?? '')?.[1])
}

const BIND_FAILURES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'something else listens there: end it, or choose another port',
  EADDRNOTAVAIL:
    'this machine does not have that address: give one that it has, or 0.0.0.0 for all, and as advertise the one that peers reach',
  ENODEV: 'this machine does not have that address: give one that it has',
  EACCES: 'this user may not have that port: choose one above 1023',
}

/**
 * Refusals that come before a peer shows its key. Those for its key are told by who checks it. One that hangs up first is
 * not counted: so do probes that only see whether a port is open.
 */
async function watchRefusals(
  socket: Socket,
  kind: ZeromqNetworkOptions['security']['kind'],
  handlers: NetworkHandlers,
): Promise<void> {
  for await (const event of socket.events) {
    if (event.type !== 'handshake:error:protocol') continue
    const { code } = event.error
    handlers.onRefused(
      `a peer that connected to ${event.address} ${MISTAKES[kind][code] ?? `failed: ${code}`}`,
    )
  }
}

const MISTAKES: Readonly<Record<'plain' | 'curve', Readonly<Record<string, string>>>> = {
  plain: { ERR_ZMTP_MECHANISM_MISMATCH: 'has a key, and this node has none' },
  curve: {
    ERR_ZMTP_MECHANISM_MISMATCH: 'has no key',
    ERR_ZMTP_CRYPTOGRAPHIC: 'expects another key than the one of this node',
  },
}
