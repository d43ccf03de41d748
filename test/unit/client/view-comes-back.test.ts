import { expect, test } from 'vitest'
import type { Virga } from '../../../src/client/virga.js'
import { VirgaError } from '../../../src/errors.js'
import { type Cluster, withCluster } from '../../support/cluster-in-process.js'

/** Whether a transaction begins and reads without a message: keys that are asked for are in the view soon after. */
async function readsInView(cluster: Cluster, virga: Virga): Promise<boolean> {
  const read = (): Promise<unknown> => cluster.until(virga.transaction((tx) => tx.get('a')))
  await read()
  await cluster.clock.advance(10)
  const before = cluster.count('requests')
  expect(await read()).toBe(1)
  return cluster.count('requests') === before
}

test('an executor that comes when the last one has left finds a view that is kept up, however quiet the node is', async () => {
  await withCluster(async (cluster) => {
    await cluster.boot()
    const first = cluster.client()
    await cluster.until(first.transaction((tx) => tx.put('a', 1)))
    expect(await readsInView(cluster, first)).toBe(true)
    await cluster.until(first.close())
    // The view's beat ends.
    await cluster.clock.advance(5_000)
    const second = cluster.client()
    await cluster.until(second.get('a'))
    await cluster.clock.advance(5_000)
    expect(await readsInView(cluster, second)).toBe(true)
  })
})

test('a view that was given up while it was about to be opened is asked for again; one that can not be opened is not', async () => {
  await withCluster(async (cluster) => {
    await cluster.boot()
    const { open } = cluster.views
    let opens = 0
    let failing = 1
    cluster.views.open = async (path, onDamaged) => {
      opens++
      if (failing-- > 0) throw new VirgaError('StorageUnavailable', 'it is gone')
      return await open.call(cluster.views, path, onDamaged)
    }
    const virga = cluster.client()
    await cluster.until(virga.transaction((tx) => tx.put('a', 1)))
    expect(opens).toBe(1)
    expect(await readsInView(cluster, virga)).toBe(false)
    await cluster.clock.advance(1_500)
    expect(opens).toBe(2)
    expect(await readsInView(cluster, virga)).toBe(true)

    failing = Number.POSITIVE_INFINITY
    opens = 0
    const blind = cluster.client()
    expect(await cluster.until(blind.get('a'))).toBe(1)
    await cluster.clock.advance(100_000)
    expect(opens).toBe(2)
    expect(await readsInView(cluster, blind)).toBe(false)
  })
})
