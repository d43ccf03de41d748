import { describe, expect, onTestFinished, test } from 'vitest'
import { Dealer, Subscriber } from 'zeromq'
import type { LineHandlers, Network, NodeAddress } from '../../src/ports/network.js'
import { bytes, hearing, logging, texts } from '../../src/testing/network-suite/kit.js'
import { type KeyPair, makeKeyPair } from '../../src/transport/zeromq-keys.js'
import type { ZeromqSecurity } from '../../src/transport/zeromq-network.js'
import { testNetwork } from '../support/networks.js'
import { until } from '../support/until.js'

/** Who may speak with whom. */

interface Member {
  readonly network: Network
  readonly address: NodeAddress
  readonly heard: ReturnType<typeof hearing>
  readonly key: string
}

async function member(security: Partial<ZeromqSecurity> & Partial<KeyPair> = {}): Promise<Member> {
  const pair = makeKeyPair()
  const network = testNetwork({ security: { kind: 'curve', ...pair, ...security } as ZeromqSecurity })
  const heard = hearing((from, frame) => void network.answer(from, frame))
  const address = await network.listen(heard)
  return { network, address, heard, key: security.publicKey ?? pair.publicKey }
}

function allow(where: Member, ...who: readonly Member[]): void {
  where.network.allow(new Set(who.map(({ key }) => key)))
}

function dial(from: Member, to: Member, handlers: LineHandlers, key: string | null = to.address.publicKey) {
  return from.network.dial(to.address.requests, key, handlers)
}

/** That a line works, both ways. */
async function expectWorks(from: Member, to: Member): Promise<void> {
  const log = logging()
  const line = dial(from, to, log)
  await until('the line is up', () => log.isUp)
  line.send(bytes('who am I?'))
  await until('an answer', () => log.frames.length > 0)
  expect(texts(log.frames)).toEqual(['who am I?'])
  line.close()
}

function refusalsAtBoth({ heard, address }: Member, says: string): boolean {
  return [address.requests, address.publications].every((port) =>
    heard.refusals.some((why) => why.includes(port) && why.includes(says)),
  )
}

function refusalsOf(where: Member, who: Member): number {
  return where.heard.refusals.filter((why) => why.includes(who.key)).length
}

describe('keys that are allowed', () => {
  test('a key that is not among them gets no answer and no publication, is counted, and named', async () => {
    const [node, friend, stranger] = await Promise.all([member(), member(), member()])
    allow(node, friend)
    const requests = logging()
    const publications = logging()
    const line = dial(stranger, node, requests)
    stranger.network.subscribe(node.address.publications, node.key, publications)
    // Refused at both ports, and again when it tries again.
    await until('refusals', () => refusalsOf(node, stranger) >= 4, 3_000)
    expect(line.send(bytes('let me in'))).toBe(false)
    await expectWorks(friend, node)
    const news = logging()
    friend.network.subscribe(node.address.publications, node.key, news)
    await until('the friend subscribes', () => news.isUp)
    node.network.publish(bytes('for friends'))
    await until('the friend hears', () => news.frames.length === 1)
    expect([...requests.turns, ...publications.turns]).toEqual([])
    expect(publications.frames).toEqual([])
    expect(texts(node.heard.requests.map(({ frame }) => frame))).toEqual(['who am I?'])
    expect(refusalsOf(node, friend)).toBe(0)
  })

  test('nobody is, before somebody is told to be', async () => {
    const [node, other] = await Promise.all([member(), member()])
    const log = logging()
    dial(other, node, log)
    await until('a refusal', () => refusalsOf(node, other) >= 1)
    expect(log.turns).toEqual([])
  })

  test('once a key is allowed, the lines that were refused come up by themselves', async () => {
    const [node, other] = await Promise.all([member(), member()])
    const requests = logging()
    const publications = logging()
    dial(other, node, requests)
    other.network.subscribe(node.address.publications, node.key, publications)
    await until('refusals', () => refusalsOf(node, other) >= 2)
    allow(node, other)
    await until('both are up', () => requests.isUp && publications.isUp, 5_000)
    node.network.publish(bytes('welcome'))
    await until('the publication', () => publications.frames.length === 1)
  })

  test('a key that is not allowed any more keeps its line, and gets no new one', async () => {
    const [node, other] = await Promise.all([member(), member()])
    allow(node, other)
    const log = logging()
    const line = dial(other, node, log)
    await until('the line is up', () => log.isUp)
    allow(node)
    const late = logging()
    dial(other, node, late)
    await until('a refusal', () => refusalsOf(node, other) >= 1)
    line.send(bytes('still'))
    await until('an answer', () => log.frames.length === 1)
    expect(late.turns).toEqual([])
  })

  test('each network of a process has its own', async () => {
    const [a, b, c] = await Promise.all([member(), member(), member()])
    allow(a, b)
    allow(b, c)
    allow(c, a)
    await Promise.all([expectWorks(b, a), expectWorks(c, b), expectWorks(a, c)])
    const logs = [logging(), logging(), logging()] as const
    dial(c, a, logs[0])
    dial(a, b, logs[1])
    dial(b, c, logs[2])
    const counts = () => [refusalsOf(a, c), refusalsOf(b, a), refusalsOf(c, b)]
    await until('all refusals', () => counts().every((count) => count >= 2))
    expect(logs.flatMap(({ turns }) => turns)).toEqual([])
    // One that leaves takes nobody with it.
    await a.network.close()
    await expectWorks(c, b)
    await b.network.close()
    await c.network.close()
    const [d, e] = await Promise.all([member(), member()])
    allow(d, e)
    await expectWorks(e, d)
  })
})

describe('keys that are pinned', () => {
  test('may speak, others may not, whoever is allowed', async () => {
    const friend = await member()
    const stranger = await member()
    const node = await member({ pinned: new Set([friend.key]) })
    allow(node, stranger)
    allow(friend, node)
    allow(stranger, node)
    const log = logging()
    dial(stranger, node, log)
    await until('a refusal', () => refusalsOf(node, stranger) >= 2)
    await expectWorks(friend, node)
    await expectWorks(node, friend)
    expect(log.turns).toEqual([])
  })

  test('are the only ones that are dialled', async () => {
    const stranger = await member()
    const node = await member({ pinned: new Set() })
    allow(stranger, node)
    const log = logging()
    expect(dial(node, stranger, log).send(bytes('hello'))).toBe(false)
    expect(node.heard.refusals).toEqual([expect.stringContaining('not among those pinned')])
    expect(log.turns).toEqual([])
  })
})

describe('a line that must not be made', () => {
  test.each([
    ['to who has no key, with one', {}, null, 'it has no key'],
    ['to who has a key, without one', { kind: 'plain' } as const, makeKeyPair().publicKey, 'it has a key'],
    ['to a key that is none', {}, 'short', 'its key is none'],
  ])('%s: never comes up, and is told', async (_, security, key, says) => {
    const node = await member(security)
    const log = logging()
    for (const line of [
      node.network.dial(node.address.requests, key, log),
      node.network.subscribe(node.address.publications, key, log),
    ]) {
      expect(line.send(bytes('hello'))).toBe(false)
      line.close()
    }
    expect(node.heard.refusals).toEqual([expect.stringContaining(says), expect.stringContaining(says)])
    expect(node.heard.refusals[0]).toContain(node.address.requests)
    expect(log.turns).toEqual([])
  })

  test.each([
    '',
    'tcp://127.0.0.1',
    'tcp://127.0.0.1:0',
    'tcp://127.0.0.1:65536',
    'tcp://*:7000',
    'tcp://a:1;b:2',
    'tcp://[127.0.0.1]:7000',
    'ipc:///tmp/node.sock',
    'inproc://zeromq.zap.01',
    'pgm://eth0;239.0.0.1:7000',
    `tcp://${'x'.repeat(300)}:7000`,
  ])('to the address %j', async (address) => {
    const node = await member({ kind: 'plain' })
    const log = logging()
    expect(node.network.dial(address, null, log).send(bytes('hello'))).toBe(false)
    expect(node.heard.refusals).toEqual([expect.stringContaining('that is no address')])
  })

  test('before anybody listens who could be told, throws', () => {
    const network = testNetwork()
    expect(() => network.dial('nowhere', null, logging())).toThrow(
      expect.objectContaining({ code: 'InvalidArgument' }),
    )
  })
})

describe('who does not go by the rules', () => {
  test('speaks in plain text to a node with a key: gets nothing, and is counted', async () => {
    const node = await member()
    const publishing = setInterval(() => node.network.publish(bytes('secret')), 5)
    onTestFinished(() => clearInterval(publishing))
    const received = await intrude(node, {}, () => refusalsAtBoth(node, 'has no key'))
    expect(node.heard.requests).toEqual([])
    expect(received).toBe(0)
  })

  test('speaks with a key to a node that has none: gets nothing, and is counted', async () => {
    const node = await member({ kind: 'plain' })
    const publishing = setInterval(() => node.network.publish(bytes('public')), 5)
    onTestFinished(() => clearInterval(publishing))
    const { publicKey, secretKey } = makeKeyPair()
    const received = await intrude(
      node,
      { curvePublicKey: publicKey, curveSecretKey: secretKey, curveServerKey: makeKeyPair().publicKey },
      () => refusalsAtBoth(node, 'has a key'),
    )
    expect(node.heard.requests).toEqual([])
    expect(received).toBe(0)
  })

  test('shows an allowed key without having its secret: gets nothing', async () => {
    const [node, friend] = await Promise.all([member(), member()])
    allow(node, friend)
    const publishing = setInterval(() => node.network.publish(bytes('secret')), 5)
    onTestFinished(() => clearInterval(publishing))
    const received = await intrude(
      node,
      { curvePublicKey: friend.key, curveSecretKey: makeKeyPair().secretKey, curveServerKey: node.key },
      () => node.heard.refusals.length >= 2,
    )
    await expectWorks(friend, node)
    expect(texts(node.heard.requests.map(({ frame }) => frame))).toEqual(['who am I?'])
    expect(received).toBe(0)
  })

  test('answers in the place of another, without its key: the line stays down', async () => {
    const [node, impostor, absent] = await Promise.all([member(), member(), member()])
    allow(impostor, node)
    const log = logging()
    const line = dial(node, impostor, log, absent.key)
    await until('a refusal', () => impostor.heard.refusals.some((why) => why.includes('expects another key')))
    expect(line.send(bytes('for another'))).toBe(false)
    expect(log.turns).toEqual([])
    expect(impostor.heard.requests).toEqual([])
  })
})

/**
 * Bare sockets connect to both ports of a node, ask, and subscribe to all, again and again until `isDone`: who of two that
 * can't speak with each other hangs up first is a matter of luck. Returns how many messages they got.
 */
async function intrude(
  { address }: Member,
  keys: { curvePublicKey?: string; curveSecretKey?: string; curveServerKey?: string },
  isDone: () => boolean,
): Promise<number> {
  let count = 0
  const listen = async (socket: Dealer | Subscriber): Promise<void> => {
    for await (const _ of socket) count++
  }
  await until('refusals', async () => {
    const dealer = new Dealer({ linger: 0, ...keys })
    const subscriber = new Subscriber({ linger: 0, ...keys })
    const ends = [listen(dealer), listen(subscriber)]
    subscriber.subscribe()
    dealer.connect(address.requests)
    subscriber.connect(address.publications)
    const sent = dealer.send('let me in').catch(() => undefined)
    await new Promise((resolve) => setTimeout(resolve, 50))
    for (const socket of [dealer, subscriber]) socket.close()
    await Promise.all([...ends, sent])
    return isDone()
  })
  return count
}
