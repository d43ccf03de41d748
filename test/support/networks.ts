/** Networks of this process over loopback. They end with the test that made them. */
import { onTestFinished } from 'vitest'
import { systemClock } from '../../src/platform/clock.js'
import { systemRandom } from '../../src/platform/random.js'
import type { Network, NodeAddress } from '../../src/ports/network.js'
import { type ZeromqNetworkOptions, zeromqNetwork } from '../../src/transport/zeromq-network.js'

export function testNetwork(options: Partial<ZeromqNetworkOptions> = {}): Network {
  const network = zeromqNetwork({
    host: '127.0.0.1',
    requestsPort: 0,
    publicationsPort: 0,
    clock: systemClock(),
    random: systemRandom(),
    frameBytesMax: 1024 * 1024,
    security: { kind: 'plain' },
    ...options,
  })
  onTestFinished(() => network.close())
  return network
}

/** The ports of an address; any that are free, if there is none. */
export function portsOf(address: NodeAddress | undefined): {
  readonly requestsPort: number
  readonly publicationsPort: number
} {
  return {
    requestsPort: address === undefined ? 0 : portOf(address.requests),
    publicationsPort: address === undefined ? 0 : portOf(address.publications),
  }
}

export function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1))
}
