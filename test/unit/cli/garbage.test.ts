import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { giveBackGarbage } from '../../../src/cli/garbage.js'

const MIB = 1024 * 1024
const LOOK_MS = 2_000

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** A heap of which `live` stays, and a node that works for so many milliseconds between two looks. Collecting takes 100 more. */
function scene({ live = 20 * MIB, perLook = 0 } = {}) {
  const at = {
    total: 300 * MIB,
    collected: 0,
    trimmed: 0,
    workedMs: 0,
    lookedAtMs: Date.now(),
    perLook,
    left: live,
  }
  const workedMs = () => {
    const looks = Math.round((Date.now() - at.lookedAtMs) / LOOK_MS)
    at.lookedAtMs = Date.now()
    at.workedMs += looks * at.perLook
    return at.workedMs
  }
  const trim = () => {
    at.trimmed = at.collected
  }
  giveBackGarbage(trim, workedMs, {
    collect: () => {
      at.collected++
      at.workedMs += 100
      at.total = at.left + 5 * MIB
    },
    usage: () => ({ heapTotal: at.total, heapUsed: at.collected > 0 ? at.left : at.total }),
  })
  return at
}

test('a node that has come to rest gives back what is garbage, and then nothing more happens', () => {
  const at = scene()
  vi.advanceTimersByTime(LOOK_MS)
  expect(at).toMatchObject({ collected: 1, total: 25 * MIB })
  vi.advanceTimersByTime(100 * LOOK_MS)
  expect(at.collected).toBe(1)
})

test('what was freed is given back to the system a while after it was collected, when V8 has freed it', () => {
  const at = scene()
  vi.advanceTimersByTime(LOOK_MS)
  expect(at).toMatchObject({ collected: 1, trimmed: 0 })
  vi.advanceTimersByTime(LOOK_MS / 2)
  expect(at.trimmed).toBe(1)
})

test('a busy node is not paused; when it rests, it gives back what it needed, each time', () => {
  const at = scene({ perLook: 1_000 })
  vi.advanceTimersByTime(100 * LOOK_MS)
  expect(at.collected).toBe(0)
  for (const times of [1, 2]) {
    at.perLook = 0
    vi.advanceTimersByTime(3 * LOOK_MS)
    expect(at.collected).toBe(times)
    Object.assign(at, { perLook: 1_000, total: 300 * MIB })
    vi.advanceTimersByTime(3 * LOOK_MS)
    expect(at.collected).toBe(times)
  }
})

test('where collecting does not help, it is done ever less often, down to once a minute', () => {
  const at = scene()
  const usage = vi.fn(() => ({ heapTotal: 300 * MIB, heapUsed: 100 * MIB }))
  const collect = vi.fn()
  giveBackGarbage(
    () => undefined,
    () => 0,
    { collect, usage },
  )
  const collected: number[] = []
  for (let look = 1; look <= 150; look++) {
    vi.advanceTimersByTime(LOOK_MS)
    if (collect.mock.calls.length > collected.length) collected.push(look)
  }
  expect(collected).toEqual([1, 2, 4, 8, 16, 32, 64, 96, 128])
  expect(at.collected).toBe(1)
})

test('what becomes garbage while it rests is given back too', () => {
  const at = scene({ live: 200 * MIB })
  vi.advanceTimersByTime(10 * LOOK_MS)
  expect(at).toMatchObject({ collected: 1, total: 205 * MIB })
  // Collection takes out of the chains what the load has left there.
  Object.assign(at, { total: 280 * MIB, left: 20 * MIB })
  vi.advanceTimersByTime(32 * LOOK_MS)
  expect(at.total).toBe(25 * MIB)
})
