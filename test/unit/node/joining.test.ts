import { expect, test } from 'vitest'
import { DEFAULT_CONFIG } from '../../../src/node/config.js'
import type { Machine } from '../../../src/testing/sim/machine.js'
import { SimCluster } from '../../../src/testing/sim/sim-cluster.js'

const SOON_MS = 200

/**
 * A node looks at the leases when it takes its own, and from then on a few times in a time to live. Who joins while it starts greets
 * it in vain: it must not be met only by the next look.
 */
test('who joins while a node starts is known once that one serves (seed 40000209)', async () => {
  const cluster = new SimCluster(1, { nodes: 2, isCalm: true })
  Object.assign(cluster.plan.config, DEFAULT_CONFIG, { leaseTtlMs: 60_000, collectEveryMs: 60_000 })
  const { clock, machines } = cluster
  const [slow, quick] = machines as [Machine, Machine]
  const listing = slow.gates.hold({ operation: 'list', bucket: 'decision/' }, 'before')
  slow.keepRunning()
  await clock.until(listing.reached)
  quick.keepRunning()
  await clock.advance(5_000)
  expect(slow.node).toBeUndefined()
  expect(quick.node).toBeDefined()
  listing.release()
  await clock.advance(SOON_MS)
  expect(Object.fromEntries(slow.node!.inspect().counters)).toMatchObject({ members: 2, peersUp: 1 })

  const written = quick.addExecutor().virga
  await clock.advance(SOON_MS)
  await clock.until(written.transaction((tx) => tx.put('a', 1)))
  const read = slow.addExecutor().virga
  await clock.advance(SOON_MS)
  expect(await clock.until(read.get('a'))).toBe(1)
})
