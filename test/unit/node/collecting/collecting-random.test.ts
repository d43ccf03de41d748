import { expect, test } from 'vitest'
import { Collector } from '../../../../src/node/collecting/collector.js'
import type { CollectingParts } from '../../../../src/node/collecting/parts.js'
import type { FaultPlan } from '../../../../src/testing/faulty-storage.js'
import { Dice } from '../../../support/dice.js'
import { seedFor } from '../../../support/seed.js'
import { CollectingCluster, type CollectingNode, LARGE, LEASE_TTL_MS } from './collecting-cluster.js'

const KEYS = ['a', 'b', 'c', 'd', 'e']
const NODES_MAX = 4
const STEPS = 60
const RUNS = 60

/** Latencies alone let rounds of several nodes meet in every order. */
const PLANS: readonly (FaultPlan | undefined)[] = [
  undefined,
  { probabilities: { latency: 0.5 } },
  { probabilities: { latency: 0.3, before: 0.03, after: 0.03, lost: 0.03, partial: 0.03, timeout: 0.03 } },
]

/** One that takes every other node for dead, and itself for picked: as a node may that was cut off, or a second compactor. */
function usurper(node: CollectingNode): Collector {
  const { membership } = node.parts
  const parts: CollectingParts = {
    ...node.parts,
    membership: {
      look: () => membership.look(),
      renew: () => membership.renew(),
      counted: () => membership.counted(),
      isFresh: () => membership.isFresh(),
      isLive: (origin) => origin === node.origin,
      isPicked: () => true,
    },
  }
  return new Collector(parts)
}

class Run {
  readonly cluster: CollectingCluster
  readonly #dice: Dice
  #value = 0
  #names = 0

  constructor(seed: number) {
    this.cluster = new CollectingCluster(seed)
    this.#dice = new Dice(seed)
  }

  async go(): Promise<void> {
    const { cluster } = this
    await cluster.boot('n0')
    await cluster.boot('n1', cluster.nodes[0])
    for (let step = 0; step < STEPS; step++) await this.#step()
    cluster.storage.faults.plan(undefined)
    await cluster.until(cluster.storage.faults.settled())
    await this.#finish()
  }

  async #step(): Promise<void> {
    const { cluster } = this
    const dice = this.#dice
    const node = dice.pick(cluster.live)
    switch (dice.between(0, 13)) {
      case 0:
      case 1:
      case 2:
      case 3:
        await this.#commit(node, false)
        break
      case 4:
        if (node.membership.isFresh()) node.snapshot()
        break
      case 5:
        for (const snapshot of cluster.snapshots) if (dice.fraction() < 0.5) snapshot.node.end(snapshot)
        break
      case 6:
        node.isDeaf = true
        break
      case 7:
        for (const each of cluster.live) each.listen()
        break
      case 8:
        await cluster.clock.advance(dice.between(500, 6_000))
        break
      case 9:
        if (cluster.live.length > 1) await this.#crash(node)
        break
      case 10:
        if (cluster.live.length < NODES_MAX) await this.#boot()
        break
      default:
        await this.#collect()
    }
    await cluster.checkReads()
    await cluster.stored.checkValues()
  }

  async #commit(node: CollectingNode, silent: boolean): Promise<void> {
    const dice = this.#dice
    const writes: Record<string, string | null> = {}
    for (let count = dice.between(1, 3); count > 0; count--) {
      const value = `${++this.#value}`
      writes[dice.pick(KEYS)] = dice.pick([value, value, `${LARGE} ${value}`, `${LARGE} ${value}`, null])
    }
    await this.cluster.until(
      node.commit(writes, { silent, claimed: dice.fraction() < 0.3, hasResult: dice.fraction() < 0.5 }),
    )
  }

  /** In the middle of a commit, of a round, or of nothing. Somebody who lives finds what it left. */
  async #crash(node: CollectingNode): Promise<void> {
    const { cluster } = this
    const others = cluster.live.filter((each) => each !== node)
    if (this.#dice.fraction() < 0.5) await this.#commit(node, true)
    else {
      const at = this.#dice.between(0, 40)
      let calls = 0
      node.strike = () =>
        calls++ === at ? this.#dice.pick(['before', 'during', 'after'] as const) : undefined
      await this.#collect()
      node.life.die()
    }
    for (const each of cluster.live) each.listen()
    for (const snapshot of cluster.snapshots)
      if (!snapshot.node.life.isAlive) cluster.snapshots.delete(snapshot)
    await cluster.until(others[0]!.adoption.look(0))
  }

  async #boot(): Promise<void> {
    for (const each of this.cluster.live) each.listen()
    await this.cluster.boot(`n${++this.#names + 1}`, this.cluster.live[0])
  }

  /** Rounds of all at once, some of them of nodes that believe to be alone, under some trouble. */
  async #collect(): Promise<void> {
    const { cluster } = this
    const rounds = cluster.live.flatMap((node) => {
      const collectors = [node.collector, usurper(node)].filter(() => this.#dice.fraction() < 0.6)
      return collectors.map((collector) => Promise.race([quiet(collector.round()), node.life.death]))
    })
    cluster.storage.faults.plan(this.#dice.pick(PLANS))
    await cluster.until(Promise.all(rounds))
    cluster.storage.faults.plan(undefined)
    if (this.#dice.fraction() < 0.7) await cluster.until(cluster.storage.faults.settled())
  }

  async #finish(): Promise<void> {
    const { cluster } = this
    for (const each of cluster.live) each.listen()
    cluster.snapshots.clear()
    await cluster.clock.advance(LEASE_TTL_MS * 2)
    for (const each of cluster.live) await cluster.until(each.adoption.look(0))
    for (let round = 0; round < 4; round++) {
      await cluster.settle()
      for (const node of cluster.live) await node.collectAll()
      await cluster.checkReads()
      await cluster.stored.checkValues()
    }
    await cluster.stored.checkNoGarbage()
    expect(await cluster.stored.records()).toEqual(
      cluster.committed.size === 0 ? {} : { compacted: cluster.committed.size },
    )
    await cluster.boot('fresh')
    await cluster.checkReads()
    await cluster.close()
  }
}

async function quiet(round: Promise<boolean>): Promise<void> {
  try {
    await round
  } catch (error) {
    // What storage fails at, and what a node that lost touch must not go on with, is for the next round.
    const { code } = error as { readonly code?: string }
    if (code !== 'StorageUnavailable' && code !== 'Interrupted') throw error
  }
}

test('collection at random, by many at once, under every trouble', { timeout: 120_000 }, async (context) => {
  const seed = seedFor(context)
  for (let run = 0; run < RUNS; run++) {
    try {
      await new Run(seed + run).go()
    } catch (cause) {
      throw new Error(`run ${run}, VIRGA_TEST_SEED=${seed + run}: ${(cause as Error).message}`, { cause })
    }
  }
})
