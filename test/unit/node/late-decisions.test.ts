import { expect, test } from 'vitest'
import { withCluster } from '../../support/cluster-in-process.js'
import { idOf } from '../../support/ids.js'
import { thrown } from '../../support/thrown.js'

/** For the look itself, beyond the time when it is due. */
const LOOK_MS = 2_000
const LEASE_TTL_MS = 10_000

test.each([1_000, 15_000, 40_000, 300_000, 3_000_000])(
  'a decision that comes %d ms after another process took the place of its node is seen after twice as long',
  async (ms) => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const executor = cluster.client()
      const id = idOf(cluster)
      const tx = await cluster.until(executor.begin({ id }))
      tx.put('a', 1)
      cluster.storage.faults.next('compareAndSwap', { kind: 'timeout', latencyMs: ms, effectAfterMs: ms })
      const committing = thrown(tx.commit({ result: 'done' }))
      await cluster.clock.advance(10)
      await cluster.crash()
      // Else it would see to it that this attempt never commits.
      await cluster.until(executor.close())
      await cluster.until(committing)
      await cluster.boot()
      const virga = cluster.client()
      expect(await cluster.until(virga.get('a'))).toBeUndefined()
      expect(cluster.witness.committed.has(id)).toBe(false)
      await cluster.clock.advance(ms)
      expect(cluster.witness.committed.has(id)).toBe(true)
      await cluster.clock.advance(Math.max(ms, LEASE_TTL_MS) + LOOK_MS)
      expect(await cluster.until(virga.get('a'))).toBe(1)
      expect(cluster.count('adoptions')).toBe(1)
      expect(cluster.logged).toEqual([])
    })
  },
)
