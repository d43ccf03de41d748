import { expect, test } from 'vitest'
import { leaseKey } from '../../../src/core/layout.js'
import { type Cluster, withCluster } from '../../support/cluster-in-process.js'

const TTL_MS = 4_000

/** A node that has run for a while. */
async function settled(cluster: Cluster): Promise<void> {
  await cluster.boot({ leaseTtlMs: TTL_MS })
  await cluster.clock.advance(10_000)
}

const isFresh = (cluster: Cluster): boolean => cluster.count('fresh') === 1

test('a node whose machine was suspended, its monotonic clock with it, knows that it was out of touch, and catches up', async () => {
  await withCluster(async (cluster) => {
    await settled(cluster)
    expect(isFresh(cluster)).toBe(true)
    const lapses = cluster.count('lapses')
    // Its clock was set when it went on.
    cluster.clock.jump(60_000)
    expect(isFresh(cluster)).toBe(false)
    // It does not wait for the next renewal. Nothing that is open needs what others might have collected.
    await cluster.clock.advance(50)
    expect(isFresh(cluster)).toBe(true)
    expect(cluster.count('lapses')).toBe(lapses)
  })
})

test('the same where nobody asked before it renewed its lease', async () => {
  await withCluster(async (cluster) => {
    await settled(cluster)
    cluster.clock.jump(60_000)
    // No more than the renewal: what comes back takes its time.
    const held = cluster.storage.faults.hold('get')
    await cluster.clock.advance(TTL_MS / 5 + 10)
    expect(isFresh(cluster)).toBe(false)
    held.release()
    await cluster.clock.advance(TTL_MS)
    expect(isFresh(cluster)).toBe(true)
  })
})

test('a clock that is set back is no lapse', async () => {
  await withCluster(async (cluster) => {
    await settled(cluster)
    cluster.clock.jump(-60_000)
    expect(isFresh(cluster)).toBe(true)
    await cluster.clock.advance(TTL_MS)
    expect(isFresh(cluster)).toBe(true)
  })
})

test('a node whose lease was removed was taken for dead: it is fresh again once it has caught up', async () => {
  await withCluster(async (cluster) => {
    await settled(cluster)
    await cluster.until(cluster.storage.delete([leaseKey('n1')]))
    const held = cluster.storage.faults.hold('get')
    await cluster.clock.advance(TTL_MS / 5 + 10)
    expect(isFresh(cluster)).toBe(false)
    held.release()
    await cluster.clock.advance(TTL_MS)
    expect(isFresh(cluster)).toBe(true)
  })
})
