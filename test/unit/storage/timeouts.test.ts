import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { VirgaError } from '../../../src/errors.js'
import { Timeouts } from '../../../src/storage/timeouts.js'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const late = () => new VirgaError('StorageUnavailable', 'late', { outcome: 'indefinite' })

test('what never settles fails between 1 and 1.125 times the time-out, whenever it began', async () => {
  const timeouts = new Timeouts(800)
  const failedAt: number[] = []
  const start = performance.now()
  for (let n = 0; n < 40; n += 1) {
    const began = performance.now() - start
    timeouts.bound(new Promise(() => {}), late).catch(() => failedAt.push(performance.now() - start - began))
    await vi.advanceTimersByTimeAsync(37)
  }
  await vi.advanceTimersByTimeAsync(2_000)
  expect(failedAt).toHaveLength(40)
  for (const ms of failedAt) {
    expect(ms).toBeGreaterThanOrEqual(800)
    expect(ms).toBeLessThanOrEqual(900)
  }
  expect(vi.getTimerCount()).toBe(0)
})

test('what settles in time keeps its outcome, and no timer stays behind', async () => {
  const timeouts = new Timeouts(800)
  expect(await timeouts.bound(Promise.resolve(1), late)).toBe(1)
  await expect(timeouts.bound(Promise.reject(new Error('own')), late)).rejects.toThrow('own')
  const slow = timeouts.bound(sleep(700, 2), late)
  await vi.advanceTimersByTimeAsync(799)
  expect(await slow).toBe(2)
  await vi.advanceTimersByTimeAsync(800)
  expect(vi.getTimerCount()).toBe(0)
})
