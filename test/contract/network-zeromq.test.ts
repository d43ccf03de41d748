import { describe, test } from 'vitest'
import type { NodeAddress } from '../../src/ports/network.js'
import { networkSuite } from '../../src/testing/network-suite.js'
import { makeKeyPair } from '../../src/transport/zeromq-keys.js'
import { portsOf, testNetwork } from '../support/networks.js'
import { until } from '../support/until.js'

/** The contract of `Network` over real sockets, in plain text and encrypted. */

describe.each(['plain', 'curve'] as const)('%s', (kind) => {
  networkSuite({
    test,
    fixture: async () => {
      // A node that restarts where it was keeps its key.
      const keys = new Map<string, ReturnType<typeof makeKeyPair>>()
      return {
        until,
        network(at?: NodeAddress) {
          const pair = keys.get(at?.publicKey ?? '') ?? makeKeyPair()
          keys.set(pair.publicKey, pair)
          return testNetwork({
            ...portsOf(at),
            security: kind === 'plain' ? { kind } : { kind, ...pair },
          })
        },
      }
    },
  })
})
