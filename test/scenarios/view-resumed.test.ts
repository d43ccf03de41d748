import { expect, test } from 'vitest'
import { withCluster } from '../support/cluster-in-process.js'

test('transactions that were resumed read from the view also when others read in the same turn', async () => {
  await withCluster(async (cluster) => {
    await cluster.boot()
    const virga = cluster.client()
    await cluster.until(virga.transaction((tx) => ['a', 'b', 'c'].forEach((key, i) => void tx.put(key, i))))
    // What is asked for is in the view from then on.
    await cluster.until(Promise.all(['a', 'b', 'c'].map((key) => virga.get(key))))
    await cluster.clock.advance(100)
    const resumed = async () => {
      const tx = await virga.begin()
      tx.put('own', 1)
      return virga.resume(await tx.handoff())
    }
    const many = await cluster.until(Promise.all([resumed(), resumed(), resumed()]))
    const begun = await cluster.until(virga.begin())
    const { keysRead } = await cluster.until(virga.inspect())
    // The first look of this turn is another one's.
    const reads = [begun, ...many].map((tx) => tx.getMany(['a', 'b', 'c']))
    expect(await cluster.until(Promise.all(reads))).toEqual(reads.map(() => [0, 1, 2]))
    expect((await cluster.until(virga.inspect())).keysRead, 'keys that the node was asked for').toBe(keysRead)
    for (const tx of [begun, ...many]) await tx.abort()
  })
})
