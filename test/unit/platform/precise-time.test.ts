import fc from 'fast-check'
import { expect, test } from 'vitest'
import { systemClock } from '../../../src/platform/clock.js'
import { preciseTime } from '../../../src/platform/precise-time.js'

const START_MS = 1_700_000_000_000.375
/** Of a float that counts milliseconds since 1970. */
const PRECISION_MS = 0.001

/** A machine whose wall clock can be set, and whose processor may be away after a look at a clock. */
function machine(startMs = START_MS) {
  let elapsedMs = 0
  let setMs = 0
  let awayMs: number[] = []
  const look = <T>(seen: T): T => {
    elapsedMs += awayMs.shift() ?? 0
    return seen
  }
  const trueMs = (): number => START_MS + setMs + elapsedMs
  const precise = preciseTime({
    wall: () => look(Math.floor(trueMs())),
    elapsed: () => look(elapsedMs),
    startMs,
  })
  return {
    trueMs,
    precise,
    pass(ms: number): void {
      elapsedMs += ms
    },
    set(ms: number): void {
      setMs += ms
    },
    beAwayAfterLooks(...ms: number[]): void {
      awayMs = ms
    },
  }
}

test('it is the time to the microsecond, whenever the processor is away between two looks', () => {
  const away = fc.array(fc.oneof(fc.constant(0), fc.double({ min: 0, max: 12, noNaN: true })), {
    maxLength: 6,
  })
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.double({ min: 0, max: 3, noNaN: true }), away)), (steps) => {
      const { trueMs, precise, pass, beAwayAfterLooks } = machine()
      let last = 0
      for (const [ms, looks] of steps) {
        pass(ms)
        beAwayAfterLooks(...looks)
        const before = trueMs()
        const told = precise()
        expect(told).toBeGreaterThan(before - PRECISION_MS)
        expect(told).toBeLessThan(trueMs() + PRECISION_MS)
        expect(told).toBeGreaterThanOrEqual(last)
        last = told
      }
      beAwayAfterLooks()
      expect(Math.abs(precise() - trueMs())).toBeLessThan(PRECISION_MS)
    }),
  )
})

test('where the wall clock is set, it follows at once, is off by less than a millisecond, and learns of edges', () => {
  fc.assert(
    fc.property(fc.double({ min: -5_000, max: 5_000, noNaN: true }), (ms) => {
      const { trueMs, precise, pass, set } = machine()
      precise()
      set(ms)
      for (let i = 0; i < 300; i++) {
        const told = precise()
        expect(Math.floor(told)).toBe(Math.floor(trueMs()))
        pass(0.013)
      }
      expect(Math.abs(precise() - trueMs())).toBeLessThan(0.02)
    }),
  )
})

test('also where it was wrong from the start', () => {
  for (const wrongMs of [-3_600_000, -0.9, 0.9, 3_600_000]) {
    const { trueMs, precise } = machine(START_MS + wrongMs)
    expect(Math.floor(precise())).toBe(Math.floor(trueMs()))
  }
})

test('the clock of this machine tells fractions, within the millisecond that it tells', () => {
  const clock = systemClock()
  const told = new Set<number>()
  for (let i = 0; i < 1_000; i++) {
    const before = clock.now()
    const precise = clock.precise()
    told.add(precise)
    expect(precise).toBeGreaterThanOrEqual(before)
    expect(precise).toBeLessThan(clock.now() + 1)
  }
  expect(told.size).toBeGreaterThan(100)
})
