import { describe, expect, test } from 'vitest'
import { makeTxnId } from '../../../src/core/ids.js'
import type { VirgaError } from '../../../src/errors.js'
import { DEFAULT_BOUNDS } from '../../../src/node/bounds.js'
import { DEFAULT_CONFIG } from '../../../src/node/config.js'
import { seededRandom } from '../../../src/testing/sim-clock.js'
import { type Cluster, withCluster } from '../../support/cluster-in-process.js'
import { LossyLink } from '../../support/lossy-link.js'

const entropy = seededRandom(3)
const idOf = (cluster: Cluster): string => makeTxnId(cluster.clock.now(), entropy.bytes(10))

function error(promise: Promise<unknown>): Promise<VirgaError> {
  return promise.then(
    () => {
      throw new Error('it should have failed')
    },
    (thrown: VirgaError) => thrown,
  )
}

describe('what transaction() tells of several attempts', () => {
  test('is indefinite if the outcome of any is not known, whatever the last one met', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const virga = cluster.client({ attemptsMax: 2, commitTimeoutMs: 1_000, resolveTimeoutMs: 2_000 })
      await cluster.until(virga.up())
      const { faults } = cluster.storage
      const id = idOf(cluster)
      // The first attempt commits, unseen; the second can't even begin.
      faults.next('compareAndSwap', 'after')
      const failing = error(
        virga.transaction(
          (tx) => {
            tx.put('a', 1)
            // What is queued comes first; all that follows fails.
            faults.plan({ probabilities: { before: 1 } })
          },
          { id },
        ),
      )
      expect(await cluster.until(failing)).toMatchObject({ outcome: 'indefinite' })
      faults.plan(undefined)
      await cluster.clock.advance(30_000)
      await cluster.crash()
      await cluster.boot()
      expect(await cluster.until(virga.status(id))).toMatchObject({ status: 'committed' })
    })
  })

  test.each([false, true])(
    'whose function fails when it runs again: what came of the first is found out before (committed meanwhile: %s)',
    async (commits) => {
      await withCluster(async (cluster) => {
        // Else the node would see to it that the first never commits.
        await cluster.boot({ bounds: { ...DEFAULT_BOUNDS, unresolvedMax: 0 } })
        const virga = cluster.client()
        await cluster.until(virga.up())
        const { faults } = cluster.storage
        const id = idOf(cluster)
        const lateMs = DEFAULT_CONFIG.resolveMsMax + 2_000
        faults.next('compareAndSwap', { kind: 'timeout', latencyMs: 10, effectAfterMs: lateMs })
        let runs = 0
        const running = virga.transaction(
          async (tx) => {
            runs++
            tx.put('a', runs)
            if (runs === 1) {
              // Until its caller is told that nobody knows.
              faults.plan({ probabilities: { before: 1 }, spared: ['put', 'compareAndSwap', 'list'] })
              cluster.clock.timer(DEFAULT_CONFIG.resolveMsMax + 20, () => faults.plan(undefined))
              return 'first'
            }
            if (commits) await new Promise<void>((resolve) => cluster.clock.timer(lateMs, resolve))
            throw new TypeError('its own')
          },
          { id },
        )
        const outcome = await cluster.until(running.catch((failure: unknown) => failure))
        expect(runs).toBe(2)
        if (commits) expect(outcome).toBe('first')
        else expect(outcome).toBeInstanceOf(TypeError)
        await cluster.clock.advance(60_000)
        expect(await cluster.until(virga.get('a'))).toBe(commits ? 1 : undefined)
      })
    },
  )

  test('whose begins alone got no answer, and whose function fails then, is what the function says', async () => {
    await withCluster(async (cluster) => {
      const virga = cluster.client({ connectTimeoutMs: 100, requestTimeoutMs: 1_000 })
      const running = virga
        .transaction(() => {
          throw new TypeError('its own')
        })
        .catch((failure: unknown) => failure)
      // The first attempt meets no node, the second a node that can't look anything up in time.
      await cluster.clock.advance(120)
      const held = cluster.storage.faults.hold('get')
      await cluster.clock.advance(1)
      const booting = cluster.start()
      held.release()
      await cluster.until(booting)
      const slow = cluster.storage.faults.hold('get')
      await cluster.until(slow.reached, 5_000)
      await cluster.clock.advance(2_000)
      slow.release()
      expect(await cluster.until(running)).toBeInstanceOf(TypeError)
    })
  })

  test('is definite if a cancel stands: then no attempt has committed or ever will', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const virga = cluster.client()
      const id = idOf(cluster)
      await cluster.until(virga.cancel(id))
      const failed = await cluster.until(error(virga.transaction((tx) => tx.put('a', 1), { id })))
      expect(failed).toMatchObject({ code: 'TransactionAborted', outcome: 'definite', retryable: false })
    })
  })
})

describe('a commit whose answers were all lost', () => {
  for (const keyed of [true, false]) {
    test(`is found out, ${keyed ? 'under an id' : 'without an id'}`, async () => {
      await withCluster(async (cluster) => {
        await cluster.boot()
        const link = new LossyLink(cluster.hub.link())
        const virga = cluster.client({ commitTimeoutMs: 1_000 }, link)
        await cluster.until(virga.up())
        // Begin and commit travel in one frame; nothing that the node says of them arrives.
        link.loses = ({ type }) =>
          type === 'begun' || (type === 'committed' && cluster.clock.monotonic() < 500)
        const id = keyed ? idOf(cluster) : undefined
        let runs = 0
        const run = virga.begin({ id }).then(async (tx) => {
          runs++
          tx.put('a', 'mine')
          return tx.commit({ result: 'mine' })
        })
        expect(await cluster.until(run)).toMatchObject({ status: 'committed', result: 'mine' })
        expect(await cluster.until(virga.get('a'))).toBe('mine')
        expect(runs).toBe(1)
      })
    })
  }

  test('in transaction() without an id gives the result of the execution that counts', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const link = new LossyLink(cluster.hub.link())
      const virga = cluster.client({ commitTimeoutMs: 1_000 }, link)
      await cluster.until(virga.up())
      link.loses = ({ type }) => type === 'begun' || (type === 'committed' && cluster.clock.monotonic() < 500)
      let runs = 0
      const result = virga.transaction((tx) => {
        tx.put('a', ++runs)
        return runs
      })
      expect(await cluster.until(result)).toBe(1)
      expect(await cluster.until(virga.get('a'))).toBe(1)
      expect(cluster.witness.committed.size).toBe(1)
    })
  })
})

test('a commit that is still being looked into when its client is closed is not told as a definite failure', async () => {
  await withCluster(async (cluster) => {
    await cluster.boot()
    const link = new LossyLink(cluster.hub.link())
    const virga = cluster.client({ commitTimeoutMs: 1_000 }, link)
    await cluster.until(virga.up())
    link.loses = ({ type }) => type === 'begun' || type === 'committed'
    const failing = error(
      virga.begin().then((tx) => {
        tx.put('a', 1)
        return tx.commit()
      }),
    )
    await cluster.clock.advance(500)
    // Nobody can tell either, so that it waits to ask again when it is closed.
    cluster.storage.faults.plan({ probabilities: { before: 1 } })
    await cluster.clock.advance(5_000)
    await cluster.until(virga.close())
    expect(await cluster.until(failing)).toMatchObject({ code: 'Closed', outcome: 'indefinite' })
    cluster.storage.faults.plan(undefined)
    expect(await cluster.until(cluster.client().get('a'))).toBe(1)
  })
})
