import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { VirgaError } from '../../../src/errors.js'
import { decodeValue, encodeValue } from '../../../src/wire/value.js'
import { hostile } from './arbitraries.js'

const wellFormed = fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed())

/** What a user may put: everything that is promised to come back as it was. */
const carried = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 6, depthSize: 'small' },
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.maxSafeInteger(),
    // -0 comes back as 0, as from JSON.
    fc.double().map((n) => n + 0),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
    wellFormed,
    fc.date({ noInvalidDate: true, min: new Date(-(2 ** 42)), max: new Date(2 ** 42) }),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(
      wellFormed.filter((name) => name !== '__proto__'),
      tie('value'),
      { maxKeys: 20, noNullPrototype: true },
    ),
  ),
})).value

describe('values', () => {
  test('come back as they were put', () => {
    fc.assert(
      fc.property(carried, (value) => {
        expect(decodeValue(encodeValue(value))).toEqual(value)
      }),
      { numRuns: 1_000 },
    )
  })

  test('come back the same out of a frame, where they are views into it', () => {
    fc.assert(
      fc.property(carried, fc.nat(9), (value, offset) => {
        const encoded = encodeValue(value)
        const frame = Buffer.concat([Buffer.alloc(offset, 1), encoded, Buffer.alloc(5, 1)])
        const view = frame.subarray(offset, offset + encoded.length)
        expect(decodeValue(view)).toEqual(value)
      }),
    )
  })

  test('do not change with what they were made of, nor what they were made of with them', () => {
    const bytes = Uint8Array.of(1, 2, 3)
    for (const value of [bytes, [bytes], { bytes }]) {
      const encoded = encodeValue(value)
      const decoded = decodeValue(encoded)
      bytes[0] = 9
      encoded.fill(0xff)
      expect(JSON.stringify(decoded)).toBe(JSON.stringify(decoded).replaceAll('9', '1'))
      bytes[0] = 1
    }
  })

  test('leave out properties that are undefined, as JSON does', () => {
    expect(decodeValue(encodeValue({ a: undefined, b: { c: undefined } }))).toEqual({ b: {} })
    expect(Object.keys(decodeValue(encodeValue({ a: undefined, b: 1 })) as object)).toEqual(['b'])
  })
})

describe('what can not be carried is refused', () => {
  const cycle: unknown[] = []
  cycle.push(cycle)
  const named = JSON.parse('{"a":{"__proto__":1}}') as unknown
  const cases: readonly (readonly [string, unknown])[] = [
    ['undefined', undefined],
    ['undefined in an array', [1, undefined]],
    ['a hole in an array', new Array(2)],
    ['a function', () => 1],
    ['a function in an object', { run: () => 1 }],
    ['a symbol', Symbol('a')],
    ['a cycle', cycle],
    ['an instance of a class', new (class Cart {})()],
    ['a Map', new Map([[1, 2]])],
    ['a Set within an array', [new Set([1])]],
    ['an Error', new Error('no')],
    ['a promise', Promise.resolve(1)],
    ['another typed array', new Float64Array(2)],
    ['an ArrayBuffer', new ArrayBuffer(2)],
    ['a date that is none', new Date(Number.NaN)],
    ['an integer of 65 bits', 2n ** 64n],
    ['an integer of 64 bits below zero', -(2n ** 63n) - 1n],
    ['a lone surrogate', 'a\ud800'],
    ['a lone surrogate as a name', { '\udc00': 1 }],
    ['a property named __proto__', named],
    ['101 arrays in each other', Array.from({ length: 102 }).reduce((inner) => [inner], 1)],
  ]
  test.each(cases)('%s', (_, value) => {
    let code: string | undefined
    try {
      encodeValue(value)
    } catch (error) {
      code = VirgaError.is(error) ? error.code : String(error)
    }
    expect(code).toBe('InvalidArgument')
  })
})

test('bytes that encodeValue did not make throw StorageCorrupt, or are read: nothing else', () => {
  const nearly = fc.oneof(
    carried.map(encodeValue),
    fc.uint8Array({ maxLength: 100 }).map((bytes) => Uint8Array.of(1, ...bytes)),
  )
  fc.assert(
    fc.property(hostile(nearly), (bytes) => {
      try {
        decodeValue(bytes)
      } catch (error) {
        expect(VirgaError.is(error) && error.code).toBe('StorageCorrupt')
      }
    }),
    { numRuns: 5_000 },
  )
})
