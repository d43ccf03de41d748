import { expect, test } from 'vitest'
import { type Cut, cutOf } from '../../../src/core/cut.js'
import { type Origin, parseTxnId } from '../../../src/core/ids.js'
import { CLUSTER_WATERMARK } from '../../../src/core/layout.js'
import { Snapshots } from '../../../src/node/collecting/snapshots.js'
import { Admission, type AdmissionParts } from '../../../src/node/contexts/admission.js'
import { createMemoryStorage } from '../../../src/storage/memory.js'
import { createFaultyStorage, type FaultyStorage } from '../../../src/testing/faulty-storage.js'
import { simulate } from '../../../src/testing/sim-clock.js'
import { encodeWatermark } from '../../../src/wire/records.js'
import { thrown } from '../../support/thrown.js'

const A = 'a@000000000000000000000001' as Origin
const TXN = parseTxnId('01934567-89ab-7def-8123-456789abcdef')
const OTHER = parseTxnId('01934567-89ab-7def-8123-456789abcdee')
const OLD: Cut = new Map([[A, 3]])
const NEW: Cut = new Map([[A, 9]])

/** A node that has promised to need nothing below NEW, in a cluster where `inForce` may have been collected. */
async function promised(
  inForce: Cut,
): Promise<{ admission: Admission; snapshots: Snapshots; storage: FaultyStorage }> {
  const { clock, random } = simulate(1)
  const storage = createFaultyStorage(createMemoryStorage(), { clock, random })
  await storage.put([
    { ...CLUSTER_WATERMARK, value: encodeWatermark({ cut: inForce, joins: 0, restored: [] }) },
  ])
  const snapshots = new Snapshots(
    clock,
    {
      isInEveryCut: () => false,
      seesUnnamed: () => false,
      lacksDeparted: () => false,
      knownDepartures: 2,
      moment: 0,
    },
    () => [],
  )
  snapshots.low(NEW, true)
  const parts = {
    world: { clock, storage },
    snapshots,
    membership: { renew: async () => void snapshots.low(NEW, true), isFresh: () => true },
    peers: { byOrigin: () => undefined },
    leaseTtlMs: 1_000,
  }
  return { admission: new Admission(parts as unknown as AdmissionParts), snapshots, storage }
}

const context = { txn: TXN, cut: OLD, sender: A }

test('an old snapshot whose sender is gone is admitted if nothing beyond it was collected, and is promised from then on', async () => {
  const { admission, snapshots } = await promised(new Map([[A, 2]]))
  const release = await admission.admit(context)
  expect(snapshots.low(NEW, true)).toEqual(OLD)
  expect(snapshots.keeps(TXN, OLD)).toBe(true)
  release()
  expect(snapshots.low(NEW, true)).toEqual(NEW)
})

test('what was promised before counts though less is promised now: others have collected as far as that (seed 31)', async () => {
  const { admission, snapshots } = await promised(NEW)
  // Of a node that was restored from storage: it sees the rest by places of its own.
  const restored: Cut = new Map([[A, 2]])
  snapshots.handedOver(OTHER, restored, 1_000)
  expect(snapshots.low(NEW, true)).toEqual(restored)
  expect(snapshots.counts(OLD)).toBe(false)
  expect(snapshots.counts(NEW)).toBe(true)
  await expect(admission.admit(context)).rejects.toMatchObject({ code: 'SnapshotTooOld' })
})

test('one that has been collected beyond is refused, however often and at once it is asked for', async () => {
  const { admission, snapshots, storage } = await promised(new Map([[A, 5]]))
  const held = storage.faults.hold('compareAndSwap')
  const first = thrown(admission.admit(context))
  // The first has lowered what the lease tells. That proves nothing to the second.
  await held.reached
  const second = thrown(admission.admit(context))
  held.release()
  for (const error of [await first, await second]) expect(error.code).toBe('SnapshotTooOld')
  expect(snapshots.keeps(TXN, OLD)).toBe(false)
  expect(snapshots.low(NEW, true)).toEqual(NEW)
})

test('what is held while it is asked for keeps others back, though it proves nothing', async () => {
  const { snapshots } = await promised(NEW)
  const { release } = snapshots.holdUnsure(OLD)
  expect(snapshots.low(NEW, true)).toEqual(OLD)
  expect(snapshots.keeps(TXN, OLD)).toBe(false)
  release()
})

test('a snapshot that leaves out an origin of whose departure this node has not heard is refused', async () => {
  const { admission } = await promised(OLD)
  const release = await admission.admit({ ...context, cut: cutOf(NEW, 2) })
  release()
  const error = await thrown(admission.admit({ ...context, cut: cutOf(NEW, 3) }))
  expect(error).toMatchObject({ code: 'SnapshotUnavailable', retryable: true })
})
