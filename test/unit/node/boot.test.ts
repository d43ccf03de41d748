import { describe, expect, test } from 'vitest'
import { makeTxnId, parseTxnId } from '../../../src/core/ids.js'
import {
  CLUSTER_CHECKPOINT,
  CLUSTER_COMPACTED,
  CLUSTER_FORMAT,
  CLUSTER_WATERMARK,
  decisionKey,
  lateBucket,
  leaseKey,
  minuteAt,
} from '../../../src/core/layout.js'
import {
  decodeCompacted,
  decodeMinute,
  decodeWatermark,
  encodeCompacted,
  encodeFormat,
  encodeMinute,
} from '../../../src/wire/records.js'
import { type Cluster, withCluster } from '../../support/cluster-in-process.js'
import { idOf } from '../../support/ids.js'
import { thrown } from '../../support/thrown.js'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

async function checkpoint(cluster: Cluster): Promise<number> {
  const [record] = await cluster.until(cluster.storage.get([CLUSTER_CHECKPOINT]))
  return decodeMinute(record!)
}

async function reboot(cluster: Cluster): Promise<void> {
  await cluster.crash()
  await cluster.boot()
}

describe('a boot finds every decision', () => {
  test('of ids of any age within the window, whenever they were committed', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const virga = cluster.client()
      const ages = [0, 5, 9, 10, 11, 15, 16, 30, 59, 600, 23 * 60].map((minutes) => minutes * MINUTE_MS)
      for (const [n, age] of ages.entries()) {
        const id = idOf(cluster, age)
        await cluster.until(virga.transaction((tx) => tx.put(`age ${n}`, age), { id }))
        await cluster.clock.advance(7_000)
      }
      for (const laterMs of [0, 3 * MINUTE_MS, 30 * MINUTE_MS, 5 * HOUR_MS]) {
        await cluster.crash()
        await cluster.clock.advance(laterMs)
        await cluster.boot()
        const names = ages.map((_, n) => `age ${n}`)
        expect(await cluster.until(virga.transaction((tx) => tx.getMany(names)))).toEqual(ages)
      }
    })
  })

  test('of ids ahead of the clock, as far as they are accepted', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const virga = cluster.client()
      const ahead = idOf(cluster, -9.9 * MINUTE_MS)
      await cluster.until(virga.transaction((tx) => tx.put('a', 1), { id: ahead }))
      await reboot(cluster)
      expect(await cluster.until(virga.get('a'))).toBe(1)
      const tooFar = idOf(cluster, -11 * MINUTE_MS)
      const refused = await cluster.until(thrown(virga.transaction((tx) => tx.put('a', 2), { id: tooFar })))
      expect(refused).toMatchObject({ code: 'InvalidArgument', outcome: 'definite' })
    })
  })

  test('whichever way the wall clock was set meanwhile', async () => {
    for (const jumpMs of [-2 * HOUR_MS, -15 * MINUTE_MS, 15 * MINUTE_MS, 2 * HOUR_MS]) {
      await withCluster(async (cluster) => {
        await cluster.boot()
        const virga = cluster.client()
        await cluster.until(virga.transaction((tx) => tx.put('before', 1)))
        cluster.clock.jump(jumpMs)
        await cluster.until(virga.transaction((tx) => tx.put('during', 2)))
        await reboot(cluster)
        await cluster.until(virga.transaction((tx) => tx.put('after boot', 3)))
        cluster.clock.jump(-jumpMs)
        await reboot(cluster)
        const keys = ['before', 'during', 'after boot']
        expect(await cluster.until(virga.transaction((tx) => tx.getMany(keys)))).toEqual([1, 2, 3])
      })
    }
  })

  test('announced or not, across the moment at which a minute closes', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const virga = cluster.client()
      const born = cluster.clock.now()
      const id = idOf(cluster)
      const tx = await cluster.until(virga.begin({ id, deadlineMs: HOUR_MS }))
      tx.put('a', 1)
      await cluster.clock.advance(20 * MINUTE_MS)
      // A boot in between takes the minute of the id for closed and empty.
      const rival = await cluster.until(tx.handoff({ durable: true }))
      await reboot(cluster)
      await cluster.clock.advance(15 * MINUTE_MS)
      await reboot(cluster)
      expect(await checkpoint(cluster)).toBeGreaterThan(minuteAt(born))
      await cluster.until(virga.commit(rival))
      const late: string[] = []
      for await (const { id: found } of cluster.storage.list(lateBucket(minuteAt(cluster.clock.now()))))
        late.push(found)
      expect(late).toEqual([id])
      await reboot(cluster)
      expect(await cluster.until(virga.get('a'))).toBe(1)
    })
  })

  test('in the order of their clocks, so that the later write wins', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const virga = cluster.client()
      // The ids' own times run backwards.
      for (let n = 0; n < 20; n++) {
        const id = idOf(cluster, n * 2 * MINUTE_MS)
        await cluster.until(virga.transaction((tx) => tx.put('a', n), { id }))
      }
      await cluster.until(virga.transaction((tx) => tx.delete('b')))
      await reboot(cluster)
      expect(await cluster.until(virga.get('a'))).toBe(19)
    })
  })
})

describe('a boot', () => {
  test('finds what lies in minutes that the checkpoint has passed, closed and empty or compacted', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const first = await checkpoint(cluster)
      await cluster.clock.advance(2 * HOUR_MS)
      await reboot(cluster)
      const moved = await checkpoint(cluster)
      expect(moved - first).toBe(120)
      expect(moved).toBeLessThan(minuteAt(cluster.clock.now() - 10 * MINUTE_MS))
      const virga = cluster.client()
      const at = minuteAt(cluster.clock.now())
      await cluster.until(virga.transaction((tx) => tx.put('a', 1)))
      await cluster.clock.advance(2 * HOUR_MS)
      await reboot(cluster)
      expect(await checkpoint(cluster)).toBeGreaterThan(at)
      expect(await cluster.until(virga.get('a'))).toBe(1)
    })
  })

  test('that storage fails at any of its operations rejects, and the next one serves', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const virga = cluster.client()
      await cluster.until(
        virga.step(undefined, (tx) => tx.put('own', 1), { id: idOf(cluster), durable: true }),
      )
      await cluster.until(virga.transaction((tx) => tx.put('a', 1)))
      await cluster.crash()
      let calls = 0
      await cluster.boot({}, () => {
        calls++
        return undefined
      })
      await cluster.crash()
      expect(calls).toBeGreaterThan(20)
      for (let strike = 0; strike < calls; strike++) {
        let call = 0
        const starting = cluster.boot({}, (_call, operation) => {
          if (call++ === strike) cluster.storage.faults.next(operation, 'before')
          return undefined
        })
        expect(await thrown(starting)).toMatchObject({ code: 'StorageUnavailable' })
      }
      for (let strike = 0; strike < calls; strike++) {
        for (const fate of ['before', 'after'] as const)
          await cluster.boot({}, (call) => (call === strike ? fate : undefined))
      }
      await cluster.boot()
      expect(await cluster.until(virga.get('a'))).toBe(1)
      expect(await cluster.until(virga.get('own'))).toBeUndefined()
    })
  })

  test('refuses a storage of another layout, and records that it can not read', async () => {
    await withCluster(async (cluster) => {
      await cluster.until(cluster.storage.put([{ ...CLUSTER_FORMAT, value: encodeFormat(99) }]))
      expect(await thrown(cluster.boot())).toMatchObject({ code: 'StorageCorrupt', retryable: false })
    })
    await withCluster(async (cluster) => {
      await cluster.until(cluster.storage.put([{ ...CLUSTER_CHECKPOINT, value: Uint8Array.of(1, 2, 3) }]))
      expect(await thrown(cluster.boot())).toMatchObject({ code: 'StorageCorrupt' })
    })
    await withCluster(async (cluster) => {
      const id = parseTxnId(idOf(cluster))
      const entry = { ...decisionKey(id), value: encodeMinute(1) }
      await cluster
        .until(cluster.storage.compareAndSwap(entry, undefined, entry.value))
        .catch(() => undefined)
      cluster.witness.broken.length = 0
      expect(await thrown(cluster.boot())).toMatchObject({ code: 'StorageCorrupt' })
    })
  })

  test('keeps the cluster key, so that contexts of before are still taken', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const virga = cluster.client()
      const { context } = await cluster.until(
        virga.step(undefined, (tx) => tx.put('a', 1), { id: idOf(cluster), durable: true }),
      )
      await reboot(cluster)
      expect(await cluster.until(virga.commit(context))).toMatchObject({ status: 'committed' })
    })
  })
})

describe('an id', () => {
  test('older than the window is refused everywhere, and never run', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot({ idempotencyWindowMs: HOUR_MS })
      const virga = cluster.client()
      const id = idOf(cluster, HOUR_MS + 1)
      let runs = 0
      const refused = { code: 'TransactionExpired', retryable: false, outcome: 'definite' }
      expect(await cluster.until(thrown(virga.transaction(() => ++runs, { id })))).toMatchObject(refused)
      const tx = await cluster.until(virga.begin({ id }))
      tx.put('a', 1)
      expect(await cluster.until(thrown(tx.commit()))).toMatchObject(refused)
      expect(await cluster.until(thrown(virga.cancel(id)))).toMatchObject(refused)
      expect(await cluster.until(virga.status(id))).toMatchObject({ status: 'expired' })
      expect([runs, cluster.witness.committed.size]).toEqual([0, 0])
      // One millisecond younger, it runs.
      await cluster.until(virga.transaction(() => ++runs, { id: idOf(cluster, HOUR_MS - 10) }))
      expect(runs).toBe(1)
    })
  })

  test('that committed is answered as long as the window lasts, and refused after', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot({ idempotencyWindowMs: HOUR_MS })
      const virga = cluster.client()
      const id = makeTxnId(cluster.clock.now(), new Uint8Array(10))
      await cluster.until(virga.transaction(() => 'once', { id }))
      await cluster.clock.advance(HOUR_MS - 1_000)
      expect(await cluster.until(virga.transaction(() => 'twice', { id }))).toBe('once')
      await cluster.clock.advance(2_000)
      const refused = await cluster.until(thrown(virga.transaction(() => 'twice', { id })))
      expect(refused.code).toBe('TransactionExpired')
    })
  })
})

describe('what is in the bases and in no vector, since a round of collection ended in between', () => {
  test('is seen by what begins at a node that was restored, and named by a place of its own', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot({ collectEveryMs: 50 })
      const virga = cluster.client()
      const before = cluster.node.origin
      for (let n = 1; n <= 2; n++) await cluster.until(virga.transaction((tx) => tx.put('x', n)))
      await cluster.clock.advance(10_000)
      const [record] = await cluster.until(cluster.storage.get([CLUSTER_COMPACTED]))
      const compacted = decodeCompacted(record!)
      expect([...compacted.cut]).toEqual([[before, 2]])
      await cluster.crash()
      const value = encodeCompacted({ ...compacted, cut: new Map([[before, 1]]) })
      await cluster.until(cluster.storage.put([{ ...CLUSTER_COMPACTED, value }]))
      await cluster.boot({ collectEveryMs: 600_000 })
      const [watermark] = await cluster.until(cluster.storage.get([CLUSTER_WATERMARK]))
      const { cut, restored } = decodeWatermark(watermark!)
      expect(cut.get(before)).toBe(2)
      // Who has heard of the first node's first place alone does not see all that the watermark does.
      expect(restored.map((each) => [...each])).toEqual([
        [
          [before, 1],
          [cluster.node.origin, 1],
        ],
      ])
      expect(await cluster.until(virga.get('x'))).toBe(2)
      await cluster.until(virga.transaction((tx) => tx.put('y', 3)))
      await reboot(cluster)
      expect(await cluster.until(virga.transaction((tx) => tx.getMany(['x', 'y'])))).toEqual([2, 3])
    })
  })
})

test('a start that fails leaves no lease behind, which would count as one that needs all there is', async () => {
  await withCluster(async (cluster) => {
    await cluster.until(cluster.storage.put([{ ...CLUSTER_COMPACTED, value: new Uint8Array([1]) }]))
    expect(await cluster.until(thrown(cluster.start()))).toMatchObject({ code: 'StorageCorrupt' })
    expect(await cluster.until(cluster.storage.get([leaseKey('n1')]))).toEqual([undefined])
  })
})
