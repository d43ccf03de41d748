import { Packr } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { pack } from '../../../src/wire/msgpack.js'
import { decodeValue, encodeValue } from '../../../src/wire/value.js'

/** Of another library in the same process, which shares what msgpackr keeps for all packers. */
const other = new Packr({ useRecords: false })

const SIZES = [1, 100, 5_000, 100_000, 300_000, 1_500_000, 10, 20_000_000, 3]
const textOf = (size: number, i: number): string => String.fromCharCode(97 + (i % 26)).repeat(size)

describe('what one packer was given is not written over by another', () => {
  for (const [name, ours] of Object.entries({ pack, encodeValue })) {
    test(`theirs stands while ${name} packs, and the other way round`, () => {
      const kept = SIZES.map((size, i) => {
        const theirs = other.pack([textOf(size, i)])
        const own = [ours([textOf(10, i)]), ours([textOf(size, i)]), ours([textOf(2_000, i)])]
        const more = other.pack([textOf(7, i)])
        return { theirs, own, more }
      })
      for (const [i, { theirs, own, more }] of kept.entries()) {
        const size = SIZES[i]!
        expect(other.unpack(theirs)).toEqual([textOf(size, i)])
        expect(other.unpack(more)).toEqual([textOf(7, i)])
        const read = own.map((bytes) => (ours === pack ? other.unpack(bytes) : decodeValue(bytes)))
        expect(read).toEqual([[textOf(10, i)], [textOf(size, i)], [textOf(2_000, i)]])
      }
    })
  }

  test('nor by one that fails', () => {
    const before = other.pack(['before'])
    const cycle: unknown[] = ['x'.repeat(100)]
    cycle.push(cycle)
    expect(() => pack(cycle)).toThrow()
    expect(() => pack([Symbol('no')])).toThrow()
    const own = pack(['own'])
    expect(other.unpack(before)).toEqual(['before'])
    expect(other.unpack(other.pack(['after']))).toEqual(['after'])
    expect(other.unpack(own)).toEqual(['own'])
  })
})

test('nor by a value that is packed within another, by a getter of that one', () => {
  for (const size of [10, 5_000, 300_000, 3_000_000]) {
    const inner: Uint8Array[] = []
    const outer = {
      first: 1,
      get within() {
        inner.push(encodeValue([textOf(size, 1)]))
        return textOf(size, 2)
      },
      last: 'z',
    }
    const encoded = encodeValue(outer)
    expect(decodeValue(encoded)).toEqual({ first: 1, within: textOf(size, 2), last: 'z' })
    expect(inner.length).toBeGreaterThan(0)
    for (const bytes of inner) expect(decodeValue(bytes)).toEqual([textOf(size, 1)])
  }
})

test('what was packed is held alone if it is large, and in a pool of Node.js if it is small', () => {
  // 8 KiB, and 64 in newer versions.
  const { poolSize } = Buffer
  for (const size of [10, 100_000, 250_000, 5_000_000]) {
    const packed = pack([textOf(size, 0)])
    expect(packed.buffer.byteLength).toBeLessThan(Math.max(2 * packed.length, 2 * poolSize))
  }
})
