import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { VirgaError } from '../errors.js'

/** A host without brackets, and a port. */
export interface Endpoint {
  readonly host: string
  readonly port: number
}

const PATTERN = /^tcp:\/\/(?:\[([^[\]]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/
const HOST_LETTERS_MAX = 255

/** Undefined: not `tcp://HOST:PORT`. Addresses come from other nodes, and must not lead to anything but TCP. */
export function parseEndpoint(address: string): Endpoint | undefined {
  const match = PATTERN.exec(address)
  if (match === null) return undefined
  const [, v6, name, digits] = match
  const host = v6 ?? name ?? ''
  const port = Number(digits)
  if (v6 !== undefined && isIP(v6) !== 6) return undefined
  return port < 1 || port > 65_535 || host.length > HOST_LETTERS_MAX ? undefined : { host, port }
}

export function formatEndpoint({ host, port }: Endpoint): string {
  return `tcp://${isIP(host) === 6 ? `[${host}]` : host}:${port}`
}

/** A host as people write it: IPv6 with or without brackets. */
export function bareHost(host: string): string {
  return /^\[.*\]$/.test(host) ? host.slice(1, -1) : host
}

export function isWildcard(host: string): boolean {
  return host === '*' || host === '0.0.0.0' || (isIP(host) === 6 && /^[0:.]+$/.test(host))
}

/**
 * The numeric addresses of a host, at least one. ZeroMQ would look names up itself, but does so in the one thread that
 * moves all bytes: a slow name server would hold up every connection. Rejects as `dns.lookup` does.
 */
export async function resolveHost(host: string): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host]
  const found = await lookup(host, { all: true, verbatim: true })
  return found.map(({ address }) => address)
}

/** The numeric address to listen on. Throws `InvalidArgument`. */
export async function resolveOwnHost(host: string): Promise<string> {
  const bare = bareHost(host)
  if (bare === '*') return '0.0.0.0'
  try {
    return (await resolveHost(bare))[0]!
  } catch (cause) {
    throw new VirgaError(
      'InvalidArgument',
      `can't listen on the host ${JSON.stringify(host)}: it has no address (${(cause as NodeJS.ErrnoException).code}); give an IP address of this machine, or 0.0.0.0 for all`,
      { cause },
    )
  }
}
