import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Cache } from '../../../../src/node/reading/cache.js'

const BYTES = new Uint8Array(8)
const ROOMY = 1_000_000_000

describe('the cache of a node', () => {
  it('drops what was used least recently once it has more bytes than it may', () => {
    const cache = new Cache(1_000)
    for (const key of ['a', 'b', 'c']) cache.set(key, BYTES)
    cache.get('a')
    cache.set('d', BYTES)
    expect([...cache.keys()]).toEqual(['d', 'a', 'c'])
    expect(cache.calculatedSize).toBeLessThanOrEqual(1_000)
  })

  it('has small tables again once most of what was in it is gone, and keeps the rest', () => {
    const cache = new Cache(ROOMY)
    for (let i = 0; i < 100_000; i++) cache.set(`k${i}`, new Uint8Array([i % 256]))
    expect(cache.room).toBe(100_000)
    for (let i = 0; i < 99_000; i++) cache.delete(`k${i}`)
    expect(cache.room).toBeLessThanOrEqual(100_000 / 8)
    for (let i = 99_000; i < 100_000; i++) expect(cache.peek(`k${i}`)).toEqual(new Uint8Array([i % 256]))
  })

  it('remembers what was used least recently over a move to smaller tables', () => {
    const room = 10_000
    const cache = new Cache(room * 300)
    for (let i = 0; i < room; i++) cache.set(`k${i}`, BYTES)
    for (const key of ['k9001', 'k9000']) cache.get(key)
    for (let i = 0; i < 9_000; i++) cache.delete(`k${i}`)
    expect(cache.room).toBeLessThan(room)
    const kept = [...cache.keys()]
    expect(kept.slice(0, 2)).toEqual(['k9000', 'k9001'])
    expect(kept.at(-1)).toBe('k9002')
  })

  it('answers as a map does while it is not full, whatever is set and deleted', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ key: fc.nat(30_000), many: fc.nat(15_000), isSet: fc.boolean() }), {
          maxLength: 12,
        }),
        (steps) => {
          const cache = new Cache(ROOMY)
          const model = new Map<string, Uint8Array>()
          for (const { key, many, isSet } of steps) {
            for (let i = key; i < key + many; i++) {
              const name = `k${i}`
              if (isSet) {
                const bytes = new Uint8Array([many % 256])
                cache.set(name, bytes)
                model.set(name, bytes)
              } else {
                cache.delete(name)
                model.delete(name)
              }
            }
          }
          expect(new Set(cache.keys())).toEqual(new Set(model.keys()))
          for (const [name, bytes] of model) expect(cache.peek(name)).toBe(bytes)
        },
      ),
      { numRuns: 8 },
    )
  })
})
