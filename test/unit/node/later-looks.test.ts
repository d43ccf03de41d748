import { expect, test } from 'vitest'
import type { Origin } from '../../../src/core/ids.js'
import { LaterLooks } from '../../../src/node/cluster/later-looks.js'
import { SimClock } from '../../../src/testing/sim-clock.js'

const FIRST_MS = 10_000
const LAST_MS = 100_000
const LEAST_MS = 2_000
const originOf = (n: number): Origin => `n1@${String(n).padStart(24, '0')}` as Origin

function looks() {
  const clock = new SimClock()
  const seen: (readonly [number, Origin])[] = []
  const onDue = (origin: Origin): void => void seen.push([clock.monotonic(), origin])
  const later = new LaterLooks({ clock, firstMs: FIRST_MS, lastMs: LAST_MS, leastMs: LEAST_MS, onDue })
  return { clock, seen, later }
}

test('after as long as all looks before took together, until nothing can come any more', async () => {
  const { clock, seen, later } = looks()
  await clock.advance(500)
  later.add(originOf(1))
  await clock.advance(10 * LAST_MS)
  expect(seen.map(([ms]) => ms - 500)).toEqual([10_000, 20_000, 40_000, 80_000, 160_000])
  expect(later.size).toBe(0)
})

test('not for one that is there again, nor when the node stops', async () => {
  const { clock, seen, later } = looks()
  for (const n of [1, 2, 3]) later.add(originOf(n))
  await clock.advance(15_000)
  later.drop(originOf(2))
  await clock.advance(10_000)
  const names = seen.map(([, origin]) => origin)
  expect(names).toEqual([1, 2, 3, 1, 3].map(originOf))
  later.stop()
  later.add(originOf(4))
  await clock.advance(LAST_MS)
  expect(seen).toHaveLength(5)
})

test('a process that dies again and again: each is looked for in time, and looks keep their distance', async () => {
  const { clock, seen, later } = looks()
  const goneAt = new Map<Origin, number>()
  for (let n = 0; n < 2_000; n++) {
    goneAt.set(originOf(n), clock.monotonic())
    later.add(originOf(n))
    await clock.advance(300)
  }
  await clock.advance(3 * LAST_MS)
  expect(later.size).toBe(0)
  const moments = [...new Set(seen.map(([ms]) => ms))]
  for (const [i, ms] of moments.slice(1).entries()) expect(ms - moments[i]!).toBeGreaterThanOrEqual(LEAST_MS)
  for (const [origin, sinceMs] of goneAt) {
    const own = seen.filter(([, each]) => each === origin).map(([ms]) => ms - sinceMs)
    expect(own[0]).toBeLessThanOrEqual(FIRST_MS + LEAST_MS)
    for (const [i, ms] of own.slice(1).entries()) expect(ms).toBeLessThanOrEqual(2 * own[i]! + LEAST_MS)
    expect(own.at(-1)).toBeGreaterThan(LAST_MS)
  }
})
