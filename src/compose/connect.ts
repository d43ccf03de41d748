import type { ClientOptions } from '../client/options.js'
import { Virga } from '../client/virga.js'
import { DEFAULT_LIMITS } from '../limits.js'
import { systemClock } from '../platform/clock.js'
import { macOf } from '../platform/mac.js'
import { systemProcesses } from '../platform/processes.js'
import { systemRandom } from '../platform/random.js'
import { checkSocketPath, defaultSocketPath } from '../platform/socket-path.js'
import { zmtpLink } from '../transport/zmtp-link.js'
import { lmdbOpener } from '../view/lmdb-opener.js'

export interface ConnectOptions extends ClientOptions {
  /** Path of the node's socket. Default: $VIRGA_SOCKET, else `virga/node.sock` in the user's runtime folder, else `virga-UID/node.sock` in that for temporary files. */
  readonly socket?: string | undefined
  /** Ends waiting for the node. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Connects to this machine's node. Rejects with `NodeUnavailable` if none answers in time, and with `UnsupportedVersion` if it
 * speaks another version of the protocol. The connection then mends itself when the node restarts; what was open is lost with
 * it (`SessionLost`).
 */
export async function connect(options: ConnectOptions = {}): Promise<Virga> {
  const { socket, signal, ...rest } = options
  const path = checkSocketPath(socket ?? defaultSocketPath())
  const clock = systemClock()
  const link = zmtpLink({ path, frameBytesMax: DEFAULT_LIMITS.frameBytesMax, clock })
  const world = {
    clock,
    random: systemRandom(),
    processes: systemProcesses(),
    link,
    views: lmdbOpener(),
    macOf,
  }
  const virga = new Virga(world, rest)
  try {
    await virga.up(signal)
    return virga
  } catch (error) {
    await virga.close()
    throw error
  }
}
