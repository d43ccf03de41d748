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

test('soon is after all that promises bring about, and before anything else happens', async () => {
  const clock = systemClock()
  const order: string[] = []
  await new Promise<void>((resolve) => {
    // Where an event begins: there what is next would come before promises.
    setImmediate(() => {
      void (async () => {
        await undefined
        await undefined
        order.push('promises')
      })()
      clock.soon(() => order.push('soon'))
    })
    setImmediate(() => {
      order.push('another event')
      resolve()
    })
  })
  expect(order).toEqual(['promises', 'soon', 'another event'])
})
