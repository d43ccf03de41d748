import { expect, test } from 'vitest'
import { withCluster } from '../../support/cluster-in-process.js'
import { thrown } from '../../support/thrown.js'

test('an executor that finds the node full is let in when there is room', async () => {
  await withCluster(async (cluster) => {
    await cluster.boot({ sessionsMax: 1 })
    const first = cluster.client()
    await cluster.until(first.up())
    const second = cluster.client()
    expect(await cluster.until(thrown(second.up()))).toMatchObject({ code: 'Busy' })
    await cluster.until(first.close())
    await cluster.until(second.up())
    expect(await cluster.until(second.transaction((tx) => tx.get('a')))).toBe(undefined)
  })
})

test('a commit whose result is too large leaves nothing open', async () => {
  await withCluster(async (cluster) => {
    await cluster.boot()
    const virga = cluster.client()
    const { context } = await cluster.until(virga.step(undefined, (tx) => tx.put('a', 1)))
    const error = await cluster.until(thrown(virga.commit(context, { result: 'x'.repeat(1024 * 1024) })))
    expect(error).toMatchObject({ code: 'LimitExceeded', outcome: 'definite' })
    await cluster.clock.advance(100)
    expect(cluster.count('transactionsOpen')).toBe(0)
    await cluster.until(virga.commit(context))
    expect(await cluster.until(virga.get('a'))).toBe(1)
  })
})
