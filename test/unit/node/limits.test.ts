import { describe, expect, test } from 'vitest'
import { makeTxnId } from '../../../src/core/ids.js'
import { DEFAULT_LIMITS } from '../../../src/limits.js'
import type { Reply, Request } from '../../../src/wire/messages.js'
import { beginOf } from '../../support/begin.js'
import { type Cluster, withCluster } from '../../support/cluster-in-process.js'
import { idOf } from '../../support/ids.js'
import { RawExecutor } from '../../support/raw-executor.js'
import { thrown } from '../../support/thrown.js'

/** Requests that one session may have seen to before it is another's turn. */
const QUANTUM = 32

const answers = (raw: RawExecutor, type: Reply['type']): number =>
  raw.received.filter((reply) => reply.type === type).length

async function raw(cluster: Cluster, name: string): Promise<RawExecutor> {
  const executor = new RawExecutor(cluster.hub.link(), name)
  await cluster.clock.runUntilIdle()
  expect(answers(executor, 'welcome')).toBe(1)
  return executor
}

const ping = (request: number): Request => ({ type: 'ping', request })
const begin = (request: number, handle: number): Request => ({ ...beginOf(handle), request })

describe('bounds', () => {
  test('requests of one executor: one more is Busy, and an end is not', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot({ requestsPerSessionMax: 4 })
      const flood = await raw(cluster, 'flood')
      const hold = Array.from({ length: 4 }, () => cluster.storage.faults.hold('get'))
      const status = (request: number): Request => ({
        type: 'status',
        request,
        id: makeTxnId(Date.UTC(2026, 0, 1), new Uint8Array(10)),
      })
      flood.send(...[1, 2, 3, 4, 5, 6].map(status), { type: 'end', request: 7, handle: 1 })
      await cluster.clock.runUntilIdle()
      expect(flood.codes()).toEqual(['Busy', 'Busy'])
      expect(answers(flood, 'done')).toBe(1)
      for (const each of hold) each.release()
      await cluster.clock.runUntilIdle()
      expect(answers(flood, 'state')).toBe(4)
      flood.send(ping(8))
      await cluster.clock.runUntilIdle()
      expect(answers(flood, 'done')).toBe(2)
      expect(cluster.count('refusedBusy')).toBe(2)
      // What ends takes no place from others, however much of it there is.
      const ends = Array.from(
        { length: 50 },
        (_, i): Request => ({ type: 'end', request: 10 + i, handle: 1 }),
      )
      flood.send(...ends, ...[60, 61, 62, 63].map(ping))
      await cluster.clock.runUntilIdle()
      expect(answers(flood, 'done')).toBe(2 + 54)
      flood.send(...[70, 71, 72, 73, 74].map(ping))
      await cluster.clock.runUntilIdle()
      expect(cluster.count('refusedBusy')).toBe(3)
    })
  })

  test('open transactions: one more is Busy, until one ends', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot({ transactionsMax: 2 })
      const executor = await raw(cluster, 'e')
      executor.send(begin(1, 1), begin(2, 2), begin(3, 3))
      await cluster.clock.runUntilIdle()
      expect([answers(executor, 'begun'), executor.codes()]).toEqual([2, ['Busy']])
      expect(cluster.count('transactionsOpen')).toBe(2)
      executor.send({ type: 'end', request: 4, handle: 1 }, begin(5, 5))
      await cluster.clock.runUntilIdle()
      expect(answers(executor, 'begun')).toBe(3)
      // A handle that is in use, and the reserved one, take no place.
      executor.send({ type: 'end', request: 6, handle: 2 }, begin(7, 5), begin(8, 0))
      await cluster.clock.runUntilIdle()
      expect(executor.codes()).toEqual(['Busy', 'InvalidArgument', 'InvalidArgument'])
      expect(cluster.count('transactionsOpen')).toBe(1)
    })
  })

  test('answers that nobody waits for go with another one, or by themselves when they are a quarter of what may be waited for', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot({ requestsPerSessionMax: 16 })
      const executor = await raw(cluster, 'a')
      executor.send(begin(1, 1), begin(2, 2), begin(3, 3))
      await cluster.clock.advance(100)
      expect(answers(executor, 'begun')).toBe(0)
      executor.send(begin(4, 4))
      await cluster.clock.advance(1)
      expect(answers(executor, 'begun')).toBe(4)
      executor.send(begin(5, 5))
      await cluster.clock.advance(100)
      expect(answers(executor, 'begun')).toBe(4)
      executor.send(ping(6))
      await cluster.clock.advance(1)
      expect(answers(executor, 'begun')).toBe(5)
    })
  })

  test('sessions: one more is Busy, until one says goodbye', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot({ sessionsMax: 2 })
      const first = await raw(cluster, 'a')
      await raw(cluster, 'b')
      const third = new RawExecutor(cluster.hub.link(), 'c')
      await cluster.clock.runUntilIdle()
      expect(third.codes()).toEqual(['Busy'])
      first.send({ type: 'bye', request: 9 })
      await cluster.clock.runUntilIdle()
      third.greet()
      await cluster.clock.runUntilIdle()
      expect(answers(third, 'welcome')).toBe(1)
      expect(cluster.count('sessions')).toBe(2)
    })
  })

  test('values, keys and results, again at the node, and the session lives on', async () => {
    await withCluster(async (cluster) => {
      const limits = {
        ...DEFAULT_LIMITS,
        valueBytesMax: 10,
        keyBytesMax: 10,
        writeSetKeysMax: 3,
        resultBytesMax: 5,
      }
      await cluster.boot({ limits })
      const executor = await raw(cluster, 'e')
      const commits: [string, number, number][] = [
        ['k', 11, 0],
        ['k'.repeat(11), 1, 0],
        ['', 1, 0],
        ['k', 1, 6],
        ['k', 10, 5],
      ]
      for (const [n, [key, bytes, result]] of commits.entries()) {
        const handle = n + 1
        executor.send(begin(n * 2 + 1, handle), {
          type: 'commit',
          request: n * 2 + 2,
          handle,
          writes: [[key, new Uint8Array(bytes)]],
          result: result === 0 ? null : new Uint8Array(result),
        })
      }
      await cluster.clock.runUntilIdle()
      expect(executor.codes()).toEqual(['LimitExceeded', 'LimitExceeded', 'InvalidArgument', 'LimitExceeded'])
      expect(answers(executor, 'committed')).toBe(1)
      expect(cluster.count('transactionsOpen')).toBe(0)
    })
  })
})

describe('fairness', () => {
  test('a flood of one executor delays another by a quantum, once that one is heard', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const flood = await raw(cluster, 'flood')
      const modest = await raw(cluster, 'modest')
      await cluster.crash()
      const operations: string[] = []
      await cluster.boot({}, (_call, operation) => {
        operations.push(operation)
        return undefined
      })
      await cluster.clock.runUntilIdle()
      operations.length = 0
      // So slow that its turn is over after each quantum.
      cluster.lookMs = 10
      const id = makeTxnId(Date.UTC(2026, 0, 1), new Uint8Array(10))
      flood.send(
        ...Array.from({ length: 4_000 }, (_, i) => ({ type: 'status', request: i + 1, id }) as const),
      )
      modest.send(begin(1, 1), {
        type: 'handoff',
        request: 2,
        handle: 1,
        writes: [['k', Uint8Array.of(1)]],
        durable: true,
      })
      await cluster.clock.runUntilIdle()
      // One quantum before the other was heard of, and one before its turn came.
      expect(operations.indexOf('put')).toBeLessThanOrEqual(2 * QUANTUM)
      expect(operations.filter((operation) => operation === 'get').length).toBe(4_000)
      expect(answers(flood, 'state')).toBe(4_000)
      expect(answers(modest, 'handed')).toBe(1)
    })
  })
})

describe('an executor', () => {
  test('whose begin failed is told why by all that it sent along', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const virga = cluster.client({ attemptsMax: 1, view: 'off' })
      const tx = await cluster.until(virga.begin({ deadlineMs: 10 ** 12 }))
      expect((await cluster.until(thrown(tx.get('a')))).code).toBe('InvalidArgument')
      tx.put('a', 1)
      expect((await cluster.until(thrown(tx.commit()))).code).toBe('InvalidArgument')
      await cluster.clock.runUntilIdle()
      expect(cluster.count('transactionsOpen')).toBe(0)
      const wrong = await cluster.until(virga.begin({ consistency: 'strict' as 'lww' }))
      expect((await cluster.until(thrown(wrong.get('a')))).code).toBe('Unsupported')
    })
  })

  test('that died is found by its process, and what it had open is gone', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const [dead, alive] = [cluster.client(), cluster.client()]
      const tx = await cluster.until(dead.begin())
      await cluster.until(tx.get('a'))
      await cluster.until(alive.up())
      expect([cluster.count('sessions'), cluster.count('transactionsOpen')]).toEqual([2, 1])
      cluster.killExecutor(0)
      await cluster.clock.advance(2_000)
      expect([cluster.count('sessions'), cluster.count('transactionsOpen')]).toEqual([1, 0])
      expect(cluster.count('sessionsLost')).toBe(1)
    })
  })

  test('sends ahead what is large, and commits it whole', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const virga = cluster.client({ spillBytes: 1_000 })
      const values = Array.from({ length: 30 }, (_, i) => `${i}`.padEnd(300, '.'))
      await cluster.until(
        virga.transaction(async (tx) => {
          for (const [i, value] of values.entries()) {
            tx.put(`k${i}`, value)
            tx.put(`k${i % 3}`, value)
          }
          tx.delete('k29')
          expect(await tx.get('k0')).toBe(values[27])
          expect(await tx.get('k29')).toBeUndefined()
        }),
      )
      const read = await cluster.until(virga.transaction((tx) => tx.getMany(values.map((_, i) => `k${i}`))))
      expect(read).toEqual(
        values.map((value, i) =>
          i === 29 ? undefined : i < 3 ? [values[27], values[28], values[29]][i] : value,
        ),
      )
    })
  })

  test('whose spill was refused commits nothing of it', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot({ limits: { ...DEFAULT_LIMITS, writeSetBytesMax: 2_000 } })
      const virga = cluster.client({ spillBytes: 500 })
      const id = idOf(cluster)
      const run = virga.transaction(
        (tx) => {
          for (let i = 0; i < 10; i++) tx.put(`k${i}`, 'x'.repeat(400))
        },
        { id },
      )
      expect((await cluster.until(thrown(run))).code).toBe('LimitExceeded')
      expect(cluster.witness.committed.size).toBe(0)
      await cluster.clock.runUntilIdle()
      expect(cluster.count('transactionsOpen')).toBe(0)
    })
  })
})

describe('a deadline', () => {
  test('that passed refuses what follows, typed as retryable, and gives room back', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const virga = cluster.client()
      const id = idOf(cluster)
      for (const sweptMs of [501, 5_000]) {
        const tx = await cluster.until(virga.begin({ id, deadlineMs: 500 }))
        tx.put('a', 1)
        await cluster.clock.advance(sweptMs)
        const late = await cluster.until(thrown(tx.commit()))
        expect(late).toMatchObject({ code: 'DeadlineExceeded', retryable: true, outcome: 'definite' })
      }
      await cluster.clock.runUntilIdle()
      expect(cluster.count('transactionsOpen')).toBe(0)
      await cluster.until(virga.transaction((tx) => tx.put('a', 2), { id }))
      expect(await cluster.until(virga.get('a'))).toBe(2)
    })
  })
})

describe('a stop', () => {
  test('lets what is open go on, begins nothing, and then tells everyone', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const virga = cluster.client({ attemptsMax: 1 })
      const tx = await cluster.until(virga.begin())
      await cluster.until(tx.get('a'))
      const stopping = cluster.stop()
      await cluster.clock.advance(100)
      const refused = await cluster.until(thrown(virga.transaction((t) => t.get('a'))))
      expect(refused).toMatchObject({ code: 'ShuttingDown', retryable: true })
      tx.put('a', 1)
      expect(await cluster.until(tx.commit())).toMatchObject({ status: 'committed' })
      await stopping
      await cluster.boot()
      expect(await cluster.until(virga.get('a'))).toBe(1)
    })
  })

  test('waits for an executor that never ends no longer than it was told to', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot({ drainMsMax: 3_000 })
      const virga = cluster.client()
      const tx = await cluster.until(virga.begin())
      await cluster.until(tx.get('a'))
      const before = cluster.clock.monotonic()
      await cluster.stop()
      expect(cluster.clock.monotonic() - before).toBeGreaterThanOrEqual(3_000)
      expect(cluster.clock.monotonic() - before).toBeLessThan(3_100)
      expect((await cluster.until(thrown(tx.get('a')))).retryable).toBe(true)
    })
  })
})
