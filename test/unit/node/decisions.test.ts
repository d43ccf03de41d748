import { describe, expect, test } from 'vitest'
import { parseTxnId } from '../../../src/core/ids.js'
import { decisionKey } from '../../../src/core/layout.js'
import { type Cluster, withCluster } from '../../support/cluster-in-process.js'
import { idOf } from '../../support/ids.js'
import { thrown } from '../../support/thrown.js'

const RESOLVE_MS = 10_000

/** Lets the node lose sight of its next decision, whose effect comes `effectAfterMs` later, while storage is down. */
function loseSight(cluster: Cluster, effectAfterMs: number | 'never', outageMs: number): void {
  const { faults } = cluster.storage
  faults.next('compareAndSwap', { kind: 'timeout', latencyMs: 100, effectAfterMs })
  faults.plan({ probabilities: { before: 1 } })
  cluster.clock.timer(outageMs, () => faults.plan(undefined))
}

describe('a commit whose outcome storage does not tell', () => {
  test('is answered OutcomeUnknown, and adopted into the history once it is found', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot({ resolveMsMax: RESOLVE_MS })
      const virga = cluster.client()
      const id = idOf(cluster)
      const tx = await cluster.until(virga.begin({ id }))
      tx.put('a', 1)
      const committing = thrown(tx.commit({ result: 'done' }))
      loseSight(cluster, 50, RESOLVE_MS * 3)
      expect(await cluster.until(committing)).toMatchObject({ code: 'OutcomeUnknown', outcome: 'indefinite' })
      expect(cluster.clock.monotonic()).toBeLessThan(RESOLVE_MS * 2)
      // Not acknowledged, not known: not visible (I4), though it stands in storage.
      expect(await cluster.until(virga.get('a'))).toBeUndefined()
      expect(cluster.witness.committed.has(id)).toBe(true)
      await cluster.clock.advance(RESOLVE_MS * 3)
      expect(await cluster.until(virga.get('a'))).toBe(1)
      expect(cluster.count('adoptions')).toBe(1)
      expect(cluster.count('outcomesUnknown')).toBe(1)
      expect(await cluster.until(virga.status(id))).toMatchObject({ status: 'committed', result: 'done' })
    })
  })

  test('never happens once its attempt was fenced, however late its effect would come', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const virga = cluster.client()
      const id = idOf(cluster)
      const tx = await cluster.until(virga.begin({ id }))
      tx.put('a', 1)
      cluster.storage.faults.next('compareAndSwap', {
        kind: 'timeout',
        latencyMs: 100,
        effectAfterMs: 60_000,
      })
      const error = await cluster.until(thrown(tx.commit()))
      expect(error).toMatchObject({ code: 'StorageUnavailable', outcome: 'definite', retryable: true })
      await cluster.clock.advance(120_000)
      await cluster.until(cluster.storage.faults.settled())
      expect(cluster.witness.committed.size).toBe(0)
      expect(await cluster.until(virga.status(id))).toMatchObject({ status: 'open' })
      // The id is not burned: a later attempt commits.
      await cluster.until(virga.transaction((later) => later.put('a', 2), { id }))
      expect(await cluster.until(virga.get('a'))).toBe(2)
    })
  })

  test('is not told as a definite failure when it can not be looked into, as where storage was closed', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot({ resolveMsMax: RESOLVE_MS })
      const virga = cluster.client()
      const tx = await cluster.until(virga.begin({ id: idOf(cluster) }))
      tx.put('a', 1)
      const committing = thrown(tx.commit())
      cluster.storage.faults.next('compareAndSwap', { kind: 'timeout', latencyMs: 100, effectAfterMs: 50 })
      await cluster.clock.advance(50)
      void cluster.storage.close()
      expect(await cluster.until(committing)).toMatchObject({ code: 'OutcomeUnknown', outcome: 'indefinite' })
      expect(cluster.witness.committed.size).toBe(1)
    })
  })

  test('goes on being looked into when the caller is gone', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot({ resolveMsMax: RESOLVE_MS })
      const [virga, other] = [cluster.client(), cluster.client()]
      const tx = await cluster.until(virga.begin({ id: idOf(cluster) }))
      tx.put('a', 1)
      const committing = thrown(tx.commit())
      loseSight(cluster, 50, RESOLVE_MS * 3)
      await cluster.clock.advance(1_000)
      await cluster.until(Promise.all([virga.close(), committing]))
      expect(await committing).toMatchObject({ outcome: 'indefinite' })
      await cluster.clock.advance(RESOLVE_MS * 5)
      expect(await cluster.until(other.get('a'))).toBe(1)
    })
  })
})

/** Every order in which a commit's swap and something else of the same id can meet. */
describe('while a decision is being written', () => {
  for (const point of ['before', 'after'] as const) {
    test(`a cancel ${point} the swap and the commit agree`, async () => {
      await withCluster(async (cluster) => {
        await cluster.boot()
        const [virga, other] = [cluster.client(), cluster.client()]
        const id = idOf(cluster)
        const tx = await cluster.until(virga.begin({ id }))
        tx.put('a', 1)
        const hold = cluster.storage.faults.hold('compareAndSwap', point)
        const committing = tx.commit({ result: 7 }).then(
          () => 'committed',
          (error) => error.code,
        )
        await cluster.until(hold.reached)
        const cancelled = await cluster.until(
          other.cancel(id).then(
            () => 'cancelled',
            (error) => error.code,
          ),
        )
        hold.release()
        const committed = await cluster.until(committing)
        if (point === 'before') expect([cancelled, committed]).toEqual(['cancelled', 'TransactionAborted'])
        else expect([cancelled, committed]).toEqual(['AlreadyCommitted', 'committed'])
      })
    })

    test(`a competing attempt ${point} the swap makes one decision, and both get its result`, async () => {
      await withCluster(async (cluster) => {
        await cluster.boot()
        const [virga, other] = [cluster.client(), cluster.client()]
        const id = idOf(cluster)
        const hold = cluster.storage.faults.hold('compareAndSwap', point)
        const run = (name: string) => (tx: { put(key: string, value: unknown): void }) => {
          tx.put('a', name)
          return name
        }
        const first = virga.transaction(run('first'), { id })
        await cluster.until(hold.reached)
        const second = await cluster.until(other.transaction(run('second'), { id }))
        hold.release()
        expect(await cluster.until(first)).toBe(second)
        expect(second).toBe(point === 'before' ? 'second' : 'first')
        expect(await cluster.until(virga.get('a'))).toBe(second)
      })
    })

    test(`a session that closes ${point} the swap leaves all or nothing, and the node is free of it`, async () => {
      await withCluster(async (cluster) => {
        await cluster.boot()
        const [virga, other] = [cluster.client(), cluster.client()]
        const tx = await cluster.until(virga.begin())
        tx.put('a', 1)
        const hold = cluster.storage.faults.hold('compareAndSwap', point)
        const committing = thrown(tx.commit())
        await cluster.until(hold.reached)
        await cluster.until(virga.close())
        expect(await cluster.until(committing)).toMatchObject({ outcome: 'indefinite' })
        hold.release()
        await cluster.clock.runUntilIdle()
        expect(await cluster.until(other.get('a'))).toBe(1)
        expect(cluster.count('transactionsOpen')).toBe(0)
        expect(cluster.count('sessions')).toBe(1)
      })
    })

    test(`a deadline that passes ${point} the swap does not undo it`, async () => {
      await withCluster(async (cluster) => {
        await cluster.boot()
        const virga = cluster.client()
        const tx = await cluster.until(virga.begin({ deadlineMs: 1_000 }))
        tx.put('a', 1)
        const hold = cluster.storage.faults.hold('compareAndSwap', point)
        const committing = tx.commit()
        await cluster.until(hold.reached)
        await cluster.clock.advance(5_000)
        hold.release()
        expect(await cluster.until(committing)).toMatchObject({ status: 'committed' })
        expect(await cluster.until(virga.get('a'))).toBe(1)
      })
    })
  }

  test('nobody sees its writes before it is durable, nor its half after (I1, I4)', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const [virga, other] = [cluster.client(), cluster.client()]
      const tx = await cluster.until(virga.begin())
      tx.put('a', 1)
      tx.put('b', 1)
      const hold = cluster.storage.faults.hold('compareAndSwap', 'after')
      const committing = tx.commit()
      await cluster.until(hold.reached)
      const snapshot = await cluster.until(other.begin())
      expect(await cluster.until(snapshot.getMany(['a', 'b']))).toEqual([undefined, undefined])
      hold.release()
      await cluster.until(committing)
      expect(await cluster.until(other.transaction((t) => t.getMany(['a', 'b'])))).toEqual([1, 1])
      // A snapshot stays as it was taken (I3).
      expect(await cluster.until(snapshot.getMany(['a', 'b']))).toEqual([undefined, undefined])
    })
  })

  test('what began earlier and commits later is visible after it, not shadowed (scenario 9)', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const virga = cluster.client()
      const early = await cluster.until(virga.begin())
      await cluster.until(early.get('a'))
      await cluster.clock.advance(1_000)
      await cluster.until(virga.transaction((tx) => tx.put('a', 'began later')))
      early.put('a', 'began earlier')
      await cluster.until(early.commit())
      expect(await cluster.until(virga.get('a'))).toBe('began earlier')
      await cluster.crash()
      await cluster.boot()
      expect(await cluster.until(virga.get('a'))).toBe('began earlier')
    })
  })
})

describe('a begin that looks its id up', () => {
  test('is answered with the decision, applied, that its node had lost sight of', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot({ resolveMsMax: RESOLVE_MS })
      const virga = cluster.client()
      const id = idOf(cluster)
      const tx = await cluster.until(virga.begin({ id }))
      tx.put('a', 1)
      const committing = thrown(tx.commit({ result: 'first' }))
      loseSight(cluster, 50, RESOLVE_MS + 2_000)
      expect(await cluster.until(committing)).toMatchObject({ code: 'OutcomeUnknown' })
      let runs = 0
      const retry = virga.transaction(() => ++runs, { id })
      expect(await cluster.until(retry)).toBe('first')
      expect(runs).toBe(0)
      expect(await cluster.until(virga.get('a'))).toBe(1)
    })
  })

  test('whose session closes meanwhile leaves nothing open', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const virga = cluster.client()
      await cluster.until(virga.up())
      const hold = cluster.storage.faults.hold('get')
      const running = thrown(virga.transaction(() => 1, { id: idOf(cluster) }))
      await cluster.until(hold.reached)
      expect(cluster.count('transactionsOpen')).toBe(1)
      await cluster.until(virga.close())
      hold.release()
      await cluster.until(running)
      expect(cluster.count('transactionsOpen')).toBe(0)
    })
  })

  test('that storage fails is told to what was sent along, and gives its place back', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const virga = cluster.client({ attemptsMax: 1 })
      await cluster.until(virga.up())
      cluster.storage.faults.next('get', 'before')
      const error = await cluster.until(thrown(virga.transaction(() => 1, { id: idOf(cluster) })))
      expect(error).toMatchObject({ code: 'StorageUnavailable', outcome: 'definite' })
      await cluster.clock.runUntilIdle()
      expect(cluster.count('transactionsOpen')).toBe(0)
    })
  })
})

test('an id whose record was fenced far ahead commits again by hand', async () => {
  await withCluster(async (cluster) => {
    await cluster.boot()
    const virga = cluster.client()
    const id = idOf(cluster)
    const tx = await cluster.until(virga.begin({ id }))
    tx.put('a', 1)
    cluster.storage.faults.next('compareAndSwap', 'lost')
    await cluster.until(thrown(tx.commit()))
    await cluster.crash()
    // The next node's clock is behind the fence.
    cluster.clock.jump(-5 * 60_000)
    await cluster.boot()
    const [record] = await cluster.until(cluster.storage.get([decisionKey(parseTxnId(id))]))
    expect(record).toBeDefined()
    expect(
      await cluster.until(
        virga.transaction(
          (t) => {
            t.put('a', 2)
            return 'second'
          },
          { id },
        ),
      ),
    ).toBe('second')
  })
})
