import { expect, test } from 'vitest'
import { guardBuckets, guardKey } from '../../../../src/core/layout.js'
import { encodeGuard } from '../../../../src/wire/records.js'
import { withCluster } from '../../../support/cluster-in-process.js'

const MINUTE_MS = 60_000
/** Says nothing, so it may go. */
const IDLE = encodeGuard({ last: undefined, claimant: undefined })

test('guards that nobody needs are gone after one turn of each bucket, however the rounds fall into the minutes', async () => {
  await withCluster(async (cluster) => {
    const { clock, storage } = cluster
    const buckets = guardBuckets()
    const keys = new Map<string, string>()
    for (let i = 0; keys.size < buckets.length; i++) keys.set(guardKey(`k${i}`).bucket, `k${i}`)
    await clock.until(storage.put([...keys.values()].map((key) => ({ ...guardKey(key), value: IDLE }))))
    // Rounds come a little less often than once a minute, and at its end: so a minute passes without one before long.
    await clock.advance(MINUTE_MS - 2_000 - (clock.now() % MINUTE_MS))
    await cluster.boot({ collectEveryMs: 700 })
    await clock.advance((buckets.length + 1) * MINUTE_MS)
    const left = await clock.until(storage.get([...keys.values()].map(guardKey)))
    expect(buckets.filter((_, i) => left[i] !== undefined)).toEqual([])
  })
})
