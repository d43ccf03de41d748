import { expect, test } from 'vitest'
import type { Cut } from '../../../../src/core/cut.js'
import type { Origin } from '../../../../src/core/ids.js'
import { CLUSTER_WATERMARK } from '../../../../src/core/layout.js'
import { floorBelow, joinWatermark, tellRestored } from '../../../../src/node/collecting/join-watermark.js'
import { createMemoryStorage } from '../../../../src/storage/memory.js'
import { decodeWatermark, encodeWatermark } from '../../../../src/wire/records.js'

const [dead, first, second] = ['1', '2', '3'].map((c) => `n@${'0'.repeat(23)}${c}`) as unknown as [
  Origin,
  Origin,
  Origin,
]
const cut = (...places: [Origin, number][]): Cut => new Map(places)
const never = { seesUnnamed: (): boolean => false }

async function inForce(value: Cut) {
  const storage = createMemoryStorage()
  const record = encodeWatermark({ cut: value, joins: 3, restored: [] })
  await storage.put([{ ...CLUSTER_WATERMARK, value: record }])
  return storage
}

test('what a restored node begins sees the watermark by other places, and the next one can tell', async () => {
  const storage = await inForce(cut([dead, 6]))
  await tellRestored(storage, await joinWatermark(storage), cut([first, 4]))
  const joined = await joinWatermark(storage)
  // A durable context of the first restored node, and one of before that nobody kept.
  expect(floorBelow(cut([first, 7]), joined, never)).toEqual(cut([first, 4]))
  expect(floorBelow(cut([dead, 5]), joined, never)).toBeUndefined()
  expect(floorBelow(cut([dead, 6]), joined, never)).toEqual(cut([dead, 6]))
  await tellRestored(storage, joined, cut([second, 9]))
  const again = await joinWatermark(storage)
  expect(floorBelow(cut([first, 4]), again, never)).toEqual(cut([first, 4]))
  expect(floorBelow(cut([second, 9]), again, never)).toEqual(cut([second, 9]))
  expect(floorBelow(cut([first, 3]), again, never)).toBeUndefined()
})

test('that others join or tell of their own meanwhile does not keep it from being told (seed 6000039)', async () => {
  const storage = await inForce(cut([dead, 6]))
  const [one, other] = [await joinWatermark(storage), await joinWatermark(storage)]
  await tellRestored(storage, one, cut([first, 4]))
  await tellRestored(storage, other, cut([second, 9]))
  const { restored, joins } = await joinWatermark(storage)
  expect(restored).toEqual([cut([second, 9]), cut([first, 4])])
  expect(joins).toBe(7)
})

test('nothing is told if the watermark was raised since the node joined', async () => {
  const storage = await inForce(cut([dead, 6]))
  const joined = await joinWatermark(storage)
  const raised = encodeWatermark({ cut: cut([dead, 8]), joins: joined.joins + 1, restored: [] })
  await storage.put([{ ...CLUSTER_WATERMARK, value: raised }])
  await tellRestored(storage, joined, cut([first, 4]))
  const [stands] = await storage.get([CLUSTER_WATERMARK])
  expect(decodeWatermark(stands!).restored).toEqual([])
})
