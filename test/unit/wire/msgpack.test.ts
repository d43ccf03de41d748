import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { VirgaError } from '../../../src/errors.js'
import { pack, unpack } from '../../../src/wire/msgpack.js'
import { skim } from '../../../src/wire/skim.js'
import * as independent from '../../support/messagepack.mjs'
import { hostile, plain } from './arbitraries.js'

/** What `run` throws, as a code; undefined if it returns. Anything but a VirgaError fails the test. */
function codeOf(run: () => void): string | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    if (VirgaError.is(error)) return error.code
    throw error
  }
}

const bytesOf = (...parts: (number | Uint8Array)[]): Uint8Array =>
  Buffer.concat(parts.map((part) => (typeof part === 'number' ? Buffer.of(part) : part)))

describe('what is written', () => {
  test('is read back, here and by another codec', () => {
    fc.assert(
      fc.property(plain, (value) => {
        const packed = pack(value)
        expect(unpack(packed)).toEqual(value)
        expect(independent.decode(packed)).toEqual(plainOf(value))
      }),
    )
  })

  test('by another codec is read here', () => {
    fc.assert(fc.property(plain, (value) => void expect(unpack(independent.encode(value))).toEqual(value)))
  })

  test('carries unsigned integers exactly up to 2^53 - 1, above 32 bits as float 64', () => {
    expect(Buffer.from(pack(2 ** 32 - 1)).toString('hex')).toBe('ceffffffff')
    expect(Buffer.from(pack(2 ** 32)).toString('hex')).toBe('cb41f0000000000000')
    expect(Buffer.from(pack(Number.MAX_SAFE_INTEGER)).toString('hex')).toBe('cb433fffffffffffff')
    fc.assert(fc.property(fc.maxSafeNat(), (n) => void expect(unpack(pack(n))).toBe(n)))
  })

  test('each way to write an integer is read as the same number', () => {
    const ways = ['07', 'cc07', 'cd0007', 'ce00000007', 'cf0000000000000007', 'd007', 'd10007', 'd200000007']
    for (const way of [...ways, 'd30000000000000007', 'ca40e00000', 'cb401c000000000000'])
      expect(unpack(Buffer.from(way, 'hex'))).toBe(7)
  })
})

describe('what is not let through', () => {
  const cases: readonly (readonly [string, string, Uint8Array])[] = [
    ['nothing', 'Malformed', bytesOf()],
    ['bytes left over', 'Malformed', bytesOf(0xc0, 0xc0)],
    ['an array that ends too early', 'Malformed', bytesOf(0x92, 0x01)],
    ['a length that is cut off', 'Malformed', bytesOf(0xdd, 0xff)],
    ['an array that promises four billion items', 'Malformed', bytesOf(0xdd, 0xff, 0xff, 0xff, 0xff)],
    ['text that promises four billion bytes', 'Malformed', bytesOf(0xdb, 0xff, 0xff, 0xff, 0xff)],
    ['a byte string that promises four billion bytes', 'Malformed', bytesOf(0xc6, 0xff, 0xff, 0xff, 0xff)],
    ['a map', 'Malformed', bytesOf(0x80)],
    ['an extension', 'Malformed', bytesOf(0xd4, 0x01, 0x00)],
    ['a timestamp', 'Malformed', bytesOf(0xd6, 0xff, 0, 0, 0, 0)],
    ['the byte that is never used', 'Malformed', bytesOf(0xc1)],
    ['arrays without end', 'Malformed', Buffer.alloc(1_000_000, 0x91)],
    ['13 arrays in each other', 'Malformed', bytesOf(Buffer.alloc(13, 0x91), 0xc0)],
    ['a lone surrogate', 'Malformed', bytesOf(0xa3, 0xed, 0xa0, 0x80)],
    ['Latin 1', 'Malformed', bytesOf(0xa4, Buffer.from('caf\u00e9', 'latin1'))],
    ['text cut within a character', 'Malformed', bytesOf(0xa2, 0xe2, 0x82)],
    ['bad text after much good text', 'Malformed', bytesOf(0xd9, 101, Buffer.alloc(100, 0x61), 0xff)],
  ]
  test.each(cases)('%s', (_, code, bytes) => {
    const startedAt = performance.now()
    expect(codeOf(() => unpack(bytes))).toBe(code)
    expect(performance.now() - startedAt).toBeLessThan(1_000)
  })

  test('more values than may be, before any is made', () => {
    const million = bytesOf(0xdd, 0, 0x0f, 0x42, 0x40, Buffer.alloc(1_000_000, 0x90))
    expect(codeOf(() => unpack(million, 1_000_000))).toBe('LimitExceeded')
    expect(codeOf(() => skim(million, 1_000_001))).toBeUndefined()
    expect(codeOf(() => skim(million))).toBeUndefined()
  })

  test('12 arrays in each other are, and all of Unicode', () => {
    expect(codeOf(() => unpack(bytesOf(Buffer.alloc(12, 0x91), 0xc0)))).toBeUndefined()
    const text = '\0~\u0080\u07ff\u0800\ufffd\uffff\u{10000}\u{10ffff}'
    for (const copies of [1, 10, 10_000])
      expect(unpack(independent.encode(text.repeat(copies)))).toBe(text.repeat(copies))
  })
})

describe('any bytes', () => {
  const nearly = plain.map((value) => pack(value))

  test('throw nothing but Malformed, and what skim accepts is decoded as another codec does', () => {
    fc.assert(
      fc.property(hostile(nearly), (bytes) => {
        const code = codeOf(() => skim(bytes))
        if (code === undefined) expect(plainOf(unpack(bytes))).toEqual(independent.decode(bytes))
        else {
          expect(code).toBe('Malformed')
          expect(codeOf(() => unpack(bytes))).toBe('Malformed')
        }
      }),
      { numRuns: 5_000 },
    )
  })

  test('skim refuses nothing that another codec reads, but for depth', () => {
    fc.assert(
      fc.property(hostile(nearly), (bytes) => {
        let value: unknown
        try {
          value = independent.decode(bytes)
        } catch {
          expect(codeOf(() => skim(bytes))).toBe('Malformed')
          return
        }
        if (depthOf(value) <= 12) expect(codeOf(() => skim(bytes))).toBeUndefined()
      }),
      { numRuns: 5_000 },
    )
  })
})

function depthOf(value: unknown): number {
  return Array.isArray(value) ? 1 + Math.max(0, ...value.map(depthOf)) : 0
}

/** Byte strings as plain arrays of bytes: codecs return different classes of them. */
function plainOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plainOf)
  return value instanceof Uint8Array ? new Uint8Array(value) : value
}
