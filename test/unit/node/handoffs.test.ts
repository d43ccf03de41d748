import { describe, expect, test } from 'vitest'
import { pinBuckets } from '../../../src/core/layout.js'
import { type Cluster, withCluster } from '../../support/cluster-in-process.js'
import { idOf } from '../../support/ids.js'
import { thrown } from '../../support/thrown.js'

const SMALL_CONTEXTS = { inlineWriteSetBytesMax: 64 }
const LARGE = 'l'.repeat(1_000)

async function pinsInStorage(cluster: Cluster): Promise<number> {
  let found = 0
  for (const bucket of pinBuckets()) for await (const _ of cluster.storage.list(bucket)) found++
  return found
}

describe('a durable handoff', () => {
  test('survives a crash, and reads the snapshot of its beginning, whatever was committed since', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot(SMALL_CONTEXTS)
      const virga = cluster.client()
      await cluster.until(virga.transaction((tx) => tx.put('seen', 'before')))
      const id = idOf(cluster)
      const root = await cluster.until(
        virga.step(undefined, (tx) => tx.put('own', LARGE), { id, durable: true }),
      )
      await cluster.until(virga.transaction((tx) => tx.put('seen', 'after')))
      await cluster.crash()
      await cluster.boot(SMALL_CONTEXTS)
      for (let run = 0; run < 2; run++) {
        const tx = await cluster.until(virga.resume(root.context))
        expect(await cluster.until(tx.getMany(['seen', 'own']))).toEqual(['before', LARGE])
        await tx.abort()
      }
      // Through a second crash, handed on from the second incarnation to the third.
      const next = await cluster.until(
        virga.step(root.context, (tx) => tx.put('more', LARGE), { durable: true }),
      )
      await cluster.crash()
      await cluster.boot(SMALL_CONTEXTS)
      const tx = await cluster.until(virga.resume(next.context))
      expect(await cluster.until(tx.getMany(['seen', 'own', 'more']))).toEqual(['before', LARGE, LARGE])
      expect(await cluster.until(virga.get('seen'))).toBe('after')
      expect(await cluster.until(tx.commit({ result: 'ok' }))).toMatchObject({
        result: 'ok',
        replayed: false,
      })
      expect(await cluster.until(virga.commit(root.context))).toMatchObject({ result: 'ok', replayed: true })
    })
  })

  test('of several cuts, with stretches of order that overlap or of which one failed', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot(SMALL_CONTEXTS)
      const virga = cluster.client()
      const { faults } = cluster.storage
      const contexts: { readonly context: string; readonly seen: number }[] = []
      const slow: Promise<unknown>[] = []
      for (let i = 1; i <= 12; i++) {
        await cluster.until(virga.transaction((tx) => tx.put('n', i)))
        const tx = await cluster.until(virga.begin({ id: idOf(cluster) }))
        tx.put('own', `${LARGE}${i}`)
        // Some stretches are written while others are still under way, or fail after all or part of them was written.
        if (i % 4 === 1) faults.next('put', { kind: 'latency', latencyMs: 5_000 })
        if (i % 4 === 2) faults.next('put', { kind: 'partial', entries: i % 3 })
        const handing = tx.handoff({ durable: true }).then((context) => contexts.push({ context, seen: i }))
        if (i % 4 === 1) slow.push(handing)
        else await cluster.until(handing.catch(() => undefined))
      }
      await cluster.until(Promise.all(slow))
      expect(contexts.length).toBe(9)
      for (let crashes = 0; crashes < 2; crashes++) {
        await cluster.crash()
        await cluster.boot(SMALL_CONTEXTS)
        for (const { context, seen } of contexts) {
          const tx = await cluster.until(virga.resume(context))
          expect(await cluster.until(tx.getMany(['n', 'own']))).toEqual([seen, `${LARGE}${seen}`])
          await tx.abort()
        }
        await cluster.until(virga.transaction((tx) => tx.put('n', 'later')))
      }
    })
  })

  test('leaves nothing behind once its transaction has ended, also if the deletion fails at first', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot(SMALL_CONTEXTS)
      const virga = cluster.client()
      const id = idOf(cluster)
      const root = await cluster.until(
        virga.step(undefined, (tx) => tx.put('a', LARGE), { id, durable: true }),
      )
      expect(await pinsInStorage(cluster)).toBe(1)
      expect(cluster.count('pins')).toBe(1)
      await cluster.until(virga.commit(root.context))
      expect(cluster.count('pins')).toBe(0)
      cluster.storage.faults.next('delete', 'before')
      await cluster.clock.advance(10_000)
      expect(await pinsInStorage(cluster)).toBe(0)
      expect(await cluster.until(virga.get('a'))).toBe(LARGE)
    })
  })

  test('whose transaction is never ended is unpinned after its deadline, also by the next node', async () => {
    await withCluster(async (cluster) => {
      for (const crashes of [false, true]) {
        await cluster.boot(SMALL_CONTEXTS)
        const virga = cluster.client()
        const options = { id: idOf(cluster), durable: true, deadlineMs: 60_000 }
        const { context } = await cluster.until(virga.step(undefined, (tx) => tx.put('a', LARGE), options))
        if (crashes) {
          await cluster.crash()
          await cluster.boot(SMALL_CONTEXTS)
        }
        expect(await pinsInStorage(cluster)).toBe(1)
        // Of a node that died another is not told: it finds the pin once the deadline has passed by all clocks.
        await cluster.clock.advance(crashes ? 5 * 60_000 : 70_000)
        expect(await pinsInStorage(cluster)).toBe(0)
        const late = await cluster.until(thrown(virga.resume(context)))
        expect(late).toMatchObject({ code: 'DeadlineExceeded', retryable: true })
        await cluster.crash()
      }
    })
  })

  test('of a second attempt stays pinned, though the first one was unpinned late', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot(SMALL_CONTEXTS)
      const virga = cluster.client()
      const id = idOf(cluster)
      await cluster.until(virga.transaction((tx) => tx.put('seen', 1)))
      await cluster.until(
        virga.step(undefined, (tx) => tx.put('a', LARGE), { id, durable: true, deadlineMs: 10_000 }),
      )
      // The deletion of what the first attempt left is put off.
      cluster.storage.faults.plan({
        probabilities: { before: 1 },
        spared: ['put', 'get', 'compareAndSwap', 'list'],
      })
      await cluster.clock.advance(12_000)
      const second = await cluster.until(
        virga.step(undefined, (tx) => tx.put('a', LARGE), { id, durable: true }),
      )
      cluster.storage.faults.plan(undefined)
      await cluster.clock.advance(5_000)
      await cluster.crash()
      await cluster.boot(SMALL_CONTEXTS)
      const tx = await cluster.until(virga.resume(second.context))
      expect(await cluster.until(tx.get('seen'))).toBe(1)
    })
  })

  test('of a second attempt waits for a deletion of what the first one left', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot(SMALL_CONTEXTS)
      const virga = cluster.client()
      const id = idOf(cluster)
      await cluster.until(virga.transaction((tx) => tx.put('seen', 1)))
      await cluster.until(
        virga.step(undefined, (tx) => tx.put('a', LARGE), { id, durable: true, deadlineMs: 10_000 }),
      )
      const hold = cluster.storage.faults.hold('delete')
      await cluster.clock.advance(12_000)
      await cluster.until(hold.reached)
      const second = virga.step(undefined, (tx) => tx.put('a', LARGE), { id, durable: true })
      await cluster.clock.advance(1_000)
      hold.release()
      const { context } = await cluster.until(second)
      await cluster.crash()
      await cluster.boot(SMALL_CONTEXTS)
      const tx = await cluster.until(virga.resume(context))
      expect(await cluster.until(tx.get('seen'))).toBe(1)
    })
  })

  for (const kind of ['before', 'after', 'lost', 'partial', 'timeout'] as const) {
    test(`whose storage fails (${kind}) can be tried again from the context before it`, async () => {
      await withCluster(async (cluster) => {
        await cluster.boot(SMALL_CONTEXTS)
        const virga = cluster.client()
        const root = await cluster.until(virga.step(undefined, (tx) => tx.put('a', 1), { id: idOf(cluster) }))
        cluster.storage.faults.next('put', kind)
        const failing = thrown(virga.step(root.context, (tx) => tx.put('a', LARGE), { durable: true }))
        expect((await cluster.until(failing)).code).toBe('StorageUnavailable')
        const again = await cluster.until(
          virga.step(root.context, (tx) => tx.put('b', LARGE), { durable: true }),
        )
        await cluster.until(virga.commit(again.context))
        expect(await cluster.until(virga.transaction((tx) => tx.getMany(['a', 'b'])))).toEqual([1, LARGE])
        expect(cluster.count('transactionsOpen')).toBe(0)
      })
    })
  }
})

describe('write sets that a node holds', () => {
  test('are lost with it, typed so that the caller begins a new attempt', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot(SMALL_CONTEXTS)
      const virga = cluster.client()
      const root = await cluster.until(
        virga.step(undefined, (tx) => tx.put('a', LARGE), { id: idOf(cluster) }),
      )
      await cluster.crash()
      await cluster.boot(SMALL_CONTEXTS)
      const lost = await cluster.until(thrown(virga.step(root.context, (tx) => tx.get('a'))))
      expect(['WriteSetLost', 'SnapshotUnavailable']).toContain(lost.code)
      expect(lost.retryable).toBe(true)
    })
  })

  test('have a bound, beyond which handoffs are refused as Busy, and durable ones are not', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot({ ...SMALL_CONTEXTS, heldBytesMax: 2_500 })
      const virga = cluster.client()
      const step = (durable: boolean) =>
        virga.step(undefined, (tx) => tx.put('a', LARGE), { id: idOf(cluster), durable })
      const held = [await cluster.until(step(false)), await cluster.until(step(false))]
      const refused = await cluster.until(thrown(step(false)))
      expect(refused).toMatchObject({ code: 'Busy', outcome: 'definite' })
      expect(cluster.count('transactionsOpen')).toBe(0)
      const durable = await cluster.until(step(true))
      await cluster.until(virga.commit(durable.context))
      // Room comes back with each transaction that ends.
      await cluster.until(virga.commit(held[0]!.context))
      await cluster.until(step(false))
    })
  })

  test('are dropped at their deadline', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot(SMALL_CONTEXTS)
      const virga = cluster.client()
      await cluster.until(
        virga.step(undefined, (tx) => tx.put('a', LARGE), { id: idOf(cluster), deadlineMs: 5_000 }),
      )
      expect(cluster.count('heldBytes')).toBeGreaterThan(1_000)
      await cluster.clock.advance(7_000)
      expect(cluster.count('heldBytes')).toBe(0)
    })
  })
})
