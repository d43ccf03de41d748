import { expect, test } from 'vitest'
import { systemClock } from '../../../src/platform/clock.js'

test.each([Number.POSITIVE_INFINITY, 2 ** 31, 1e15])('a timer of %d ms does not fire at once', async (ms) => {
  const clock = systemClock()
  let fired = false
  const timer = clock.timer(ms, () => {
    fired = true
  })
  await new Promise<void>((resolve) => clock.timer(50, resolve))
  expect(fired).toBe(false)
  timer.cancel()
})
