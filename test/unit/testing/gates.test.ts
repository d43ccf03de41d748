import { expect, test } from 'vitest'
import type { Storage } from '../../../src/ports/storage.js'
import { createMemoryStorage } from '../../../src/storage/memory.js'
import { Gates } from '../../../src/testing/sim/gates.js'
import { SimClock } from '../../../src/testing/sim-clock.js'

const KEY = { bucket: 'base/1', id: 'a' }
const OTHER = { bucket: 'guard/1', id: 'a' }
const [ONE, TWO] = [Uint8Array.of(1), Uint8Array.of(2)]

function setUp(): { clock: SimClock; gates: Gates; engine: Storage; storage: Storage } {
  const clock = new SimClock()
  const gates = new Gates(clock)
  const engine = createMemoryStorage()
  return { clock, gates, engine, storage: gates.wrap(engine) }
}

async function listed(storage: Storage): Promise<string[]> {
  const ids: string[] = []
  for await (const { id } of storage.list('base/1')) ids.push(id)
  return ids
}

async function isSettled(clock: SimClock, promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  const settle = () => {
    settled = true
  }
  promise.then(settle, settle)
  await clock.runUntilIdle()
  return settled
}

test('what is away fails without an effect, the rest of storage works, and all of it does afterwards', async () => {
  const { gates, storage } = setUp()
  const end = gates.fail({ bucket: 'base/' })
  await expect(storage.put([{ ...KEY, value: ONE }])).rejects.toMatchObject({ outcome: 'definite' })
  await expect(storage.get([OTHER, KEY])).rejects.toMatchObject({ code: 'StorageUnavailable' })
  await expect(listed(storage)).rejects.toMatchObject({ code: 'StorageUnavailable' })
  expect((await storage.compareAndSwap(OTHER, undefined, ONE)).swapped).toBe(true)
  end()
  expect(await storage.get([KEY, OTHER])).toEqual([undefined, ONE])
})

test('of what is lost or swallowed the caller does not know whether it took its effect', async () => {
  const { gates, engine, storage } = setUp()
  const end = gates.lose({ bucket: 'base/' })
  await expect(storage.compareAndSwap(KEY, undefined, ONE)).rejects.toMatchObject({ outcome: 'indefinite' })
  expect(await engine.get([KEY])).toEqual([undefined])
  end()
  gates.swallow({ operation: 'compareAndSwap', bucket: 'base/', id: 'a' })
  await expect(storage.compareAndSwap(KEY, undefined, ONE)).rejects.toMatchObject({ outcome: 'indefinite' })
  expect(await engine.get([KEY])).toEqual([ONE])
  expect((await storage.compareAndSwap({ ...KEY, id: 'b' }, undefined, ONE)).swapped).toBe(true)
  gates.open()
  expect((await storage.compareAndSwap(KEY, ONE, TWO)).swapped).toBe(true)
})

test.each(['before', 'after'] as const)(
  'what is held stops %s its effect until it is released',
  async (point) => {
    const { clock, gates, engine, storage } = setUp()
    const { reached, release } = gates.hold({ operation: 'put', bucket: 'base/' }, point)
    const putting = storage.put([{ ...KEY, value: ONE }])
    await reached
    expect(await engine.get([KEY])).toEqual([point === 'before' ? undefined : ONE])
    // Others are not its affair; and opening all the rest does not release it.
    await storage.delete([OTHER])
    gates.open()
    expect(await isSettled(clock, putting)).toBe(false)
    release()
    await putting
    expect(await engine.get([KEY])).toEqual([ONE])
  },
)

test('what is slow takes its time', async () => {
  const { clock, gates, storage } = setUp()
  gates.slow({ bucket: 'base/' }, () => 200)
  const reading = storage.get([KEY])
  await clock.advance(199)
  expect(await isSettled(clock, reading)).toBe(false)
  await clock.advance(1)
  expect(await isSettled(clock, reading)).toBe(true)
})
