import { Context } from 'zeromq'
import { VirgaError } from '../errors.js'
import type { Clock } from '../ports/clock.js'
import type { Random } from '../ports/random.js'
import { checkKey } from './z85.js'

export type ZeromqSecurity =
  | {
      /** Whoever reaches the ports may speak to this node, and anyone on the way can listen. */
      readonly kind: 'plain'
    }
  | {
      /** Encrypted; peers prove who they are. */
      readonly kind: 'curve'
      /** In Z85. */
      readonly publicKey: string
      readonly secretKey: string
      /** The only peers to speak with, in either direction. Given, `allow` is ignored. */
      readonly pinned?: ReadonlySet<string> | undefined
    }

export interface ZeromqNetworkOptions {
  /** The address to listen on, or a name of it. `0.0.0.0` or `::`: all of this machine's. IPv6 with brackets or without. */
  readonly host: string
  /** Port for requests. 0: any that is free. */
  readonly requestsPort: number
  /** Port for publications. 0: any that is free. */
  readonly publicationsPort: number
  /** The host that peers are told, if it is not `host`. Must be given where that stands for all addresses. */
  readonly advertise?: string | undefined
  readonly clock: Clock
  readonly random: Random
  /** A larger frame is not sent, and who sends one is disconnected. Must be the same on all nodes. */
  readonly frameBytesMax: number
  readonly security: ZeromqSecurity
  /** Publications that wait for one slow subscriber, on either side, before it misses some. */
  readonly publicationsMax?: number | undefined
  /** A peer is asked this often whether it is there, and given up after three times as long. */
  readonly heartbeatMs?: number | undefined
}

const LINGER_MS = 500
const HEARTBEAT_MS = 1_000
const HEARTBEATS_MISSED_MAX = 3
const HANDSHAKE_MS_MAX = 5_000
const CONNECT_MS_MAX = 3_000
/** Frames inside ZeroMQ per connection. Small: what waits before it is bounded by bytes, what waits there is not. */
const HIGH_WATER_MARK = 64
const PUBLICATIONS_MAX = 1_000
/** What encryption adds to a frame. */
const CURVE_BYTES = 64
const SOCKETS_MAX = 16_384
const PORT_MAX = 65_535

/**
 * One for all networks of this process, and apart from the one that programs get by default: the program that virga is a
 * part of may have a ZAP handler of its own there. One per network would leave its threads behind, since zeromq.js ends a
 * context only when the process ends.
 */
export const networkContext = new Context({ blocky: false, maxSockets: SOCKETS_MAX })

/** What every socket of a network has in common. */
export function socketOptions(options: ZeromqNetworkOptions): {
  readonly context: Context
  readonly linger: number
  readonly heartbeatInterval: number
  readonly heartbeatTimeout: number
  readonly heartbeatTimeToLive: number
  readonly handshakeInterval: number
  readonly maxMessageSize: number
} {
  const heartbeatMs = options.heartbeatMs ?? HEARTBEAT_MS
  return {
    context: networkContext,
    linger: LINGER_MS,
    heartbeatInterval: heartbeatMs,
    heartbeatTimeout: heartbeatMs * HEARTBEATS_MISSED_MAX,
    heartbeatTimeToLive: heartbeatMs * HEARTBEATS_MISSED_MAX,
    handshakeInterval: HANDSHAKE_MS_MAX,
    maxMessageSize: options.frameBytesMax + (options.security.kind === 'curve' ? CURVE_BYTES : 0),
  }
}

export function requestMarks(): {
  readonly sendHighWaterMark: number
  readonly receiveHighWaterMark: number
} {
  return { sendHighWaterMark: HIGH_WATER_MARK, receiveHighWaterMark: HIGH_WATER_MARK }
}

export function publicationMark({ publicationsMax = PUBLICATIONS_MAX }: ZeromqNetworkOptions): number {
  return publicationsMax
}

/** For a socket that connects: `connectTimeout`, since the system's own takes minutes. */
export function dialOptions(
  options: ZeromqNetworkOptions,
  publicKey: string | null,
): {
  readonly connectTimeout: number
  readonly reconnectInterval: number
  readonly curvePublicKey?: string
  readonly curveSecretKey?: string
  readonly curveServerKey?: string
} {
  const { security } = options
  // A socket is for one connection: the next is made by another, before this one would try again.
  const common = { connectTimeout: CONNECT_MS_MAX, reconnectInterval: 2 * CONNECT_MS_MAX }
  if (security.kind === 'plain' || publicKey === null) return common
  const { publicKey: curvePublicKey, secretKey: curveSecretKey } = security
  return { ...common, curvePublicKey, curveSecretKey, curveServerKey: publicKey }
}

/** Throws `InvalidArgument`. */
export function checkNetworkOptions(options: ZeromqNetworkOptions): void {
  const { security } = options
  for (const port of [options.requestsPort, options.publicationsPort]) {
    if (!Number.isInteger(port) || port < 0 || port > PORT_MAX)
      throw new VirgaError('InvalidArgument', `a port is a whole number of 0 to ${PORT_MAX}, not ${port}`)
  }
  if (security.kind !== 'curve') return
  checkKey('the public key of this node', security.publicKey)
  checkKey('the secret key of this node', security.secretKey)
  for (const key of security.pinned ?? []) checkKey(`the pinned key ${JSON.stringify(key)}`, key)
}
