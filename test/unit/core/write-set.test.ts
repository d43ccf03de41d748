import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { WriteBuffer } from '../../../src/client/write-buffer.js'
import { checkKey } from '../../../src/core/keys.js'
import { WriteSetBuilder } from '../../../src/core/write-set.js'
import { DEFAULT_LIMITS, type Limits } from '../../../src/limits.js'

const KEYS = ['a', 'bb', 'ccc', 'd', 'e']
const LIMITS: Limits = { ...DEFAULT_LIMITS, valueBytesMax: 8, writeSetBytesMax: 24, writeSetKeysMax: 3 }

const write = fc.tuple(fc.constantFrom(...KEYS), fc.option(fc.uint8Array({ maxLength: 10 }), { nil: null }))
const refusal = expect.objectContaining({ code: 'LimitExceeded', outcome: 'definite' })

function bytesOf(writes: ReadonlyMap<string, Uint8Array | null>): number {
  return [...writes].reduce((sum, [key, value]) => sum + key.length + (value?.length ?? 0), 0)
}

describe('write set', () => {
  test('equals a map that is checked as a whole after each write, and a refused write leaves no trace', () => {
    fc.assert(
      fc.property(fc.array(write, { maxLength: 30 }), (writes) => {
        const builder = new WriteSetBuilder(LIMITS)
        let model = new Map<string, Uint8Array | null>()
        for (const [key, value] of writes) {
          const next = new Map(model).set(key, value)
          const fits =
            (value?.length ?? 0) <= LIMITS.valueBytesMax &&
            next.size <= LIMITS.writeSetKeysMax &&
            bytesOf(next) <= LIMITS.writeSetBytesMax
          if (fits) {
            builder.set(key, value)
            model = next
          } else expect(() => builder.set(key, value)).toThrow(refusal)
          expect(new Map(builder.writes)).toEqual(model)
          expect([builder.size, builder.bytes]).toEqual([model.size, bytesOf(model)])
          expect(WriteSetBuilder.sizeOf(builder.writes)).toBe(builder.bytes)
          for (const each of KEYS) expect(builder.get(each)).toEqual(model.get(each))
        }
      }),
    )
  })

  test('limits hold to the byte and to the key', () => {
    const exact = new WriteSetBuilder(LIMITS)
    exact.set('a', new Uint8Array(8))
    expect(() => exact.set('b', new Uint8Array(9))).toThrow(refusal)
    exact.set('b', new Uint8Array(8))
    exact.set('c', new Uint8Array(5))
    expect(exact.bytes).toBe(LIMITS.writeSetBytesMax)
    expect(() => exact.set('c', new Uint8Array(6))).toThrow(refusal)
    expect(() => exact.set('d', null)).toThrow(refusal)
    exact.set('c', null)
    exact.set('a', null)
    expect(exact.bytes).toBe(3 + 8)
  })
})

describe('keys', () => {
  test('are well-formed text of 1 to so many bytes of UTF-8', () => {
    const limits = { ...DEFAULT_LIMITS, keyBytesMax: 12 }
    const unit = fc.constantFrom('a', 'é', '€', '😀', '\ud800', '\udc00', '\u0000')
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 14 }), (units) => {
        const key = units.join('')
        const bytes = new TextEncoder().encode(key)
        const wellFormed = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes) === key
        if (key !== '' && wellFormed && bytes.length <= 12) checkKey(key, limits)
        else
          expect(() => checkKey(key, limits)).toThrow(
            expect.objectContaining({ code: wellFormed && key !== '' ? 'LimitExceeded' : 'InvalidArgument' }),
          )
      }),
    )
    for (const bad of [undefined, null, 1, {}, ['a']])
      expect(() => checkKey(bad, limits)).toThrow(expect.objectContaining({ code: 'InvalidArgument' }))
  })
})

describe('write buffer of a client', () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: write.map((w) => ({ kind: 'set' as const, write: w })) },
    { weight: 1, arbitrary: fc.constant({ kind: 'spill' as const }) },
  )

  test('with what it sent ahead equals a map, and never lets through more than the node takes', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const buffer = new WriteBuffer(LIMITS)
        const node = new WriteSetBuilder(LIMITS)
        const model = new Map<string, Uint8Array | null>()
        const sent = new Set<string>()
        for (const each of steps) {
          if (each.kind === 'spill') {
            for (const [key, value] of buffer.take()) {
              sent.add(key)
              node.set(key, value)
            }
            buffer.sentAhead()
            expect(buffer.keptBytes).toBe(0)
            continue
          }
          const [key, value] = each.write
          try {
            buffer.set(key, value)
          } catch (error) {
            expect(error).toEqual(refusal)
            continue
          }
          sent.delete(key)
          model.set(key, value)
        }
        for (const key of KEYS) expect(buffer.get(key)).toEqual(sent.has(key) ? 'ahead' : model.get(key))
        expect(buffer.isEmpty).toBe(model.size === 0)
        for (const [key, value] of buffer.take()) node.set(key, value)
        expect(new Map(node.writes)).toEqual(model)
      }),
    )
  })
})
