import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  answerTo,
  COMMAND_BYTES_MAX,
  checkGreeting,
  checkReady,
  GREETING_BYTES,
  greeting,
  headerBytes,
  type Role,
  ready,
  writeHeader,
  ZmtpError,
} from '../../../src/transport/zmtp-format.js'
import { ZmtpFrames } from '../../../src/transport/zmtp-frames.js'
import {
  commandOf,
  type FrameFlags,
  frameOf,
  greetingOf,
  headerOf,
  propertyOf,
  readyOf,
} from '../../support/zmtp-bytes.js'

const FRAME_BYTES_MAX = 70_000
/** Of a frame whose first bytes have come. */
const ROOM_BYTES = 65_536

interface Spec {
  readonly bytes: number
  readonly fill: number
  readonly flags: FrameFlags
}

interface Seen {
  readonly isCommand: boolean
  readonly hasMore: boolean
  readonly body: Buffer
}

const size = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 300 }) },
  { weight: 2, arbitrary: fc.constantFrom(0, 1, 254, 255, 256, 257, 65_535, 65_536, FRAME_BYTES_MAX) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: FRAME_BYTES_MAX }) },
)
const message: fc.Arbitrary<Spec> = fc
  .tuple(size, fc.nat(255), fc.boolean(), fc.boolean())
  .map(([bytes, fill, hasMore, long]) => ({ bytes, fill, flags: { hasMore, ...(long && { isLong: true }) } }))
const command: fc.Arbitrary<Spec> = fc
  .tuple(fc.integer({ min: 0, max: COMMAND_BYTES_MAX }), fc.nat(255))
  .map(([bytes, fill]) => ({ bytes, fill, flags: { isCommand: true } }))
const specs = fc.array(fc.oneof({ weight: 4, arbitrary: message }, { weight: 1, arbitrary: command }), {
  maxLength: 12,
})
/** Sizes of pieces, over and over. */
const cuts = fc.array(
  fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 1_000 }), fc.constant(FRAME_BYTES_MAX)),
  { minLength: 1, maxLength: 8 },
)

/** A body whose bytes tell where they stand. */
function bodyOf({ bytes, fill }: Spec): Buffer {
  return Buffer.alloc(bytes, Buffer.from(Array.from({ length: 251 }, (_, n) => (n + fill) % 256)))
}

function framesOf(some: readonly Spec[]): Buffer[] {
  return some.map((spec) => frameOf(bodyOf(spec), spec.flags))
}

/** Each piece in memory of its own, as from a socket. */
function piecesOf(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + sizes[pieces.length % sizes.length]!
    pieces.push(Buffer.from(bytes.subarray(at, end)))
    at = end
  }
  return pieces
}

function drain(frames: ZmtpFrames, into: Seen[] = []): Seen[] {
  for (let next = frames.next(); next !== undefined; next = frames.next()) {
    const { header, body } = next
    expect(body.length).toBe(header.bodyBytes)
    into.push({ isCommand: header.isCommand, hasMore: header.hasMore, body })
  }
  return into
}

function expectSame(seen: readonly Seen[], expected: readonly Spec[]): void {
  const kinds = (some: readonly Omit<Seen, 'body'>[]) => some.map((one) => [one.isCommand, one.hasMore])
  const due = expected.map(({ flags: { isCommand = false, hasMore = false } }) => ({ isCommand, hasMore }))
  expect(kinds(seen)).toEqual(kinds(due))
  for (const [n, { body }] of seen.entries())
    expect(body.equals(bodyOf(expected[n]!)), `body ${n}`).toBe(true)
}

function parserOf(...bytes: readonly Uint8Array[]): ZmtpFrames {
  const frames = new ZmtpFrames(FRAME_BYTES_MAX)
  frames.add(Buffer.concat(bytes))
  return frames
}

describe('frames', () => {
  test('that are cut anywhere come out as they were', () => {
    fc.assert(
      fc.property(specs, cuts, (some, sizes) => {
        const frames = new ZmtpFrames(FRAME_BYTES_MAX)
        const seen: Seen[] = []
        for (const piece of piecesOf(Buffer.concat(framesOf(some)), sizes)) {
          frames.add(piece)
          drain(frames, seen)
        }
        expectSame(seen, some)
        expect(frames.heldBytes).toBe(0)
      }),
    )
  })

  test('come out as they were when they are asked for late, and not all at once', () => {
    fc.assert(
      fc.property(specs, cuts, fc.array(fc.nat(3), { minLength: 1, maxLength: 8 }), (some, sizes, asked) => {
        const frames = new ZmtpFrames(FRAME_BYTES_MAX)
        const seen: Seen[] = []
        for (const [n, piece] of piecesOf(Buffer.concat(framesOf(some)), sizes).entries()) {
          frames.add(piece)
          for (let left = asked[n % asked.length]!; left > 0; left--) {
            const next = frames.next()
            if (next === undefined) break
            seen.push({ ...next.header, body: next.body })
          }
        }
        drain(frames, seen)
        expectSame(seen, some)
      }),
    )
  })

  test('that are cut after every single byte come out as they were', () => {
    const some = [0, 1, 255, 256, 0, 300].map((bytes) => ({ bytes, fill: bytes % 256, flags: {} }))
    const frames = new ZmtpFrames(FRAME_BYTES_MAX)
    const seen: Seen[] = []
    for (const byte of Buffer.concat(framesOf(some))) {
      frames.add(Buffer.of(byte))
      drain(frames, seen)
    }
    expectSame(seen, some)
  })

  test('that are not whole hold what came, with room to grow, and no more', () => {
    fc.assert(
      fc.property(specs, cuts, (some, sizes) => {
        const frames = new ZmtpFrames(FRAME_BYTES_MAX)
        const each = framesOf(some)
        let came = 0
        for (const piece of piecesOf(Buffer.concat(each), sizes)) {
          frames.add(piece)
          came += piece.length
          drain(frames)
          let rest = came
          const open = each.find(({ length }) => {
            if (rest < length) return true
            rest -= length
            return false
          })
          const header = open === undefined ? 0 : (open[0]! & 2) === 0 ? 2 : 9
          const held = rest < header ? rest : rest - header
          expect(frames.heldBytes).toBeGreaterThanOrEqual(held)
          expect(frames.heldBytes).toBeLessThanOrEqual(held === 0 ? 0 : Math.max(2 * held, ROOM_BYTES))
        }
      }),
    )
  })

  test('that are announced and do not come take no memory', () => {
    const frames = new ZmtpFrames(2 ** 40)
    frames.add(headerOf(2, 2 ** 40))
    expect(frames.next()).toBeUndefined()
    expect(frames.heldBytes).toBe(0)
    for (const piece of ['so little', ', and more']) {
      frames.add(Buffer.from(piece))
      expect(frames.next()).toBeUndefined()
    }
    expect(frames.heldBytes).toBeLessThanOrEqual(ROOM_BYTES)
  })

  test('that are short may have a length of eight bytes', () => {
    const seen = drain(parserOf(frameOf('', { isLong: true }), frameOf('abc', { isLong: true })))
    expect(seen.map(({ body }) => body.toString())).toEqual(['', 'abc'])
  })

  test('stand behind bytes that are none', () => {
    const frames = new ZmtpFrames(FRAME_BYTES_MAX)
    for (const piece of piecesOf(Buffer.concat([greetingOf(), frameOf('abc')]), [7])) {
      expect(frames.take(GREETING_BYTES)).toBeUndefined()
      frames.add(piece)
    }
    expect(frames.peek(3)).toEqual(Buffer.from([0xff, 0, 0]))
    expect(frames.heldBytes).toBe(GREETING_BYTES + 5)
    expect(frames.take(GREETING_BYTES)).toEqual(greetingOf())
    expect(drain(frames).map(({ body }) => body.toString())).toEqual(['abc'])
  })
})

describe('a frame that is refused at its header', () => {
  test.each<readonly [string, Buffer]>([
    ['a message of one byte too many', headerOf(2, FRAME_BYTES_MAX + 1)],
    ['a part of one byte too many', headerOf(3, FRAME_BYTES_MAX + 1)],
    ['a command of one byte too many', headerOf(6, COMMAND_BYTES_MAX + 1)],
    ['a length of 2^32', headerOf(2, 2 ** 32)],
    ['a length of 2^53 + 1', headerOf(2, 2n ** 53n + 1n)],
    ['a length of 2^63', headerOf(2, 2n ** 63n)],
    ['a length of 2^64 - 1', headerOf(2, 2n ** 64n - 1n)],
    ['a command that has more', headerOf(5, 5, false)],
    ['a long command that has more', headerOf(7, 300)],
    ...[0x08, 0x10, 0x20, 0x40, 0x80, 0xf8].map(
      (bits) => [`the reserved bits ${bits}`, headerOf(bits, 1, false)] as const,
    ),
  ])('%s', (_, header) => {
    expect(() => parserOf(frameOf('before'), header).next()).not.toThrow()
    const frames = parserOf(frameOf('before'), header)
    frames.next()
    expect(() => frames.next()).toThrow(ZmtpError)
  })

  test('is not one of the largest size', () => {
    expect(parserOf(headerOf(2, FRAME_BYTES_MAX)).next()).toBeUndefined()
    expect(parserOf(headerOf(6, COMMAND_BYTES_MAX)).next()).toBeUndefined()
  })

  test('whatever the bytes are, there is no error of another kind', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 }), (pieces) => {
        const frames = new ZmtpFrames(100)
        try {
          for (const piece of pieces) {
            frames.add(Buffer.from(piece))
            drain(frames)
          }
        } catch (error) {
          expect(error).toBeInstanceOf(ZmtpError)
        }
      }),
    )
  })
})

describe('golden bytes', () => {
  test('of a greeting', () => {
    const expected =
      'ff00000000000000007f' + // signature
      '0301' + // version
      '4e554c4c00000000000000000000000000000000' + // mechanism: NULL
      '00' + // as-server
      '00000000000000000000000000000000000000000000000000000000000000' // filler
    expect(greeting().toString('hex')).toBe(expected)
    expect(GREETING_BYTES).toBe(64)
  })

  test.each([
    [
      'DEALER' as const,
      '0429' + // a command of 41 bytes
        '055245414459' + // READY
        '0b536f636b65742d54797065' + // Socket-Type
        '000000064445414c4552' + // DEALER
        '084964656e74697479' + // Identity
        '00000000',
    ],
    [
      'ROUTER' as const,
      '0429' + '055245414459' + '0b536f636b65742d54797065' + '00000006524f55544552084964656e7469747900000000',
    ],
  ])('of what a %s says of itself', (role, hex) => {
    expect(ready(role).toString('hex')).toBe(hex)
  })

  test.each([
    ['without a context', '0450494e470000', '040504504f4e47'],
    ['with a time to live', '0450494e47000a', '040504504f4e47'],
    ['with a context', '0450494e47000a636f6e', '040804504f4e47636f6e'],
    [
      'with the longest context',
      '0450494e47ffff000102030405060708090a0b0c0d0e0f',
      '041504504f4e47000102030405060708090a0b0c0d0e0f',
    ],
  ])('of the answer to a ping %s', (_, ping, pong) => {
    expect(answerTo(Buffer.from(ping, 'hex'))?.toString('hex')).toBe(pong)
  })

  test.each([
    [0, '0000'],
    [1, '0001'],
    [255, '00ff'],
    [256, '020000000000000100'],
    [65_536, '020000000000010000'],
    [2 ** 32 + 5, '020000000100000005'],
  ])('of the header of a message of %d bytes', (bytes, hex) => {
    const header = Buffer.alloc(headerBytes(bytes), 0xee)
    writeHeader(header, bytes)
    expect(header.toString('hex')).toBe(hex)
  })
})

describe('a greeting', () => {
  test.each([
    ['of 3.1', greetingOf()],
    ['of 3.0', greetingOf({ minor: 0 })],
    ['of a later version', greetingOf({ major: 4, minor: 7 })],
    ['whose padding is not zero', Buffer.from(greetingOf()).fill(0xab, 1, 9)],
    ['of a server', Buffer.from(greetingOf()).fill(1, 32, 33)],
  ])('%s is one, and so is each beginning of it', (_, bytes) => {
    for (let end = 0; end <= GREETING_BYTES; end++) checkGreeting(bytes.subarray(0, end))
  })

  test.each([
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n'), 1],
    ['ZMTP 1.0', Buffer.from([1, 0]), 1],
    ['a long identity of ZMTP 1.0', Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 1, 0, 0]), 10],
    ['ZMTP 2.0', Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 1, 5]), 11],
    ['PLAIN', greetingOf({ mechanism: 'PLAIN' }), 32],
    ['CURVE', greetingOf({ mechanism: 'CURVE' }), 32],
    ['NULLS', greetingOf({ mechanism: 'NULLS' }), 32],
    ['null', greetingOf({ mechanism: 'null' }), 32],
    ['no mechanism', greetingOf({ mechanism: '' }), 32],
  ])('%s is none, as soon as that is known', (_, bytes, known) => {
    expect(() => checkGreeting(bytes.subarray(0, known - 1))).not.toThrow()
    expect(() => checkGreeting(bytes.subarray(0, known))).toThrow(ZmtpError)
    expect(() => checkGreeting(bytes)).toThrow(ZmtpError)
  })
})

/** What stands behind the header of a command. */
function bodyOfCommand(bytes: Buffer): Buffer {
  return bytes.subarray(bytes[0] === 4 ? 2 : 9)
}

describe('what a socket says of itself', () => {
  const TYPES = [
    'DEALER',
    'ROUTER',
    'REQ',
    'REP',
    'PUB',
    'SUB',
    'XPUB',
    'XSUB',
    'PUSH',
    'PULL',
    'PAIR',
    '',
    'X',
  ]
  const PARTNERS: Readonly<Record<Role, readonly string[]>> = {
    DEALER: ['DEALER', 'ROUTER', 'REP'],
    ROUTER: ['DEALER', 'ROUTER', 'REQ'],
  }

  test.each(['DEALER', 'ROUTER'] as const)(
    'a %s is connected to what it may be, and to nothing else',
    (role) => {
      const taken = TYPES.filter((type) => {
        try {
          checkReady(bodyOfCommand(readyOf(type)), role)
          return true
        } catch (error) {
          expect(error).toBeInstanceOf(ZmtpError)
          return false
        }
      })
      expect(taken).toEqual(PARTNERS[role])
    },
  )

  test('names of properties may be in any case, and others may stand among them', () => {
    const properties = [
      propertyOf('X-Other', 'x'.repeat(300)),
      propertyOf('sOCKET-tYPE', 'DEALER'),
      propertyOf('Identity', '\0any'),
    ]
    checkReady(bodyOfCommand(commandOf('READY', Buffer.concat(properties))), 'ROUTER')
  })

  test.each([
    ['no command', Buffer.alloc(0)],
    ['a name of no bytes', Buffer.from([0])],
    ['a name that ends too early', Buffer.from([5, 0x52, 0x45])],
    ['another command', bodyOfCommand(commandOf('HELLO'))],
    ['an error', bodyOfCommand(commandOf('ERROR', Buffer.from([2, 0x6e, 0x6f])))],
    ['no property', bodyOfCommand(commandOf('READY'))],
    ['a property of no name', bodyOfCommand(commandOf('READY', propertyOf('', 'DEALER')))],
    ['a property whose name ends too early', bodyOfCommand(commandOf('READY', Buffer.from([20, 0x53])))],
    ['a property without a value', bodyOfCommand(readyOf('DEALER')).subarray(0, 18)],
    ['a property whose value ends too early', bodyOfCommand(readyOf('DEALER')).subarray(0, -14)],
    [
      'a value of 2^32 - 1 bytes',
      bodyOfCommand(commandOf('READY', Buffer.from('\x0bSocket-Type\xff\xff\xff\xffDEALER', 'latin1'))),
    ],
    ['bytes behind the properties', Buffer.concat([bodyOfCommand(readyOf('DEALER')), Buffer.of(1)])],
  ])('%s is refused', (_, body) => {
    expect(() => checkReady(body, 'ROUTER')).toThrow(ZmtpError)
  })

  test('whatever it says, there is no error of another kind', () => {
    const properties = bodyOfCommand(readyOf('DEALER'))
    const broken = fc
      .array(fc.tuple(fc.nat(properties.length - 1), fc.nat(255)), { maxLength: 4 })
      .map((changes) => {
        const bytes = Buffer.from(properties)
        for (const [at, value] of changes) bytes[at] = value
        return bytes
      })
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), broken), (body) => {
        for (const read of [
          () => checkReady(Buffer.from(body), 'ROUTER'),
          () => answerTo(Buffer.from(body)),
        ]) {
          try {
            read()
          } catch (error) {
            expect(error).toBeInstanceOf(ZmtpError)
          }
        }
      }),
    )
  })
})

describe('a command among messages', () => {
  test.each([
    ['a pong', commandOf('PONG', 'any')],
    ['a second READY', readyOf('DEALER')],
    ['a subscription', commandOf('SUBSCRIBE', 'a')],
    ['a ping in lower case', commandOf('ping', '\0\0')],
    ['what nobody knows', commandOf('DANCE', 'x'.repeat(1_000))],
  ])('%s asks for nothing', (_, bytes) => {
    expect(answerTo(bodyOfCommand(bytes))).toBeUndefined()
  })

  test('a ping with too long a context is answered with what may be of it', () => {
    const ping = commandOf('PING', '\0\x0a0123456789abcdefg')
    expect(answerTo(bodyOfCommand(ping))).toEqual(commandOf('PONG', '0123456789abcdef'))
  })

  test.each([
    ['no name', Buffer.alloc(0)],
    ['a name that ends too early', Buffer.from([5, 0x50, 0x49])],
    ['an error', bodyOfCommand(commandOf('ERROR', '\x02no'))],
    ['a ping without a time to live', bodyOfCommand(commandOf('PING', '\0'))],
  ])('%s is refused', (_, body) => {
    expect(() => answerTo(body)).toThrow(ZmtpError)
  })
})
