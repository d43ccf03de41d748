import { describe, expect, test } from 'vitest'
import { withCluster } from '../../support/cluster-in-process.js'
import { idOf } from '../../support/ids.js'
import { thrown } from '../../support/thrown.js'

const interrupted = { code: 'Interrupted', retryable: false, outcome: 'indefinite' }

describe('a signal', () => {
  test('that was given before anything refuses everything', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const virga = cluster.client()
      const signal = AbortSignal.abort('early')
      let runs = 0
      const calls: readonly (() => Promise<unknown>)[] = [
        () => virga.transaction(() => ++runs, { signal }),
        () => virga.begin({ signal }),
        () => virga.resume('context', { signal }),
        () => virga.get('a', { signal }),
        () => virga.step(undefined, () => ++runs, { signal }),
      ]
      for (const call of calls) expect(await cluster.until(thrown(call()))).toMatchObject(interrupted)
      expect(runs).toBe(0)
    })
  })

  test('ends waiting for a node that is not there', async () => {
    await withCluster(async (cluster) => {
      const virga = cluster.client()
      const controller = new AbortController()
      const beginning = thrown(virga.begin({ signal: controller.signal }))
      await cluster.clock.advance(100)
      controller.abort()
      expect(await cluster.until(beginning)).toMatchObject(interrupted)
      expect(cluster.clock.monotonic()).toBe(100)
    })
  })

  for (const [stage, operation, point] of [
    ['the look-up', 'get', 'before'],
    ['the decision, before it stands', 'compareAndSwap', 'before'],
    ['the decision, after it stands', 'compareAndSwap', 'after'],
  ] as const) {
    test(`during ${stage} ends the wait, and the id tells what became of it`, async () => {
      await withCluster(async (cluster) => {
        await cluster.boot()
        const virga = cluster.client()
        await cluster.until(virga.up())
        const controller = new AbortController()
        const id = idOf(cluster)
        const hold = cluster.storage.faults.hold(operation, point)
        const running = thrown(
          virga.transaction((tx) => tx.put('a', 'first'), { id, signal: controller.signal }),
        )
        await cluster.until(hold.reached)
        controller.abort(new Error('enough'))
        const error = await cluster.until(running)
        expect(error).toMatchObject(interrupted)
        expect(error.cause).toMatchObject({ message: 'enough' })
        hold.release()
        await cluster.clock.runUntilIdle()
        expect(cluster.count('transactionsOpen')).toBe(0)
        const committed = operation === 'compareAndSwap'
        expect((await cluster.until(virga.status(id))).status).toBe(committed ? 'committed' : 'open')
        await cluster.until(virga.transaction((tx) => tx.put('a', 'again'), { id }))
        expect(await cluster.until(virga.get('a'))).toBe(committed ? 'first' : 'again')
      })
    })
  }

  test('between two attempts ends the pause', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const virga = cluster.client({ retryDelayMs: 60_000, retryDelayMsMax: 60_000 })
      await cluster.until(virga.up())
      cluster.storage.faults.next('compareAndSwap', 'before')
      const controller = new AbortController()
      const running = thrown(virga.transaction((tx) => tx.put('a', 1), { signal: controller.signal }))
      await cluster.clock.advance(1_000)
      controller.abort()
      expect(await cluster.until(running, 1)).toMatchObject(interrupted)
    })
  })

  test('that is used for many requests keeps nothing of them', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const virga = cluster.client()
      const controller = new AbortController()
      const { signal } = controller
      let listeners = 0
      const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)]
      Object.assign(signal, {
        addEventListener: (...args: Parameters<typeof add>) => {
          listeners++
          add(...args)
        },
        removeEventListener: (...args: Parameters<typeof remove>) => {
          listeners--
          remove(...args)
        },
      })
      for (let i = 0; i < 20; i++)
        await cluster.until(
          virga.transaction(async (tx) => tx.put('a', await tx.get('b').then(() => i)), { signal }),
        )
      expect(listeners).toBe(0)
    })
  })
})
