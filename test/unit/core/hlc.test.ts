import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Hlc, HybridClock, hlcAt, hlcMs } from '../../../src/core/hlc.js'

const ms = fc.integer({ min: 0, max: Math.floor(Number.MAX_SAFE_INTEGER / 1024) - 1 })
const step = fc.oneof(
  fc.record({ kind: fc.constant('tick' as const), at: ms }),
  fc.record({ kind: fc.constant('observe' as const), at: ms }),
)

test('every tick is above all that was given out or heard, not below physical time, and a safe integer', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
      const clock = new HybridClock()
      let highest = 0n
      for (const { kind, at } of steps) {
        if (kind === 'observe') {
          clock.observe(hlcAt(at))
          if (BigInt(at) * 1024n > highest) highest = BigInt(at) * 1024n
        } else {
          const given = BigInt(clock.tick(at))
          expect(given > highest).toBe(true)
          expect(given >= BigInt(at) * 1024n).toBe(true)
          // As close to what is due as can be.
          expect(given).toBe(BigInt(at) * 1024n > highest ? BigInt(at) * 1024n : highest + 1n)
          expect(given <= BigInt(Number.MAX_SAFE_INTEGER)).toBe(true)
          highest = given
        }
        expect(BigInt(clock.last)).toBe(highest)
      }
    }),
  )
})

test('a counter that overflows carries into the milliseconds, and physical time catches up', () => {
  const clock = new HybridClock()
  let last = clock.tick(1_000)
  for (let i = 0; i < 5_000; i++) {
    const next = clock.tick(1_000)
    expect(next).toBe(last + 1)
    last = next
  }
  expect(hlcMs(last)).toBe(1_000 + Math.floor(5_000 / 1024))
  expect(clock.tick(1_004)).toBe(last + 1)
  expect(clock.tick(1_005)).toBe(hlcAt(1_005))
})

test('parts and whole agree, also of fractions of a millisecond', () => {
  fc.assert(
    fc.property(ms, fc.double({ min: 0, max: 0.999, noNaN: true }), fc.nat(1023), (at, fraction, count) => {
      expect(hlcMs((hlcAt(at) + count) as Hlc)).toBe(at)
      if (at >= 2 ** 42) return
      expect(hlcMs(hlcAt(at + fraction))).toBe(at)
      expect(hlcAt(at + fraction) - hlcAt(at)).toBe(Math.floor((at + fraction - at) * 1_024))
    }),
  )
})

test('two clocks that exchange stamps order what one caused the other to do', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), ms), { minLength: 1, maxLength: 40 }), (hops) => {
      const clocks = [new HybridClock(), new HybridClock()] as const
      let carried = 0 as Hlc
      for (const [side, at] of hops) {
        const clock = clocks[side ? 1 : 0]
        clock.observe(carried)
        const next = clock.tick(at)
        expect(next).toBeGreaterThan(carried)
        carried = next
      }
    }),
  )
})

test('until the year 2248 a timestamp is exact', () => {
  const last = hlcAt(Date.UTC(2248, 0, 1))
  expect(Number.isSafeInteger(last)).toBe(true)
  expect(new HybridClock(last).tick(0)).toBe(last + 1)
})
