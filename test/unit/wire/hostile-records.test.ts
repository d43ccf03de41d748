import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { History } from '../../../src/core/history.js'
import { VirgaError } from '../../../src/errors.js'
import { macOf } from '../../../src/platform/mac.js'
import { CODE_BYTES, contextBytes, contextSigning, decodeContext } from '../../../src/wire/context.js'
import {
  FRAME_MESSAGES_MAX,
  peerReplyFrames,
  peerRequestFrames,
  publicationFrames,
  replyFrames,
  requestFrames,
  requestNumbers,
} from '../../../src/wire/frames.js'
import { PROTOCOL_VERSION } from '../../../src/wire/messages.js'
import { pack } from '../../../src/wire/msgpack.js'
import { PEER_VERSION } from '../../../src/wire/peer-messages.js'
import { unpackSharedWrite, unpackState, unpackStretch } from '../../../src/wire/publications.js'
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
  ['base', records.decodeBase],
  ['guard', records.decodeGuard],
  ['lease', records.decodeLease],
  ['watermark', records.decodeWatermark],
  ['compacted vector', records.decodeCompacted],
  ['departed', records.decodeDeparted],
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

const REFUSALS = [undefined, 'Malformed', 'UnsupportedVersion', 'LimitExceeded']

test('a frame of a peer, and what is in it, is read or is refused', () => {
  const frames = fc.oneof(
    bytesFrom('peer-publications'),
    bytesFrom('peer-requests'),
    bytesFrom('peer-replies'),
  )
  fc.assert(
    fc.property(hostile(frames), (bytes) => {
      expect(REFUSALS).toContain(codeOf(() => peerRequestFrames.decode(bytes)))
      const whatIsIn = codeOf(() => {
        for (const message of publicationFrames.decode(bytes)) {
          if (message.type === 'published') unpackStretch(message)
        }
      })
      expect(REFUSALS).toContain(whatIsIn)
      const whatIsAnswered = codeOf(() => {
        for (const reply of peerReplyFrames.decode(bytes)) {
          if (reply.type === 'fetched') unpackStretch(reply)
          else if (reply.type === 'prepared') for (const set of reply.sets) set?.map(unpackSharedWrite)
        }
      })
      expect(REFUSALS).toContain(whatIsAnswered)
    }),
    RUNS,
  )
})

test('a state is read, and is then one that a history can take over, or is refused', () => {
  fc.assert(
    fc.property(hostile(bytesFrom('peer-states')), (bytes) => {
      const code = codeOf(() => {
        const history = new History()
        const state = unpackState(bytes)
        history.install(state)
        for (const [origin, seq] of history.cut()) {
          // No gap: every place is remembered or compacted.
          expect(history.firstOf(origin)).toBe((history.compacted.get(origin) ?? 0) + 1)
          expect(history.orderOf(origin, 1, seq).length).toBe(seq + 1 - history.firstOf(origin))
        }
      })
      expect(REFUSALS).toContain(code)
    }),
    RUNS,
  )
})

describe('what promises more than there is', () => {
  /** An array, or a byte string, of 2^32 - 1, where one is due. */
  const promising = [
    [0xdd, 0xff, 0xff, 0xff, 0xff],
    [0xc6, 0xff, 0xff, 0xff, 0xff],
    [0xdb, 0xff, 0xff, 0xff, 0xff],
  ]
  const starts = [[], [0x92, 0x01], [0x92, 0x01, 0x97, 0x01, 0x00], [0x99]]

  test.each(starts.flatMap((start) => promising.map((lie) => [[...start, ...lie]])))(
    '(%j) allocates nothing',
    (bytes) => {
      const before = process.memoryUsage()
      for (const decode of [
        (frame: Uint8Array) => publicationFrames.decode(frame),
        (frame: Uint8Array) => peerRequestFrames.decode(frame),
        (frame: Uint8Array) => peerReplyFrames.decode(frame),
        unpackState,
      ])
        expect(codeOf(() => void decode(new Uint8Array(bytes)))).toBe('Malformed')
      const after = process.memoryUsage()
      expect(after.heapUsed + after.external - before.heapUsed - before.external).toBeLessThan(
        64 * 1024 * 1024,
      )
    },
  )

  test('nor does a frame of more messages, or of deeper arrays, than may be', () => {
    const beat = [2, 0, 'n@0640e0c2e7b000f0e1d2c3b4', 0, [], [], 0]
    const beats = (count: number): Uint8Array => pack([PEER_VERSION, ...Array(count).fill(beat)])
    expect(publicationFrames.decode(beats(FRAME_MESSAGES_MAX))).toHaveLength(FRAME_MESSAGES_MAX)
    expect(codeOf(() => publicationFrames.decode(beats(FRAME_MESSAGES_MAX + 1)))).toBe('LimitExceeded')
    const deep = new Uint8Array(100_000).fill(0x91)
    for (const decode of [publicationFrames.decode.bind(publicationFrames), unpackState])
      expect(codeOf(() => void decode(deep))).toBe('Malformed')
  })
})

test('a message of one table is none of another', () => {
  const frameOf = (name: string): Uint8Array => new Uint8Array(Buffer.from(vectors(name)[0]!.hex!, 'hex'))
  const codecs = [
    ['peer-publications', publicationFrames],
    ['peer-requests', peerRequestFrames],
    ['peer-replies', peerReplyFrames],
  ] as const
  for (const [name] of codecs) {
    for (const [other, codec] of codecs)
      expect(
        codeOf(() => void codec.decode(frameOf(name))),
        `${name} as ${other}`,
      ).toBe(name === other ? undefined : 'Malformed')
  }
})

describe('frames of another version', () => {
  test('are told so, as far as request numbers can be read', () => {
    const frame = pack([
      PROTOCOL_VERSION + 1,
      [99, 7, 'what', ['ever']],
      [1],
      'no message',
      [5, -1],
      [5, 1.5],
      [5, 8],
    ])
    expect(codeOf(() => requestFrames.decode(frame))).toBe('UnsupportedVersion')
    expect(requestNumbers(frame)).toEqual([7, 8])
  })

  test('do not get their version quoted, if it is no number', () => {
    expect(() => requestFrames.decode(pack(['x'.repeat(10_000)]))).toThrow(/of type string/)
  })
})

test('a frame of more messages than may be is refused', () => {
  const pings = (count: number): Uint8Array => pack([PROTOCOL_VERSION, ...Array(count).fill([12, 1])])
  expect(requestFrames.decode(pings(16_384))).toHaveLength(16_384)
  expect(codeOf(() => requestFrames.decode(pings(16_385)))).toBe('LimitExceeded')
})

describe('contexts', () => {
  /** Of the vectors. */
  const key = Buffer.from(
    (JSON.parse(readProtocolFile('vectors/contexts.json')!) as { clusterKey: string }).clusterKey,
    'hex',
  )
  const { mac } = contextSigning(key, macOf)
  const known = vectors('contexts').map(({ text }) => text!)

  test('any text, and any change to a good one, is ContextInvalid', () => {
    const changed = fc
      .tuple(fc.constantFrom(...known), fc.nat(), fc.constantFrom('A', '_', '=', '+', ' ', '', '\ud800'))
      .map(([text, at, by]) => `${text.slice(0, at % text.length)}${by}${text.slice((at % text.length) + 1)}`)
      .filter((text) => !known.includes(text))
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String(), changed), (text) => {
        expect(codeOf(() => void decodeContext(contextBytes(text), mac))).toBe('ContextInvalid')
      }),
      RUNS,
    )
  })

  test('any bytes that are rightly signed are read, or ContextInvalid: a newer node may have made them', () => {
    const payloads = fc.oneof(
      plain.map(pack),
      fc.constantFrom(...known.map((text) => Buffer.from(text, 'base64url').subarray(0, -CODE_BYTES))),
    )
    fc.assert(
      fc.property(hostile(payloads), (payload) => {
        const signed = Buffer.concat([payload, mac(payload)])
        expect([undefined, 'ContextInvalid']).toContain(codeOf(() => void decodeContext(signed, mac)))
      }),
      RUNS,
    )
  })

  test('one of more values than may be is LimitExceeded, and small ones are looked at first', () => {
    const signed = (values: number): Uint8Array => {
      const payload = pack([2, Array(values).fill(0)])
      return Buffer.concat([payload, mac(payload)])
    }
    expect(codeOf(() => void decodeContext(signed(262_141), mac))).toBe('ContextInvalid')
    expect(codeOf(() => void decodeContext(signed(262_142), mac))).toBe('LimitExceeded')
    expect(codeOf(() => void decodeContext(signed(16_000_000), mac))).toBe('LimitExceeded')
  })

  test('one of another cluster is ContextInvalid', () => {
    const { mac: other } = contextSigning(Buffer.from('other'), macOf)
    for (const text of known)
      expect(codeOf(() => void decodeContext(contextBytes(text), other))).toBe('ContextInvalid')
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
