import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { VirgaError } from '../../../src/errors.js'
import { decodeContext, MAC_BYTES } from '../../../src/wire/context.js'
import { replyFrames, requestFrames, requestNumbers } from '../../../src/wire/frames.js'
import { pack } from '../../../src/wire/msgpack.js'
import * as records from '../../../src/wire/records.js'
import { decodeToken } from '../../../src/wire/token.js'
import { readProtocolFile } from '../../support/protocol-files.js'
import { hostile, plain } from './arbitraries.js'

/** Every decoder meets any bytes: it reads them, or throws its own typed error. Never another one. */

interface Vector {
  readonly hex?: string
  readonly text?: string
}

function vectors(name: string): readonly Vector[] {
  return (JSON.parse(readProtocolFile(`vectors/${name}.json`)!) as { vectors: Vector[] }).vectors
}

const bytesFrom = (name: string): fc.Arbitrary<Uint8Array> =>
  fc.oneof(
    fc.constantFrom(...vectors(name).map(({ hex }) => new Uint8Array(Buffer.from(hex!, 'hex')))),
    plain.map(pack),
  )

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

const RUNS = { numRuns: 3_000 }

test.each([
  ['standing', records.decodeStanding],
  ['pin', records.decodePin],
  ['order', records.decodeOrder],
  ['write set', records.decodeWriteSet],
  ['format', records.decodeFormat],
  ['minute', records.decodeMinute],
])('a record (%s) is read or is StorageCorrupt', (_, decode) => {
  fc.assert(
    fc.property(hostile(bytesFrom('records')), (bytes) => {
      expect([undefined, 'StorageCorrupt']).toContain(codeOf(() => decode(bytes)))
    }),
    RUNS,
  )
})

test('a frame is read or is refused; its request numbers never throw', () => {
  const refusals = [undefined, 'Malformed', 'UnsupportedVersion', 'LimitExceeded']
  fc.assert(
    fc.property(hostile(fc.oneof(bytesFrom('requests'), bytesFrom('replies'))), (bytes) => {
      expect(refusals).toContain(codeOf(() => requestFrames.decode(bytes)))
      expect(refusals).toContain(codeOf(() => replyFrames.decode(bytes)))
      for (const number of requestNumbers(bytes)) {
        expect(Number.isSafeInteger(number)).toBe(true)
        expect(number).toBeGreaterThanOrEqual(0)
      }
    }),
    RUNS,
  )
})

describe('frames of another version', () => {
  test('are told so, as far as request numbers can be read', () => {
    const frame = pack([2, [99, 7, 'what', ['ever']], [1], 'no message', [5, -1], [5, 1.5], [5, 8]])
    expect(codeOf(() => requestFrames.decode(frame))).toBe('UnsupportedVersion')
    expect(requestNumbers(frame)).toEqual([7, 8])
  })

  test('do not get their version quoted, if it is no number', () => {
    expect(() => requestFrames.decode(pack(['x'.repeat(10_000)]))).toThrow(/of type string/)
  })
})

test('a frame of more messages than may be is refused', () => {
  const pings = (count: number): Uint8Array => pack([1, ...Array(count).fill([12, 1])])
  expect(requestFrames.decode(pings(16_384))).toHaveLength(16_384)
  expect(codeOf(() => requestFrames.decode(pings(16_385)))).toBe('LimitExceeded')
})

describe('contexts', () => {
  const key = Buffer.from(
    (JSON.parse(readProtocolFile('vectors/contexts.json')!) as { clusterKey: string }).clusterKey,
    'hex',
  )
  const mac = (payload: Uint8Array): Uint8Array => createHmac('sha256', key).update(payload).digest()
  const known = vectors('contexts').map(({ text }) => text!)

  test('any text, and any change to a good one, is ContextInvalid', () => {
    const changed = fc
      .tuple(fc.constantFrom(...known), fc.nat(), fc.constantFrom('A', '_', '=', '+', ' ', '', '\ud800'))
      .map(([text, at, by]) => `${text.slice(0, at % text.length)}${by}${text.slice((at % text.length) + 1)}`)
      .filter((text) => !known.includes(text))
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String(), changed), (text) => {
        expect(codeOf(() => void decodeContext(text, mac))).toBe('ContextInvalid')
      }),
      RUNS,
    )
  })

  test('any bytes that are rightly signed are read, or ContextInvalid: a newer node may have made them', () => {
    const payloads = fc.oneof(
      plain.map(pack),
      fc.constantFrom(...known.map((text) => Buffer.from(text, 'base64url').subarray(0, -MAC_BYTES))),
    )
    fc.assert(
      fc.property(hostile(payloads), (payload) => {
        const text = Buffer.concat([payload, mac(payload)]).toString('base64url')
        expect([undefined, 'ContextInvalid']).toContain(codeOf(() => void decodeContext(text, mac)))
      }),
      RUNS,
    )
  })

  test('one of another cluster is ContextInvalid', () => {
    const other = (payload: Uint8Array): Uint8Array => createHmac('sha256', 'other').update(payload).digest()
    for (const text of known) expect(codeOf(() => void decodeContext(text, other))).toBe('ContextInvalid')
  })
})

test('a token is read or is InvalidArgument, and one without end is not looked at', () => {
  const known = vectors('tokens').map(({ text }) => Buffer.from(text!, 'base64url'))
  const texts = hostile(fc.oneof(fc.constantFrom(...known), plain.map(pack))).map((bytes) =>
    Buffer.from(bytes).toString('base64url'),
  )
  fc.assert(
    fc.property(fc.oneof(texts, fc.string()), (text) => {
      expect([undefined, 'InvalidArgument']).toContain(codeOf(() => decodeToken(text)))
    }),
    RUNS,
  )
  expect(codeOf(() => decodeToken('k'.repeat(10_000_000)))).toBe('InvalidArgument')
})
