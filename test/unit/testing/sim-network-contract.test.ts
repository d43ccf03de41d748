import { test } from 'vitest'
import { networkSuite } from '../../../src/testing/network-suite.js'
import { simulate } from '../../../src/testing/sim-clock.js'
import { SimNetwork } from '../../../src/testing/sim-network.js'

const LOOKS_MAX = 20_000

/** The simulated network keeps the contract of the real one, as long as it is calm. */
networkSuite({
  test,
  fixture: async () => {
    const { clock, random } = simulate(1)
    const fabric = new SimNetwork({ clock, random, queueFramesMax: 10_000 })
    let nodes = 0
    return {
      network: (at) => {
        const name = `node${++nodes}`
        return fabric.network(name, at === undefined ? {} : { address: at.requests.replace(/:1$/, '') })
      },
      until: async (what, look) => {
        for (let i = 0; i < LOOKS_MAX; i++) {
          if (look()) return
          await clock.advance(1)
        }
        throw new Error(what)
      },
    }
  },
})
