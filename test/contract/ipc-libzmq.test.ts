import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  Dealer,
  Pair,
  Publisher,
  Pull,
  Push,
  Reply,
  Request,
  Router,
  type Socket,
  Subscriber,
  XPublisher,
  XSubscriber,
} from 'zeromq'
import { assertFrame, bytes, texts, upTo } from '../../src/testing/network-suite/kit.js'
import { makeKeyPair } from '../../src/transport/zeromq-keys.js'
import {
  acquainted,
  echoing,
  LONG_MS,
  linked,
  listening,
  MIB,
  opened,
  patterned,
  SIZES,
  sendAll,
  Tap,
  type TestListener,
} from '../support/ipc.js'
import { tempFolder } from '../support/temp.js'
import { until } from '../support/until.js'

/** Our ends of IPC and the sockets of libzmq, which clients in other languages have. */

/** Often enough to be seen, and to be missed: an answer that does not come breaks the connection. */
const HEARTBEATS = { heartbeatInterval: 100, heartbeatTimeout: 2_000 }
const BEATS = 30

/** What waits for a socket when that closes may fail: nobody waits for it then. */
function whileOpen(work: () => Promise<void>): void {
  work().catch(() => undefined)
}

/** The types of what happens to a socket. Closes it when the test ends. */
function eventsOf(socket: Socket): string[] {
  const events: string[] = []
  whileOpen(async () => {
    for await (const { type } of socket.events) events.push(type)
  })
  onTestFinished(() => socket.close())
  return events
}

interface TestDealer {
  readonly dealer: Dealer
  readonly frames: Buffer[]
  readonly events: readonly string[]
}

function dealing(path: string, options: ConstructorParameters<typeof Dealer>[0] = {}): TestDealer {
  const dealer = new Dealer({ linger: 0, ...options })
  const events = eventsOf(dealer)
  const frames: Buffer[] = []
  whileOpen(async () => {
    for await (const [frame] of dealer) frames.push(frame!)
  })
  dealer.connect(`ipc://${path}`)
  return { dealer, frames, events }
}

interface TestRouter {
  readonly router: Router
  readonly heard: { readonly peer: Buffer; readonly frame: Buffer }[]
  close(): Promise<void>
}

async function routing(
  path: string,
  options: ConstructorParameters<typeof Router>[0] = {},
  onFrame?: (router: Router, peer: Buffer, frame: Buffer) => void,
): Promise<TestRouter> {
  const router = new Router({ linger: 0, sendHighWaterMark: 100_000, ...options })
  onTestFinished(() => router.close())
  await router.bind(`ipc://${path}`)
  const heard: { peer: Buffer; frame: Buffer }[] = []
  whileOpen(async () => {
    for await (const [peer, frame] of router) {
      heard.push({ peer: peer!, frame: frame! })
      onFrame?.(router, peer!, frame!)
    }
  })
  return {
    router,
    heard,
    async close() {
      await router.unbind(`ipc://${path}`)
      router.close()
    },
  }
}

/** Sends one after the other what is answered, without waiting for it in between. */
function echoingRouter(
  path: string,
  options: ConstructorParameters<typeof Router>[0] = {},
): Promise<TestRouter> {
  let last: Promise<void> = Promise.resolve()
  return routing(path, options, (router, peer, frame) => {
    last = last.then(() => router.send([peer, frame]))
    whileOpen(() => last)
  })
}

function expectFrames(actual: readonly Uint8Array[], expected: readonly Uint8Array[]): void {
  expect(actual.length).toBe(expected.length)
  for (const [n, frame] of expected.entries()) assertFrame(actual[n], frame)
}

function framesOf({ heard }: { readonly heard: readonly { readonly frame: Uint8Array }[] }): Uint8Array[] {
  return heard.map(({ frame }) => frame)
}

async function expectServed(node: TestListener): Promise<void> {
  const { dealer, frames } = dealing(node.path)
  await dealer.send('am I served?')
  await until('an answer', () => frames.length === 1)
  expect(texts(frames)).toEqual(['am I served?'])
}

describe('a dealer of libzmq at our listener', () => {
  test('sends frames of all sizes and gets them back, in order and whole', async () => {
    const node = await echoing()
    const { dealer, frames } = dealing(node.path)
    const sent = [...SIZES, ...SIZES.toReversed()].map((size, n) => patterned(size, n))
    for (const frame of sent) await dealer.send(frame)
    await until('all came back', () => frames.length === sent.length, LONG_MS)
    expectFrames(framesOf(node), sent)
    expectFrames(frames, sent)
  })

  test('sends 10,000 small frames while it gets as many', async () => {
    const count = 10_000
    const node = await listening()
    const { dealer, frames } = dealing(node.path)
    await dealer.send('hello')
    await until('it is heard', () => node.heard.length === 1)
    const numbers = upTo(count).map((n) => bytes(`${n}`))
    const sendThere = async (): Promise<void> => {
      for (const frame of numbers) await dealer.send(Buffer.from(frame))
    }
    await Promise.all([sendThere(), sendAll(numbers, (frame) => node.listener.send(node.peers[0]!, frame))])
    await until('all arrive', () => node.heard.length === count + 1 && frames.length === count)
    const expected = upTo(count).map(String)
    expect(texts(frames)).toEqual(expected)
    expect(texts(framesOf(node).slice(1))).toEqual(expected)
  })

  test('may have a routing id, even one that another has', async () => {
    const node = await echoing()
    const dealers = ['me', 'me', 'x'.repeat(255)].map((routingId) => dealing(node.path, { routingId }))
    for (const [n, { dealer }] of dealers.entries()) await dealer.send(`${n}`)
    await until('all are answered', () => dealers.every(({ frames }) => frames.length === 1))
    expect(dealers.map(({ frames }) => texts(frames))).toEqual([['0'], ['1'], ['2']])
    expect(node.peers.length).toBe(3)
  })

  test('that looks for a sign of life finds one', async () => {
    const node = await echoing()
    const tap = await Tap.to(node.path)
    const { dealer, frames, events } = dealing(tap.path, HEARTBEATS)
    await until('many answers', () => tap.commands('far', 'PONG') >= BEATS)
    await dealer.send('still there?')
    await until('an answer', () => frames.length === 1)
    expect(events.filter((type) => type === 'handshake' || type === 'disconnect')).toEqual(['handshake'])
    expect(tap.connections).toBe(1)
  })

  test('is told of the first part of a message, and the next message is not confused', async () => {
    const node = await echoing()
    const { dealer, frames } = dealing(node.path)
    await dealer.send(['one', 'of', 'three'])
    await dealer.send('alone')
    await dealer.send(['', '', ''])
    await dealer.send([patterned(MIB), patterned(MIB, 1), ''])
    await dealer.send(upTo(1_000).map(String))
    await dealer.send('last')
    const expected = [bytes('one'), bytes('alone'), bytes(''), patterned(MIB), bytes('0'), bytes('last')]
    await until('all came back', () => frames.length === expected.length)
    expectFrames(framesOf(node), expected)
    expectFrames(frames, expected)
  })

  test('is one of many, each of which gets its own', async () => {
    const node = await echoing()
    const dealers = upTo(20).map(() => dealing(node.path))
    const sentBy = (n: number): Buffer[] => upTo(50).map((m) => patterned(m * 400, n))
    await Promise.all(
      dealers.map(async ({ dealer }, n) => {
        for (const frame of sentBy(n)) await dealer.send(frame)
      }),
    )
    await until('all came back', () => dealers.every(({ frames }) => frames.length === 50))
    expect(node.peers.length).toBe(20)
    for (const [n, { frames }] of dealers.entries()) expectFrames(frames, sentBy(n))
  })

  test('that goes and comes again is another peer', async () => {
    const node = await echoing()
    const { dealer, frames } = dealing(node.path)
    for (const n of upTo(5)) {
      await dealer.send(`${n}`)
      await until('an answer', () => frames.length === n + 1)
      dealer.disconnect(`ipc://${node.path}`)
      await until('the peer is gone', () => !node.listener.send(node.peers[n]!, bytes('hello?')))
      dealer.connect(`ipc://${node.path}`)
    }
    expect(node.peers.length).toBe(5)
    expect(texts(framesOf(node))).toEqual(upTo(5).map(String))
  })

  test('finds the listener that comes after', async () => {
    const first = await echoing()
    const { dealer, frames, events } = dealing(first.path, { reconnectInterval: 20 })
    await dealer.send('first')
    await until('an answer', () => frames.length === 1)
    await first.listener.close()
    await until('it is gone', () => events.includes('disconnect'))
    const second = await echoing({ path: first.path })
    await dealer.send('second')
    await until('another answer', () => frames.length === 2)
    expect(texts(frames)).toEqual(['first', 'second'])
    expect(texts(framesOf(second))).toEqual(['second'])
  })

  test('delivers what it sent before it closes, however long that takes to read', async () => {
    const ballast = patterned(MIB)
    // Work, which takes many turns.
    const node = await listening({ onFrame: () => void ballast.indexOf('not in there') })
    const dealer = new Dealer({ linger: LONG_MS, sendHighWaterMark: 100_000 })
    dealer.connect(`ipc://${node.path}`)
    const frames = upTo(4_000).map((n) => patterned(200, n))
    for (const frame of frames) await dealer.send(frame)
    dealer.close()
    await until('all arrive', () => node.heard.length === frames.length)
    expectFrames(framesOf(node), frames)
  })

  test('gets what was sent before the listener closed', async () => {
    const node = await listening()
    const { dealer, frames } = dealing(node.path)
    await dealer.send('hello')
    await until('it is heard', () => node.heard.length === 1)
    const sent = upTo(100).map((n) => patterned(16_384, n))
    for (const frame of sent) expect(node.listener.send(node.peers[0]!, frame)).toBe(true)
    await node.listener.close()
    await until('all arrive', () => frames.length === sent.length)
    expectFrames(frames, sent)
  })

  test('sends too large a frame: it is cut off, and others are not', async () => {
    const node = await echoing({ frameBytesMax: MIB })
    const other = await acquainted(node)
    const { dealer, frames, events } = dealing(node.path)
    await dealer.send(patterned(MIB))
    await until('the largest comes back', () => frames.length === 1)
    await dealer.send(patterned(MIB + 1))
    await until('it is cut off', () => events.includes('disconnect'))
    other.link.send(bytes('hello'))
    await until('an answer', () => other.log.frames.length === 2)
    expect(other.log.turns).toEqual(['up'])
    expect(node.heard.every(({ frame }) => frame.length <= MIB)).toBe(true)
  })
})

describe('who is let in', () => {
  test('a dealer that has keys is not', async () => {
    const node = await echoing()
    const [own, nodes] = [makeKeyPair(), makeKeyPair()]
    const { dealer, frames, events } = dealing(node.path, {
      curvePublicKey: own.publicKey,
      curveSecretKey: own.secretKey,
      curveServerKey: nodes.publicKey,
    })
    void dealer.send('let me in').catch(() => undefined)
    await until('it is sent away', () => events.includes('disconnect'))
    expect(node.heard).toEqual([])
    expect(frames).toEqual([])
    expect(events).not.toContain('handshake')
    await expectServed(node)
  })

  test('a dealer that has a password is not', async () => {
    const node = await echoing()
    const { dealer, events } = dealing(node.path, {
      plainUsername: 'me',
      plainPassword: 'secret',
    })
    void dealer.send('let me in').catch(() => undefined)
    await until('it is sent away', () => events.includes('disconnect'))
    expect(node.heard).toEqual([])
    expect(events).not.toContain('handshake')
    await expectServed(node)
  })

  test.each([
    ['Subscriber', () => new Subscriber({ linger: 0 })],
    ['XSubscriber', () => new XSubscriber({ linger: 0 })],
    ['Publisher', () => new Publisher({ linger: 0 })],
    ['XPublisher', () => new XPublisher({ linger: 0 })],
    ['Push', () => new Push({ linger: 0 })],
    ['Pull', () => new Pull({ linger: 0 })],
    ['Pair', () => new Pair({ linger: 0 })],
    ['Reply', () => new Reply({ linger: 0 })],
  ])('a %s is not', async (_, make) => {
    const node = await echoing()
    const socket = make()
    const events = eventsOf(socket)
    if (socket instanceof Subscriber) socket.subscribe()
    socket.connect(`ipc://${node.path}`)
    await until('it is sent away', () => events.includes('disconnect'))
    expect(events).not.toContain('handshake')
    expect(node.heard).toEqual([])
    await expectServed(node)
  })

  test('a Request is, and so is a Router', async () => {
    const node = await listening()
    const request = new Request({ linger: 0 })
    const router = new Router({ linger: 0 })
    const events = [eventsOf(request), eventsOf(router)]
    request.connect(`ipc://${node.path}`)
    router.connect(`ipc://${node.path}`)
    await until('both are ready', () => events.every((types) => types.includes('handshake')))
    await request.send('a question')
    // It sends an empty part first.
    await until('it is heard', () => node.heard.length === 1)
    expect(texts(framesOf(node))).toEqual([''])
    expect(events.flat()).not.toContain('disconnect')
  })
})

describe('our link at a router of libzmq', () => {
  test('sends frames of all sizes and gets them back, in order and whole', async () => {
    const path = join(tempFolder(), 's')
    const node = await echoingRouter(path)
    const { link, log } = await linked(path)
    const sent = [...SIZES, ...SIZES.toReversed()].map((size, n) => patterned(size, n))
    await sendAll(sent, (frame) => link.send(frame))
    await until('all came back', () => log.frames.length === sent.length, LONG_MS)
    expectFrames(framesOf(node), sent)
    expectFrames(log.frames, sent)
    expect(log.turns).toEqual(['up'])
  })

  test('sends 10,000 small frames while it gets as many', async () => {
    const count = 10_000
    const path = join(tempFolder(), 's')
    const node = await routing(path)
    const { link, log } = await linked(path)
    link.send(bytes('hello'))
    await until('it is heard', () => node.heard.length === 1)
    const sendBack = async (): Promise<void> => {
      for (const n of upTo(count)) await node.router.send([node.heard[0]!.peer, `${n}`])
    }
    await Promise.all([
      sendAll(
        upTo(count).map((n) => bytes(`${n}`)),
        (frame) => link.send(frame),
      ),
      sendBack(),
    ])
    await until('all arrive', () => node.heard.length === count + 1 && log.frames.length === count)
    const expected = upTo(count).map(String)
    expect(texts(log.frames)).toEqual(expected)
    expect(texts(framesOf(node).slice(1))).toEqual(expected)
  })

  test('is told of the first part of a message, and the next message is not confused', async () => {
    const path = join(tempFolder(), 's')
    const node = await routing(path)
    const { link, log } = await linked(path)
    link.send(bytes('hello'))
    await until('it is heard', () => node.heard.length === 1)
    const { peer } = node.heard[0]!
    await node.router.send([peer, 'one', 'of', 'three'])
    await node.router.send([peer, patterned(MIB), patterned(MIB, 1)])
    await node.router.send([peer, '', ''])
    await node.router.send([peer, 'last'])
    await until('all arrive', () => log.frames.length === 4)
    expectFrames(log.frames, [bytes('one'), patterned(MIB), bytes(''), bytes('last')])
  })

  test('notices that it goes and comes again; what is sent meanwhile is dropped', async () => {
    const path = join(tempFolder(), 's')
    const first = await echoingRouter(path)
    const { link, log } = await linked(path)
    link.send(bytes('first'))
    await until('an answer', () => log.frames.length === 1)
    await first.close()
    await until('the link is down', () => !log.isUp)
    expect(link.send(bytes('meanwhile'))).toBe(false)
    const second = await echoingRouter(path)
    await until('the link is up again', () => log.isUp)
    expect(link.send(bytes('second'))).toBe(true)
    await until('an answer', () => log.frames.length === 2)
    expect(log.turns).toEqual(['up', 'down', 'up'])
    expect(texts(log.frames)).toEqual(['first', 'second'])
    expect(texts(framesOf(second))).toEqual(['second'])
  })

  test('gives a sign of life to one that looks for it', async () => {
    const path = join(tempFolder(), 's')
    await echoingRouter(path, { ...HEARTBEATS, heartbeatTimeToLive: 2_000 })
    const tap = await Tap.to(path)
    const { link, log } = await linked(tap.path)
    await until('many answers', () => tap.commands('near', 'PONG') >= BEATS)
    link.send(bytes('still there?'))
    await until('an answer', () => log.frames.length === 1)
    expect(log.turns).toEqual(['up'])
    expect(tap.connections).toBe(1)
  })

  test('delivers what it sent before it closes', async () => {
    const path = join(tempFolder(), 's')
    const node = await echoingRouter(path)
    const { link } = await linked(path)
    const frames = upTo(4_000).map((n) => patterned(200, n))
    for (const frame of frames) expect(link.send(frame)).toBe(true)
    await link.close()
    await until('all arrive', () => node.heard.length === frames.length)
    expectFrames(framesOf(node), frames)
  })

  test('is not up with a socket of libzmq that is no router', async () => {
    const path = join(tempFolder(), 's')
    const publisher = new Publisher({ linger: 0 })
    const events = eventsOf(publisher)
    await publisher.bind(`ipc://${path}`)
    const { link, log } = opened(path)
    await until('it tries again and again', () => events.filter((type) => type === 'accept').length >= 5)
    expect(link.send(bytes('hello'))).toBe(false)
    expect(log.turns).toEqual([])
  })
})
