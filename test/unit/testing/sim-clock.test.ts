import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SimClock, seededRandom, simulate } from '../../../src/testing/sim-clock.js'

test('timers fire when they are due, in the order of their times and then of their setting', async () => {
  const timer = fc.record({ delayMs: fc.integer({ min: 0, max: 50 }), cancelled: fc.boolean() })
  await fc.assert(
    fc.asyncProperty(
      fc.array(timer, { maxLength: 30 }),
      fc.integer({ min: 0, max: 60 }),
      async (timers, ms) => {
        const clock = new SimClock()
        const fired: (readonly [number, number])[] = []
        for (const [i, { delayMs, cancelled }] of timers.entries()) {
          const set = clock.timer(delayMs, () => fired.push([clock.monotonic(), i]))
          if (cancelled) set.cancel()
        }
        await clock.advance(ms)
        const due = timers
          .map(({ delayMs, cancelled }, i) => ({ delayMs, cancelled, i }))
          .filter(({ delayMs, cancelled }) => !cancelled && delayMs <= ms)
          .sort((a, b) => a.delayMs - b.delayMs || a.i - b.i)
        expect(fired).toEqual(due.map(({ delayMs, i }) => [delayMs, i]))
        expect(clock.monotonic()).toBe(ms)
      },
    ),
  )
})

test('what was deferred runs before time passes, and promises are seen through before the next thing', async () => {
  const clock = new SimClock()
  const seen: string[] = []
  clock.timer(0, () => seen.push('timer'))
  clock.defer(() => {
    seen.push('deferred')
    Promise.resolve()
      .then(() => undefined)
      .then(() => seen.push('promise'))
  })
  await clock.runUntilIdle()
  expect(seen).toEqual(['deferred', 'promise', 'timer'])
})

test('until moves time as far as it has to, settles like its promise, and gives up', async () => {
  const clock = new SimClock(1_000)
  const wait = (ms: number) => new Promise<number>((resolve) => clock.timer(ms, () => resolve(clock.now())))
  expect(await clock.until(wait(500))).toBe(1_500)
  await expect(clock.until(wait(5).then(() => Promise.reject(new Error('no'))))).rejects.toThrow('no')
  await expect(clock.until(new Promise(() => undefined), 100)).rejects.toMatchObject({ code: 'Timeout' })
  clock.jump(-400)
  expect([clock.now(), clock.monotonic()]).toEqual([1_105, 505])
})

test('the same seed gives the same randomness, and another seed another', () => {
  const draw = (seed: number) => {
    const { random } = simulate(seed)
    return [random.fraction(), ...random.bytes(20), random.fraction()]
  }
  expect(draw(1)).toEqual(draw(1))
  expect(draw(1)).not.toEqual(draw(2))
  const random = seededRandom(5)
  const mean = Array.from({ length: 10_000 }, () => random.fraction()).reduce((a, b) => a + b) / 10_000
  expect(Math.abs(mean - 0.5)).toBeLessThan(0.02)
})
