import { expect, test } from 'vitest'
import { decisionKey } from '../../../../src/core/layout.js'
import { CollectingCluster, LEASE_TTL_MS, MINUTE_MS } from './collecting-cluster.js'

/** An hour more than markers are kept, and tombstones after them. */
const AWAY_MINUTES = 330

/**
 * It made a decision that nobody heard of; the next node found that in storage, gave it a place of its own, compacted it, and deleted
 * its marker. No place that is told any more says that it is compacted: in the chains it would show what a tombstone, which is gone
 * as well, has hidden.
 */
test('a node that was away until the markers of what it has in its chains were deleted starts anew', async () => {
  const cluster = new CollectingCluster()
  const away = await cluster.boot('away')
  const txns = [await away.commit({ x: 'old' })]
  // It stands still: its next renewal never comes.
  away.life.isAlive = false
  await cluster.clock.advance(LEASE_TTL_MS * 3)
  const stays = await cluster.boot('stays')
  txns.push(await stays.commit({ x: null }))
  for (let minute = 0; minute < AWAY_MINUTES; minute++) {
    await cluster.clock.advance(MINUTE_MS)
    await stays.collectAll()
  }
  expect(await cluster.storage.get(txns.map(decisionKey))).toEqual([undefined, undefined])
  expect((await cluster.stored.bases()).size).toBe(0)
  await cluster.checkReads()

  away.life.isAlive = true
  await cluster.until(away.membership.renew())
  await Promise.race([cluster.clock.advance(LEASE_TTL_MS), away.life.death])
  expect(away.membership.isFresh()).toBe(false)
  expect(away.life.isAlive).toBe(false)
  await cluster.close()
})
