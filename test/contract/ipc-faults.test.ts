import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { assertFrame, bytes, texts, upTo } from '../../src/testing/network-suite/kit.js'
import { Dice } from '../support/dice.js'
import {
  acquainted,
  echoing,
  KIB,
  FRAME_BYTES_MAX as LINK_FRAME_BYTES_MAX,
  listening,
  MIB,
  opened,
  PatientClock,
  patterned,
  RawPeer,
  sendAll,
  type TestListener,
  type TestListenerOptions,
  undisturbed,
} from '../support/ipc.js'
import { seedFor } from '../support/seed.js'
import { tempFolder } from '../support/temp.js'
import { until } from '../support/until.js'
import {
  commandOf,
  frameOf,
  greetingOf,
  headerOf,
  pingOf,
  propertyOf,
  readyOf,
} from '../support/zmtp-bytes.js'

/** Who does not keep to the format of IPC, or does not read, and what others notice of that: nothing. */

const FRAME_BYTES_MAX = 64 * KIB

const HELLO = Buffer.concat([greetingOf(), readyOf('DEALER')])
/** Its first two bytes say that it is of 3.0 or later. */
const V2_GREETING = Buffer.concat([
  Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 1, 5]),
  frameOf('an identity'),
])

interface Fault {
  readonly name: string
  readonly says: readonly Uint8Array[]
}

const FAULTS: readonly Fault[] = [
  { name: 'HTTP', says: [Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')] },
  { name: 'a line end', says: [Buffer.from('\n')] },
  { name: 'a greeting of ZMTP 1.0', says: [Buffer.from([1, 0])] },
  {
    name: 'a greeting of ZMTP 1.0 with a long identity',
    says: [Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 1, 1, 0]), Buffer.alloc(256)],
  },
  { name: 'a greeting of ZMTP 2.0', says: [V2_GREETING] },
  { name: 'a greeting for passwords', says: [greetingOf({ mechanism: 'PLAIN' })] },
  { name: 'a greeting for keys', says: [greetingOf({ mechanism: 'CURVE' })] },
  { name: 'a greeting twice', says: [greetingOf(), greetingOf()] },
  { name: 'a message before it says what it is', says: [greetingOf(), frameOf('too early')] },
  { name: 'a ping before it says what it is', says: [greetingOf(), pingOf('')] },
  { name: 'an error', says: [greetingOf(), commandOf('ERROR', '\x04no.1')] },
  { name: 'a property that is cut off', says: [greetingOf(), commandOf('READY', Buffer.from([11, 0x53]))] },
  {
    name: 'a property whose value is cut off',
    says: [greetingOf(), commandOf('READY', propertyOf('Socket-Type', 'DEALER').subarray(0, -1))],
  },
  {
    name: 'a property without a name',
    says: [
      greetingOf(),
      commandOf('READY', Buffer.concat([propertyOf('Socket-Type', 'DEALER'), propertyOf('', 'x')])),
    ],
  },
  { name: 'no type of socket', says: [greetingOf(), commandOf('READY', propertyOf('Identity', ''))] },
  ...['SUB', 'XSUB', 'PUB', 'XPUB', 'PUSH', 'PULL', 'PAIR', 'REP', 'CLIENT', 'dealer', ''].map((type) => ({
    name: `that it is a socket of type '${type}'`,
    says: [greetingOf(), readyOf(type)],
  })),
  {
    name: 'a command that nobody knows, too early',
    says: [greetingOf(), commandOf('DANCE'), readyOf('DEALER')],
  },
  { name: 'that it gives up', says: [HELLO, commandOf('ERROR', '\x04what')] },
  { name: 'a command of no name', says: [HELLO, frameOf('', { isCommand: true })] },
  { name: 'a ping that is too short', says: [HELLO, commandOf('PING', '\0')] },
  { name: 'a command that has more', says: [HELLO, headerOf(5, 5, false)] },
  { name: 'a reserved bit', says: [HELLO, headerOf(8, 1, false)] },
  { name: 'a long command', says: [HELLO, headerOf(6, 8_193)] },
  { name: 'a frame that is too long', says: [HELLO, frameOf('fits'), headerOf(2, FRAME_BYTES_MAX + 1)] },
  { name: 'a second part that is too long', says: [HELLO, headerOf(1, 0, false), headerOf(3, 2 ** 32)] },
  { name: 'a frame of 2^63 bytes', says: [HELLO, headerOf(2, 2n ** 63n)] },
]

describe('who does not keep to the format is cut off, and others are not disturbed', () => {
  test.each(FAULTS.map(({ name, says }) => [name, says] as const))('%s', async (_, says) => {
    const node = await echoing({ frameBytesMax: FRAME_BYTES_MAX })
    const friend = await undisturbed(node.path)
    const raw = await RawPeer.connect(node.path)
    raw.say(...says)
    await raw.closed()
    await friend.stop()
  })

  test('also if its bytes come one at a time', async () => {
    const node = await echoing({ frameBytesMax: FRAME_BYTES_MAX })
    const friend = await undisturbed(node.path)
    for (const { says } of FAULTS) {
      const raw = await RawPeer.connect(node.path)
      for (const byte of Buffer.concat(says)) {
        raw.say(Buffer.of(byte))
        await new Promise((resolve) => setImmediate(resolve))
      }
      await raw.closed()
    }
    await friend.stop()
  })

  test('nor does what it said before count for more than it is', async () => {
    const node = await listening({ frameBytesMax: FRAME_BYTES_MAX })
    const raw = await RawPeer.connect(node.path)
    raw.say(HELLO, frameOf('one'), frameOf('two', { hasMore: true }), headerOf(8, 1, false), frameOf('three'))
    await raw.closed()
    expect(texts(node.heard.map(({ frame }) => frame))).toEqual(['one', 'two'])
    expect(node.listener.send(node.peers[0]!, bytes('hello?'))).toBe(false)
  })
})

test('who asks for what is not known is not cut off, and not answered', async () => {
  const node = await echoing()
  const raw = await RawPeer.ready(node.path)
  raw.say(commandOf('DANCE', 'x'.repeat(300)), commandOf('SUBSCRIBE', 'x'), readyOf('SUB'), commandOf('PONG'))
  raw.say(pingOf('0123456789abcdef, and what is too much'), frameOf('hello'))
  await until('an answer', () => raw.frames.length === 1)
  expect(raw.received.subarray(64 + 43)).toEqual(
    Buffer.concat([commandOf('PONG', '0123456789abcdef'), frameOf('hello')]),
  )
})

describe('who says nothing', () => {
  test.each([
    ['at all', []],
    ['but the beginning of a greeting', [greetingOf().subarray(0, 63)]],
    ['but a greeting', [greetingOf()]],
    ['but half of what it is', [greetingOf(), readyOf('DEALER').subarray(0, 20)]],
    ['but a command that never ends', [greetingOf(), headerOf(6, 8_192), Buffer.alloc(8_000)]],
  ] as const)('%s has half a minute', async (_, says) => {
    const clock = new PatientClock()
    const node = await echoing({ clock })
    const friend = await undisturbed(node.path)
    const raw = await RawPeer.connect(node.path)
    raw.say(...says)
    await until('it is let in', () => raw.received.length >= 64)
    expect(clock.waiting).toBe(1)
    clock.elapse()
    await raw.closed()
    await friend.stop()
    expect(clock.waiting).toBe(0)
  })

  test('any more, once it has said what it is, is not cut off', async () => {
    const clock = new PatientClock()
    const node = await echoing({ clock })
    const raw = await RawPeer.ready(node.path)
    expect(clock.waiting).toBe(0)
    clock.elapse()
    raw.say(frameOf('at last'))
    await until('an answer', () => raw.frames.length === 1)
  })
})

describe('who is slow', () => {
  test('may say what it is, and more, one byte at a time', async () => {
    const node = await echoing()
    const raw = await RawPeer.connect(node.path)
    const long = frameOf('x'.repeat(300))
    for (const byte of Buffer.concat([HELLO, pingOf('abc'), frameOf('hello'), long])) {
      raw.say(Buffer.of(byte))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await until('all is answered', () => raw.frames.length === 2)
    expect(texts(node.heard.map(({ frame }) => frame))).toEqual(['hello', 'x'.repeat(300)])
    expect(raw.received.subarray(64)).toEqual(
      Buffer.concat([readyOf('ROUTER'), commandOf('PONG', 'abc'), frameOf('hello'), long]),
    )
  })

  test('may say all at once, before it is told anything', async () => {
    const node = await echoing()
    const raw = await RawPeer.connect(node.path)
    raw.say(HELLO, ...upTo(1_000).map((n) => frameOf(`${n}`)))
    await until('all is answered', () => raw.frames.length === 1_000)
    expect(texts(node.heard.map(({ frame }) => frame))).toEqual(upTo(1_000).map(String))
  })
})

/** Bytes of no known form, what is sure to be refused and what may not be. */
function noiseOf(dice: Dice): { readonly noise: Buffer; readonly isRefused: boolean } {
  const random = (bytesMax: number): Buffer =>
    Buffer.from(Array.from({ length: dice.between(0, bytesMax) }, () => dice.between(0, 255)))
  switch (dice.between(0, 4)) {
    case 0:
      return { noise: Buffer.concat([Buffer.of(dice.between(0, 254)), random(300)]), isRefused: true }
    case 1:
      return {
        noise: Buffer.concat([greetingOf(), Buffer.of(dice.between(8, 255)), random(300)]),
        isRefused: true,
      }
    case 2:
      return { noise: Buffer.concat([HELLO, Buffer.of(dice.between(8, 255)), random(300)]), isRefused: true }
    case 3:
      return { noise: Buffer.concat([HELLO, random(300)]), isRefused: false }
    default: {
      const talk = Buffer.concat([HELLO, frameOf('one', { hasMore: true }), pingOf('two'), frameOf('three')])
      for (let flips = dice.between(1, 4); flips > 0; flips--)
        talk[dice.between(0, talk.length - 1)]! ^= 1 << dice.between(0, 7)
      return { noise: talk.subarray(0, dice.between(1, talk.length)), isRefused: false }
    }
  }
}

test('2,000 connections of noise end, and disturb nobody', async (context) => {
  const dice = new Dice(seedFor(context))
  const node = await echoing({ frameBytesMax: FRAME_BYTES_MAX })
  const friend = await undisturbed(node.path)
  for (const _ of upTo(40)) {
    const batch = await Promise.all(
      upTo(50).map(async () => {
        const { noise, isRefused } = noiseOf(dice)
        const raw = await RawPeer.connect(node.path)
        raw.say(noise)
        return { raw, isRefused }
      }),
    )
    await until('what must be refused is', () =>
      batch.every(({ raw, isRefused }) => raw.isClosed || !isRefused),
    )
    for (const { raw } of batch) raw.socket.end()
    await until('all have ended', () => batch.every(({ raw }) => raw.isClosed))
  }
  await friend.stop()
  expect(node.heard.every(({ frame }) => frame.length <= FRAME_BYTES_MAX)).toBe(true)
})

/** Larger than what any kernel takes for one who does not read. */
const BLOCKING = patterned(8 * MIB, 1)

interface Blocked {
  readonly node: TestListener
  readonly raw: RawPeer
  send(frame: Uint8Array): boolean
}

/** One who has said what it is, and reads nothing any more: a large frame is on its way to it. */
async function blocked(options: TestListenerOptions = {}): Promise<Blocked> {
  const node = await listening(options)
  const raw = await RawPeer.ready(node.path)
  raw.say(frameOf('I ask, and never listen'))
  await until('it is heard', () => node.heard.length === 1)
  raw.socket.pause()
  const send = (frame: Uint8Array): boolean => node.listener.send(node.peers[0]!, frame)
  expect(send(BLOCKING)).toBe(true)
  return { node, raw, send }
}

/** What came, in order. */
async function expectReads({ raw }: Blocked, expected: readonly Uint8Array[]): Promise<void> {
  raw.socket.resume()
  const bytesDue = expected.reduce((sum, { length }) => sum + frameOf(new Uint8Array(length)).length, 0)
  await until('all arrives', () => raw.received.length >= 64 + 43 + bytesDue)
  const { frames } = raw
  expect(frames.length).toBe(expected.length)
  for (const [n, frame] of expected.entries()) assertFrame(frames[n], frameOf(frame))
}

describe('who reads nothing', () => {
  test('is kept so many frames, and gets them when it reads', async () => {
    const peer = await blocked({ peerFramesMax: 10 })
    const waiting = upTo(10).map((n) => bytes(`waits ${n}`))
    for (const frame of waiting) expect(peer.send(frame)).toBe(true)
    for (const n of upTo(3)) expect(peer.send(bytes(`dropped ${n}`))).toBe(false)
    await expectReads(peer, [BLOCKING, ...waiting])
    const further = upTo(100).map((n) => bytes(`further ${n}`))
    await sendAll(further, peer.send)
    await expectReads(peer, [BLOCKING, ...waiting, ...further])
  })

  test('is kept 1,024 frames if nothing else is said', async () => {
    const peer = await blocked()
    let count = 0
    while (peer.send(bytes(`${count}`))) if (++count > 10_000) throw new Error('its queue has no end')
    expect(count).toBe(1_024)
    await expectReads(peer, [BLOCKING, ...upTo(count).map((n) => bytes(`${n}`))])
  })

  test('is kept so many bytes, and gets them when it reads', async () => {
    const peer = await blocked({ peerBytesMax: MIB })
    const waiting = upTo(4).map((n) => patterned(MIB / 4, n))
    for (const frame of waiting) expect(peer.send(frame)).toBe(true)
    expect(peer.send(bytes('x'))).toBe(false)
    // One that has no bytes takes no room.
    expect(peer.send(bytes(''))).toBe(true)
    await expectReads(peer, [BLOCKING, ...waiting, bytes('')])
    const further = upTo(20).map((n) => patterned(MIB / 8, n))
    await sendAll(further, peer.send)
    await expectReads(peer, [BLOCKING, ...waiting, bytes(''), ...further])
  })

  test('is kept one frame of any size', async () => {
    const peer = await blocked({ peerBytesMax: MIB })
    const large = patterned(4 * MIB)
    expect(peer.send(large)).toBe(true)
    expect(peer.send(bytes('x'))).toBe(false)
    await expectReads(peer, [BLOCKING, large])
  })

  test('is kept nothing after half a minute, until it reads; what it was being sent it gets whole', async () => {
    const clock = new PatientClock()
    const peer = await blocked({ clock, peerFramesMax: 10 })
    for (const n of upTo(10)) expect(peer.send(bytes(`given up ${n}`))).toBe(true)
    expect(peer.send(bytes('dropped'))).toBe(false)
    clock.elapse()
    expect(peer.send(bytes('for whom?'))).toBe(false)
    await expectReads(peer, [BLOCKING])
    const further = upTo(100).map((n) => bytes(`further ${n}`))
    await sendAll(further, peer.send)
    await expectReads(peer, [BLOCKING, ...further])
    expect(clock.waiting).toBe(0)
  })

  test('does not keep others from being answered', async () => {
    const peer = await blocked({
      onFrame: (from, frame, listener) => void listener.send(from, frame),
    })
    const friend = await undisturbed(peer.node.path)
    const frame = patterned(64 * KIB)
    while (peer.send(frame));
    const other = await acquainted(peer.node)
    await until('an answer', () => other.log.frames.length === 1)
    await friend.stop()
    expect(peer.raw.isClosed).toBe(false)
  })

  test('and asks for signs of life all the same is heard, and its answers do not pile up', async () => {
    const { node, raw } = await blocked()
    for (const _ of upTo(100)) {
      raw.say(...upTo(1_000).map(() => pingOf('one of many')))
      await until('it is read', () => raw.socket.writableLength === 0)
    }
    raw.say(frameOf('still there'))
    await until('it is heard', () => node.heard.length === 2)
    raw.socket.resume()
    await until('the large frame', () => raw.frames.length === 1)
    await until('an answer', () => {
      raw.say(pingOf('last'))
      return raw.received.includes(commandOf('PONG', 'last'))
    })
    const answers = raw.received.subarray(64 + 43 + frameOf(BLOCKING).length)
    expect(answers.length).toBeLessThan(10_000 * commandOf('PONG', 'one of many').length)
  })

  test('and goes away is gone', async () => {
    const peer = await blocked({ peerFramesMax: 10 })
    for (const n of upTo(10)) peer.send(bytes(`${n}`))
    peer.raw.socket.destroy()
    await until('it is gone', () => !peer.send(bytes('hello?')) && peer.node.heard.length === 1)
    const other = await acquainted(peer.node)
    expect(other.log.turns).toEqual(['up'])
  })
})

/** Stands where a node would be, and says the same to everyone. */
async function pretending(
  ...says: readonly Uint8Array[]
): Promise<{ readonly path: string; connections(): number }> {
  const path = join(tempFolder(), 's')
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.resume()
    socket.write(Buffer.concat(says))
  })
  server.listen(path)
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return { path, connections: () => sockets.length }
}

describe('a link whose node does not keep to the format', () => {
  test.each([
    ['and speaks HTTP', [Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')]],
    ['and is one for keys', [greetingOf({ mechanism: 'CURVE' })]],
    ['and is of another type', [greetingOf(), readyOf('PUB')]],
    ['and speaks too early', [greetingOf(), frameOf('too early')]],
    ['and refuses it', [greetingOf(), commandOf('ERROR', '\x02no')]],
  ] as const)('%s tries again, and is not up', async (_, says) => {
    const { path, connections } = await pretending(...says)
    const { link, log } = opened(path)
    await until('it tries again and again', () => connections() >= 5)
    expect(link.send(bytes('hello'))).toBe(false)
    await link.close()
    expect(log.turns).toEqual([])
  })

  test('and sends too large a frame is down, and up again', async () => {
    const large = headerOf(2, 4 * LINK_FRAME_BYTES_MAX + 1)
    const { path } = await pretending(greetingOf(), readyOf('ROUTER'), frameOf('hello'), large)
    const { log } = opened(path)
    await until('it is up again and again', () => log.turns.filter((turn) => turn === 'up').length >= 3)
    expect(log.turns.slice(0, 5)).toEqual(['up', 'down', 'up', 'down', 'up'])
    expect(log.frames.length).toBeGreaterThanOrEqual(2)
  })

  test('and says nothing does not hold up its end', async () => {
    const { path, connections } = await pretending()
    const { link, log } = opened(path)
    await until('it is there', () => connections() === 1)
    await link.close()
    expect(log.turns).toEqual([])
  })
})
