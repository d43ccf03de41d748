import { expect, test } from 'vitest'
import type { Link } from '../../../src/ports/transport.js'
import { withCluster } from '../../support/cluster-in-process.js'
import { idOf } from '../../support/ids.js'
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
    const { context: first } = await cluster.until(virga.step(undefined, (tx) => tx.put('a', 1)))
    const { context: second } = await cluster.until(virga.step(first, (tx) => tx.put('b', 1)))
    const context = [first, second]
    const error = await cluster.until(thrown(virga.commit(context, { result: 'x'.repeat(1024 * 1024) })))
    expect(error).toMatchObject({ code: 'LimitExceeded', outcome: 'definite' })
    await cluster.clock.advance(100)
    expect(cluster.count('transactionsOpen')).toBe(0)
    await cluster.until(virga.commit(context))
    expect(await cluster.until(virga.get('a'))).toBe(1)
  })
})

test('what ends a transaction is sent though the executor waits for as many answers as it may', async () => {
  await withCluster(async (cluster) => {
    await cluster.boot({ requestsPerSessionMax: 2 })
    const virga = cluster.client()
    const tx = await cluster.until(virga.begin())
    await cluster.until(tx.get('a'))
    await cluster.clock.advance(1_000)
    expect(cluster.count('transactionsOpen')).toBe(1)
    const holds = [cluster.storage.faults.hold('get'), cluster.storage.faults.hold('get')]
    const asking = holds.map(() => thrown(virga.status(idOf(cluster))))
    await cluster.clock.advance(10)
    asking.push(thrown(virga.status(idOf(cluster))))
    await cluster.until(tx.abort())
    await cluster.clock.advance(10)
    expect(cluster.count('transactionsOpen')).toBe(0)
    for (const hold of holds) hold.release()
    await cluster.until(Promise.allSettled(asking))
  })
})

test('and though the node takes nothing for a while', async () => {
  await withCluster(async (cluster) => {
    await cluster.boot()
    const link = cluster.hub.link()
    let isStuck = false
    const stuck: Link = {
      open: (handlers) => link.open(handlers),
      send: (frame) => !isStuck && link.send(frame),
      close: () => link.close(),
    }
    const virga = cluster.client({}, stuck)
    const tx = await cluster.until(virga.begin())
    await cluster.until(tx.get('a'))
    await cluster.clock.advance(1_000)
    expect(cluster.count('transactionsOpen')).toBe(1)
    isStuck = true
    await cluster.until(tx.abort())
    await cluster.clock.advance(100)
    isStuck = false
    await cluster.clock.advance(100)
    expect(cluster.count('transactionsOpen')).toBe(0)
  })
})

test('what never began there need not be ended there: nothing piles up while the node takes nothing', async () => {
  await withCluster(async (cluster) => {
    await cluster.boot()
    const link = cluster.hub.link()
    let isStuck = false
    let largest = 0
    const stuck: Link = {
      open: (handlers) => link.open(handlers),
      send: (frame) => {
        largest = Math.max(largest, frame.length)
        return !isStuck && link.send(frame)
      },
      close: () => link.close(),
    }
    const virga = cluster.client({ view: 'off', attemptsMax: 1 }, stuck)
    const tx = await cluster.until(virga.begin())
    await cluster.until(tx.get('a'))
    isStuck = true
    await cluster.until(tx.abort())
    for (let i = 0; i < 2_000; i++)
      expect(await cluster.until(thrown(virga.transaction((each) => each.get('a'))))).toMatchObject({
        code: 'Busy',
      })
    expect(largest).toBeLessThan(1_000)
    isStuck = false
    await cluster.clock.advance(100)
    expect(cluster.count('transactionsOpen')).toBe(0)
    expect(await cluster.until(virga.get('a'))).toBeUndefined()
  })
})
