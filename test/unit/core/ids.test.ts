import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { transactionId } from '../../../src/compose/transaction-id.js'
import { type Hlc, hlcAt } from '../../../src/core/hlc.js'
import {
  ATTEMPT_ENTROPY_BYTES,
  attemptCeiling,
  attemptHlc,
  isAttempt,
  isNodeId,
  isOrigin,
  isTxnId,
  makeAttempt,
  makeOrigin,
  makeTxnId,
  parseTxnId,
  TXN_ID_ENTROPY_BYTES,
  txnTimeMs,
} from '../../../src/core/ids.js'

const timeMs = fc.oneof(
  fc.integer({ min: 0, max: 2 ** 48 - 1 }),
  fc.constantFrom(0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 48 - 1),
)
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const hlc = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER - 1024 }).map((n) => n as Hlc)

/** Bit by bit after RFC 9562, 5.7, with none of the code under test. */
function naiveUuid7(ms: number, entropy: Uint8Array): string {
  const bits: string[] = [BigInt(ms).toString(2).padStart(48, '0')]
  const random = [...entropy].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  bits.push('0111', random.slice(4, 16), '10', random.slice(18, 80))
  const hex = BigInt(`0b${bits.join('')}`)
    .toString(16)
    .padStart(32, '0')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

describe('transaction ids', () => {
  test('are UUIDv7 to the bit', () => {
    fc.assert(
      fc.property(timeMs, bytes(TXN_ID_ENTROPY_BYTES), (ms, entropy) => {
        const id = makeTxnId(ms, entropy)
        expect(id).toBe(naiveUuid7(ms, entropy))
        expect(isTxnId(id)).toBe(true)
        expect(txnTimeMs(id)).toBe(ms)
        expect(parseTxnId(id.toUpperCase())).toBe(id)
      }),
    )
  })

  test('sort by time', () => {
    fc.assert(
      fc.property(
        timeMs,
        timeMs,
        bytes(TXN_ID_ENTROPY_BYTES),
        bytes(TXN_ID_ENTROPY_BYTES),
        (a, b, e1, e2) => {
          fc.pre(a !== b)
          expect(makeTxnId(a, e1) < makeTxnId(b, e2)).toBe(a < b)
        },
      ),
    )
  })

  test.each([-1, 0.5, 2 ** 48, Number.NaN, Number.POSITIVE_INFINITY])('are refused for the time %s', (ms) => {
    expect(() => makeTxnId(ms, new Uint8Array(TXN_ID_ENTROPY_BYTES))).toThrow(
      expect.objectContaining({ code: 'InvalidArgument' }),
    )
  })

  test('one changed character is refused, or is another valid id', () => {
    const character = fc.constantFrom(...'0123456789abcdefgzXF-_ \n\u0000é'.split(''))
    fc.assert(
      fc.property(
        timeMs,
        bytes(TXN_ID_ENTROPY_BYTES),
        fc.nat(36),
        character,
        (ms, entropy, at, replacement) => {
          const id = makeTxnId(ms, entropy)
          const text = id.slice(0, at) + replacement + id.slice(at + 1)
          const wellFormed =
            /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i.test(text) &&
            text.length === 36
          if (wellFormed) expect(parseTxnId(text)).toBe(text.toLowerCase())
          else expect(() => parseTxnId(text)).toThrow(expect.objectContaining({ code: 'InvalidArgument' }))
        },
      ),
    )
  })

  test('anything else is refused with InvalidArgument', () => {
    fc.assert(
      fc.property(fc.anything(), (what) => {
        expect(() => parseTxnId(what)).toThrow(expect.objectContaining({ code: 'InvalidArgument' }))
      }),
    )
  })

  test('derived ids are equal for equal input, and differ for different input', () => {
    const key = fc.string({ minLength: 1 })
    fc.assert(
      fc.property(key, timeMs, key, timeMs, (k1, t1, k2, t2) => {
        const id = transactionId(k1, t1)
        expect(transactionId(k1, t1)).toBe(id)
        expect(txnTimeMs(parseTxnId(id))).toBe(t1)
        if (k1 !== k2 || t1 !== t2) expect(transactionId(k2, t2)).not.toBe(id)
      }),
    )
    expect(transactionId('order-42', new Date(1_760_000_000_000))).toBe(
      transactionId('order-42', 1_760_000_000_000),
    )
  })
})

describe('attempts', () => {
  test('sort by the clock at which they began', () => {
    fc.assert(
      fc.property(hlc, hlc, bytes(ATTEMPT_ENTROPY_BYTES), bytes(ATTEMPT_ENTROPY_BYTES), (a, b, e1, e2) => {
        const [first, second] = [makeAttempt(a, e1), makeAttempt(b, e2)]
        expect(isAttempt(first)).toBe(true)
        expect(attemptHlc(first)).toBe(a)
        if (a !== b) expect(first < second).toBe(a < b)
      }),
    )
  })

  test('a ceiling is above all attempts of its millisecond, and below those of the next', () => {
    const ms = fc.integer({ min: 0, max: Math.floor(Number.MAX_SAFE_INTEGER / 1024) - 2 })
    fc.assert(
      fc.property(ms, fc.nat(1023), fc.nat(1023), bytes(ATTEMPT_ENTROPY_BYTES), (at, t1, t2, entropy) => {
        const ceiling = attemptCeiling((hlcAt(at) + t1) as Hlc)
        expect(isAttempt(ceiling)).toBe(true)
        expect(makeAttempt((hlcAt(at) + t2) as Hlc, entropy) < ceiling).toBe(true)
        expect(makeAttempt((hlcAt(at + 1) + t2) as Hlc, entropy) >= ceiling).toBe(true)
        // Whoever heard of the ceiling makes only higher attempts.
        expect(makeAttempt((attemptHlc(ceiling) + 1) as Hlc, entropy) > ceiling).toBe(true)
      }),
    )
  })
})

describe('origins', () => {
  test('a restart is another origin, and all are told from other text', () => {
    const nodeId = fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/)
    fc.assert(
      fc.property(nodeId, hlc, hlc, bytes(ATTEMPT_ENTROPY_BYTES), (id, a, b, entropy) => {
        const origin = makeOrigin(id, a, entropy)
        expect(isNodeId(id)).toBe(true)
        expect(isOrigin(origin)).toBe(true)
        expect(isOrigin(`${origin}0`)).toBe(false)
        expect(isOrigin(origin.replace('@', ''))).toBe(false)
        if (a !== b) expect(makeOrigin(id, b, entropy)).not.toBe(origin)
      }),
    )
    for (const bad of ['', 'a/b', 'a b', 'a@b', 'ä', 'x'.repeat(65)]) expect(isNodeId(bad)).toBe(false)
  })
})
