import { describe, expect, test } from 'vitest'
import type { Storage } from '../../../src/ports/storage.js'
import { createMemoryStorage } from '../../../src/storage/memory.js'
import {
  createFaultyStorage,
  type FaultKind,
  type FaultyStorageOptions,
} from '../../../src/testing/faulty-storage.js'
import { handClock, seededRandom } from '../../support/ports.js'
import { seedFor } from '../../support/seed.js'

const key = { bucket: 'b', id: 'k' }
const value = new TextEncoder().encode('v')
const entries = Array.from({ length: 10 }, (_, n) => ({ bucket: 'b', id: `e${n}`, value }))

function setUp(options: Partial<FaultyStorageOptions> = {}) {
  const clock = handClock()
  const inner = createMemoryStorage()
  const storage = createFaultyStorage(inner, { clock, random: seededRandom(7), ...options })
  return { clock, inner, storage, faults: storage.faults }
}

async function ids(storage: Storage): Promise<string[]> {
  const found: string[] = []
  for await (const entry of storage.list('b')) found.push(entry.id)
  return found
}

const definite = { code: 'StorageUnavailable', outcome: 'definite' }
const indefinite = { code: 'StorageUnavailable', outcome: 'indefinite' }

describe('one fault by hand', () => {
  test('before: definite, no effect, and only the next call meets it', async () => {
    const { storage, inner, faults } = setUp()
    faults.next('compareAndSwap', 'before')
    await expect(storage.compareAndSwap(key, undefined, value)).rejects.toMatchObject(definite)
    expect(await inner.get([key])).toEqual([undefined])
    expect(await storage.compareAndSwap(key, undefined, value)).toEqual({ swapped: true })
    expect(faults.met.before).toBe(1)
  })

  test('after: indefinite, with the effect', async () => {
    const { storage, inner, faults } = setUp()
    faults.next('compareAndSwap', 'after')
    await expect(storage.compareAndSwap(key, undefined, value)).rejects.toMatchObject(indefinite)
    expect(await inner.get([key])).toEqual([value])
  })

  test('lost: indefinite, without the effect', async () => {
    const { storage, inner, faults } = setUp()
    faults.next('put', 'lost')
    await expect(storage.put(entries)).rejects.toMatchObject(indefinite)
    expect(await ids(inner)).toEqual([])
  })

  test('partial: the first entries, then indefinite', async () => {
    const { storage, inner, faults } = setUp()
    faults.next('put', { kind: 'partial', entries: 4 })
    await expect(storage.put(entries)).rejects.toMatchObject(indefinite)
    expect(await ids(inner)).toEqual(['e0', 'e1', 'e2', 'e3'])
    await storage.put(entries)
    faults.next('delete', { kind: 'partial', entries: 3 })
    await expect(storage.delete(entries)).rejects.toMatchObject(indefinite)
    expect(await ids(inner)).toHaveLength(7)
  })

  test('partial, of a listing: the first entries come, then it fails', async () => {
    const { storage, inner, faults } = setUp()
    await inner.put(entries)
    for (const cut of [0, 1, 4, 10, 50]) {
      faults.next('list', { kind: 'partial', entries: cut })
      const seen: string[] = []
      const listing = (async () => {
        for await (const entry of storage.list('b')) seen.push(entry.id)
      })()
      await expect(listing).rejects.toMatchObject(definite)
      expect(seen).toHaveLength(Math.min(cut, 10))
    }
    expect(await ids(storage)).toHaveLength(10)
  })

  test('latency: waits, then as usual', async () => {
    const { storage, clock, faults } = setUp()
    faults.next('compareAndSwap', { kind: 'latency', latencyMs: 100 })
    let done = false
    const swap = storage.compareAndSwap(key, undefined, value).finally(() => {
      done = true
    })
    await clock.advance(99)
    expect(done).toBe(false)
    await clock.advance(1)
    expect(await swap).toEqual({ swapped: true })
  })

  test('timeout: silence, then indefinite; the effect comes before, after or never', async () => {
    for (const effectAfterMs of [50, 500, 'never'] as const) {
      const { storage, inner, clock, faults } = setUp()
      faults.next('compareAndSwap', { kind: 'timeout', latencyMs: 100, effectAfterMs })
      const given = value.slice()
      const swap = storage.compareAndSwap(key, undefined, given)
      const failed = expect(swap).rejects.toMatchObject(indefinite)
      await clock.advance(100)
      await failed
      // The caller has its array back, the late effect must not see what becomes of it.
      given.fill(0)
      expect(await inner.get([key])).toEqual([effectAfterMs === 50 ? value : undefined])
      await clock.advance(1_000)
      await faults.settled()
      expect(await inner.get([key])).toEqual([effectAfterMs === 'never' ? undefined : value])
    }
  })

  test('a failed read is definite whatever the fault', async () => {
    for (const kind of ['before', 'after', 'lost', 'partial', 'timeout'] as const) {
      const { storage, clock, faults } = setUp()
      faults.next('get', kind)
      const failed = expect(storage.get([key])).rejects.toMatchObject(definite)
      await clock.advance(2_000)
      await failed
    }
  })
})

describe('holding', () => {
  test('before and after the effect', async () => {
    const { storage, inner, faults } = setUp()
    const before = faults.hold('compareAndSwap', 'before')
    const after = faults.hold('compareAndSwap', 'after')
    let done = false
    const swap = storage.compareAndSwap(key, undefined, value).finally(() => {
      done = true
    })
    await before.reached
    expect(await inner.get([key])).toEqual([undefined])
    before.release()
    await after.reached
    expect(await inner.get([key])).toEqual([value])
    expect(done).toBe(false)
    after.release()
    expect(await swap).toEqual({ swapped: true })
  })

  test('two calls released in the other order', async () => {
    const { storage, faults } = setUp()
    const [first, second] = [faults.hold('compareAndSwap'), faults.hold('compareAndSwap')]
    const other = new Uint8Array([2])
    const swaps = [
      storage.compareAndSwap(key, undefined, value),
      storage.compareAndSwap(key, undefined, other),
    ]
    await Promise.all([first.reached, second.reached])
    second.release()
    expect(await swaps[1]).toEqual({ swapped: true })
    first.release()
    expect(await swaps[0]).toEqual({ swapped: false, current: other })
  })

  test('released before anyone came: nobody stops', async () => {
    const { storage, faults } = setUp()
    faults.hold('get').release()
    expect(await storage.get([key])).toEqual([undefined])
  })
})

describe('by plan', () => {
  const probabilities: Record<FaultKind, number> = {
    before: 0.1,
    after: 0.1,
    lost: 0.1,
    timeout: 0.1,
    partial: 0.1,
    latency: 0.1,
  }

  async function run(seed: number): Promise<string> {
    const clock = handClock()
    const inner = createMemoryStorage()
    const storage = createFaultyStorage(inner, { clock, random: seededRandom(seed), plan: { probabilities } })
    const log: string[] = []
    const calls = Array.from({ length: 300 }, async (_, n) => {
      const outcome = await storage.compareAndSwap({ bucket: 'b', id: `${n}` }, undefined, value).then(
        ({ swapped }) => `swapped ${swapped}`,
        (error) => error.message,
      )
      log.push(`${clock.now()} ${n} ${outcome}`)
    })
    await clock.advance(5_000)
    await Promise.all(calls)
    for (const count of Object.values(storage.faults.met)) expect(count).toBeGreaterThan(5)
    return [...log, ...(await ids(inner)).sort()].join('\n')
  }

  test('the same seed, the same faults at the same times; another seed, others', async (context) => {
    const seed = seedFor(context)
    const first = await run(seed)
    expect(await run(seed)).toBe(first)
    expect(await run(seed + 1)).not.toBe(first)
  })

  test('spared operations and no plan: no faults', async () => {
    const { storage, faults } = setUp({ plan: { probabilities: { before: 1 }, spared: ['get'] } })
    expect(await storage.get([key])).toEqual([undefined])
    await expect(storage.put(entries)).rejects.toMatchObject(definite)
    faults.plan(undefined)
    await storage.put(entries)
  })

  test('probabilities above 1 are refused', () => {
    expect(() => setUp({ plan: { probabilities: { before: 0.6, after: 0.6 } } })).toThrow(/add up to 1.2/)
  })
})
