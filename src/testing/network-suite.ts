/**
 * The contract of `Network` as tests that any implementation can be put through, under any runner.
 *
 * ```ts
 * import { test } from 'vitest'
 * networkSuite({ test, fixture: async () => ({ network: () => myNetwork(), until }) })
 * ```
 */
import type { Network, NodeAddress } from '../ports/network.js'
import { answering } from './network-suite/answering.js'
import type { Check } from './network-suite/kit.js'
import { publishing } from './network-suite/publishing.js'
import { restarting } from './network-suite/restarting.js'

export interface NetworkFixture {
  /**
   * A network that does not listen yet; all of a fixture reach each other. `at`: it is to listen where another listened
   * that was closed since. The suite closes it.
   */
  network(at?: NodeAddress): Network
  /** Resolves once `look` returns true, and lets time pass meanwhile; rejects with `what` if that takes too long. */
  until(what: string, look: () => boolean): Promise<unknown>
  /** After everything was closed, also when the test failed. */
  dispose?(): Promise<void>
}

export interface NetworkSuiteOptions {
  /** As of vitest, `node:test`, mocha. */
  readonly test: (name: string, run: () => Promise<void>) => unknown
  /** Called once for each test. */
  readonly fixture: () => Promise<NetworkFixture>
}

export function networkSuite({ test, fixture }: NetworkSuiteOptions): void {
  const check: Check = (name, run) => {
    test(name, async () => {
      const made = await fixture()
      const opened: Network[] = []
      const network = (at?: NodeAddress): Network => {
        const one = made.network(at)
        opened.push(one)
        return one
      }
      try {
        await run({ network, until: (what, look) => made.until(what, look) })
      } finally {
        await Promise.all(opened.map((one) => one.close()))
        await made.dispose?.()
      }
    })
  }

  answering(check)
  publishing(check)
  restarting(check)
}
