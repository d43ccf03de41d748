import { describe, expect, test } from 'vitest'
import type { Version } from '../../../../src/core/version.js'
import { Counters } from '../../../../src/node/counters.js'
import { Cache } from '../../../../src/node/reading/cache.js'
import { ValueCache } from '../../../../src/node/reading/value-cache.js'
import { createMemoryStorage } from '../../../../src/storage/memory.js'

const BYTES_MAX = 1_000_000

/** What is kept of `bytes`. */
function kept(bytes: Uint8Array): Uint8Array {
  const values = new ValueCache(createMemoryStorage(), new Cache(BYTES_MAX), new Counters())
  const version = { key: 'a', index: 0, source: 'inline' } as unknown as Version
  values.put(version, bytes)
  const found = values.glance(version)!
  expect([...found]).toEqual([...bytes])
  return found
}

const filled = (bytes: number): Uint8Array => new Uint8Array(bytes).map((_, i) => i)

describe('what a cache keeps holds no more memory than it counts', () => {
  test.each([
    ['a part of something larger', filled(10_000).subarray(1_000, 2_000)],
    ['just less than most of it', filled(10_000).subarray(0, 8_999)],
    ['a small one', filled(64)],
    ['a piece that a socket has received', Buffer.from(filled(4_096).buffer)],
    [
      'a piece of a pool',
      Buffer.from('something that is long enough to be no small one, which would be copied anyway'),
    ],
  ])('%s is copied', (_, bytes) => {
    const found = kept(bytes)
    expect(found.buffer).not.toBe(bytes.buffer)
    expect(found.buffer.byteLength).toBe(found.length)
  })

  test.each([
    ['all of what it is in', filled(4_096)],
    ['most of it', filled(10_000).subarray(500, 9_500)],
  ])('%s is kept as it is', (_, bytes) => {
    expect(kept(bytes)).toBe(bytes)
  })
})
