import { readdirSync } from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Dealer, Subscriber } from 'zeromq'
import {
  assertFrame,
  bytes,
  dialled,
  hearing,
  logging,
  pair,
  subscribed,
  texts,
  upTo,
} from '../../src/testing/network-suite/kit.js'
import { start } from '../support/cli.js'
import { portOf, testNetwork } from '../support/networks.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { thrown } from '../support/thrown.js'
import { until } from '../support/until.js'

/** What goes wrong between nodes, over real sockets. */

const KIB = 1024

const context = { network: () => testNetwork(), until }

describe('addresses', () => {
  test('a port that is taken is named, with what to do; nothing stays bound', async () => {
    const taken = await testNetwork().listen(hearing())
    const publicationsPort = portOf(taken.publications)
    const probe = testNetwork()
    const free = portOf((await probe.listen(hearing())).requests)
    await probe.close()
    const error = await thrown(testNetwork({ requestsPort: free, publicationsPort }).listen(hearing()))
    expect(error.code).toBe('InvalidArgument')
    expect(error.message).toContain(`tcp://127.0.0.1:${publicationsPort} for publications`)
    expect(error.message).toContain('choose another port')
    expect(await testNetwork({ requestsPort: free }).listen(hearing())).toMatchObject({
      requests: `tcp://127.0.0.1:${free}`,
    })
  })

  test.each([
    [{ host: '192.0.2.1' }, 'does not have that address'],
    [{ host: 'no-such-host.invalid' }, '"no-such-host.invalid"'],
    [{ host: '0.0.0.0' }, 'say as advertise'],
    [{ host: '::' }, 'say as advertise'],
    [{ host: '*' }, 'say as advertise'],
    [{ host: '0.0.0.0', advertise: '0.0.0.0' }, 'say as advertise'],
  ])('%j is refused', async (options, says) => {
    const error = await thrown(testNetwork(options).listen(hearing()))
    expect(error).toMatchObject({ code: 'InvalidArgument', message: expect.stringContaining(says) })
  })

  test.each([-1, 65_536, 1.5, Number.NaN])('the port %d is refused', (port) => {
    expect(() => testNetwork({ requestsPort: port })).toThrow(
      expect.objectContaining({ code: 'InvalidArgument' }),
    )
  })

  test.each([
    [{ host: '0.0.0.0', advertise: 'localhost' }, /^tcp:\/\/localhost:\d+$/],
    [{ host: '0.0.0.0', advertise: '127.0.0.1' }, /^tcp:\/\/127\.0\.0\.1:\d+$/],
    [{ host: 'localhost' }, /^tcp:\/\/localhost:\d+$/],
    [{ host: '[::1]' }, /^tcp:\/\/\[::1\]:\d+$/],
    [{ host: '::1' }, /^tcp:\/\/\[::1\]:\d+$/],
    [{ host: '::', advertise: '::1' }, /^tcp:\/\/\[::1\]:\d+$/],
    [{ host: '::', advertise: '127.0.0.1' }, /^tcp:\/\/127\.0\.0\.1:\d+$/],
  ])('%j is reached where peers are told', async (options, expected) => {
    const node = testNetwork(options)
    const address = await node.listen(hearing((from, frame) => void node.answer(from, frame)))
    expect(address).toEqual({
      requests: expect.stringMatching(expected),
      publications: expect.stringMatching(expected),
      publicKey: null,
    })
    const other = testNetwork()
    await other.listen(hearing())
    const requests = await dialled(context, other, address)
    const publications = await subscribed(context, other, address)
    requests.line.send(bytes('hello'))
    node.publish(bytes('news'))
    await until('both', () => requests.log.frames.length + publications.log.frames.length === 2)
  })

  test('a network listens once', async () => {
    const network = testNetwork()
    await network.listen(hearing())
    expect((await thrown(network.listen(hearing()))).code).toBe('InvalidArgument')
  })

  test('a name that nobody knows yet leaves the line down, and other lines alone', async () => {
    const { a, bAddress } = await pair(context)
    const log = logging()
    const line = a.dial('tcp://no-such-host.invalid:7000', null, log)
    const other = await dialled(context, a, bAddress)
    other.line.send(bytes('hello'))
    await until('an answer', () => other.log.frames.length === 1)
    expect(line.send(bytes('hello'))).toBe(false)
    expect(log.turns).toEqual([])
  })
})

describe('too large a frame', () => {
  const frameBytesMax = 64 * KIB

  test('is not sent, in any direction; the largest is', async () => {
    const small = { network: () => testNetwork({ frameBytesMax }), until }
    const { a, b, bAddress, bHeard } = await pair(small, () => undefined)
    const requests = await dialled(small, a, bAddress)
    const publications = await subscribed(small, a, bAddress)
    const [fits, tooLarge] = [new Uint8Array(frameBytesMax).fill(1), new Uint8Array(frameBytesMax + 1)]
    expect(requests.line.send(tooLarge)).toBe(false)
    expect(requests.line.send(fits)).toBe(true)
    await until('the request', () => bHeard.requests.length === 1)
    const { from, frame } = bHeard.requests[0]!
    assertFrame(frame, fits)
    expect(b.answer(from, tooLarge)).toBe(false)
    expect(b.answer(from, fits)).toBe(true)
    b.publish(tooLarge)
    b.publish(fits)
    await until('both', () => requests.log.frames.length + publications.log.frames.length === 2)
    assertFrame(requests.log.frames[0], fits)
    assertFrame(publications.log.frames[0], fits)
  })

  test('of a peer that sends it all the same costs that peer its connection, and nobody else anything', async () => {
    const node = testNetwork({ frameBytesMax })
    const heard = hearing((from, frame) => void node.answer(from, frame))
    const address = await node.listen(heard)
    const [careless, careful] = [testNetwork(), testNetwork()]
    await Promise.all([careless.listen(hearing()), careful.listen(hearing())])
    const bad = await dialled(context, careless, address)
    const good = await dialled(context, careful, address)
    expect(bad.line.send(new Uint8Array(2 * frameBytesMax))).toBe(true)
    await until('the line goes down and up', () => bad.log.turns.length >= 3 && bad.log.isUp)
    for (const { line } of [bad, good]) expect(line.send(bytes('small'))).toBe(true)
    await until('answers', () => bad.log.frames.length + good.log.frames.length === 2)
    expect(good.log.turns).toEqual(['up'])
    expect(texts(heard.requests.map(({ frame }) => frame))).toEqual(['small', 'small'])
  })
})

describe('a slow peer', () => {
  test('that subscribes misses publications; the publisher and others do not notice', async () => {
    const count = 20_000
    const { a, b, bAddress } = await pair(context)
    const { log } = await subscribed(context, a, bAddress)
    const slow = new Subscriber({ linger: 0, receiveHighWaterMark: 1, receiveBufferSize: 4_096 })
    onTestFinished(() => slow.close())
    slow.subscribe('p')
    const connected = new Promise<void>((resolve) => {
      void (async () => {
        for await (const { type } of slow.events) if (type === 'handshake') resolve()
      })()
    })
    slow.connect(bAddress.publications)
    await connected
    const published: number[] = []
    const padding = 'x'.repeat(KIB)
    for (const n of upTo(count)) {
      b.publish(bytes(`${n} ${padding}`))
      published.push(n)
      // At the pace of who listens.
      if (n % 200 === 199) await until('the other hears all', () => log.frames.length === n + 1)
    }
    const numberOf = (frame: Uint8Array): number => Number(texts([frame])[0]!.split(' ')[0])
    expect(log.frames.map(numberOf)).toEqual(published)
    expect(log.turns).toEqual(['up'])
    const seen: number[] = []
    slow.receiveTimeout = 200
    for (;;) {
      const parts = await slow.receive().catch(() => undefined)
      if (parts === undefined) break
      seen.push(numberOf(parts[1]!))
    }
    expect(seen.length).toBeGreaterThan(0)
    expect(seen.length).toBeLessThan(count)
    expect(seen).toEqual([...new Set(seen)].sort((one, other) => one - other))
  })

  test('that takes no answers gets no more at some point, and others get theirs', async () => {
    const { a, b, bAddress, bHeard } = await pair(context, (frame) => frame)
    const slow = new Dealer({ linger: 0, receiveHighWaterMark: 1, receiveBufferSize: 4_096 })
    onTestFinished(() => slow.close())
    slow.connect(bAddress.requests)
    await slow.send('I ask, and never listen')
    await until('its request', () => bHeard.requests.length === 1)
    const { from } = bHeard.requests[0]!
    const large = new Uint8Array(512 * KIB)
    let taken = 0
    while (b.answer(from, large)) if (++taken > 2_000) throw new Error('its queue has no end')
    const { line, log } = await dialled(context, a, bAddress)
    for (const n of upTo(100)) {
      line.send(bytes(`${n}`))
      await until(`answer ${n}`, () => log.frames.length === n + 1)
    }
  })
})

describe('a peer that falls silent', () => {
  test('is noticed by both lines to it, which come up when it is heard of again', async () => {
    const quick = { network: () => testNetwork({ heartbeatMs: 100 }), until }
    const { a, b, bAddress } = await pair(quick)
    const proxies = await Promise.all([
      TcpProxy.start(portOf(bAddress.requests)),
      TcpProxy.start(portOf(bAddress.publications)),
    ])
    const requests = logging()
    const publications = logging()
    const line = a.dial(`tcp://127.0.0.1:${proxies[0].port}`, null, requests)
    a.subscribe(`tcp://127.0.0.1:${proxies[1].port}`, null, publications)
    await until('both are up', () => requests.isUp && publications.isUp)
    for (const proxy of proxies) proxy.set('silent')
    await until('both are down', () => !requests.isUp && !publications.isUp, 2_000)
    expect(line.send(bytes('hello?'))).toBe(false)
    for (const proxy of proxies) proxy.set('open')
    await until('both are up again', () => requests.isUp && publications.isUp)
    line.send(bytes('hello'))
    b.publish(bytes('news'))
    await until('both', () => requests.frames.length + publications.frames.length === 2)
    expect(texts([...requests.frames, ...publications.frames])).toEqual(['hello', 'news'])
  })

  test('idle lines stay up', async () => {
    const quick = { network: () => testNetwork({ heartbeatMs: 400 }), until }
    const { a, bAddress } = await pair(quick)
    const lines = [await dialled(quick, a, bAddress), await subscribed(quick, a, bAddress)]
    await new Promise((resolve) => setTimeout(resolve, 6_000))
    for (const { log } of lines) expect(log.turns).toEqual(['up'])
  })
})

describe('strange peers', () => {
  test('messages of no known form are passed over', async () => {
    const { a, bAddress, bHeard, b } = await pair(context)
    const dealer = new Dealer({ linger: 0 })
    const subscriber = new Subscriber({ linger: 0 })
    onTestFinished(() => {
      dealer.close()
      subscriber.close()
    })
    dealer.connect(bAddress.requests)
    await dealer.send(['one', 'two'])
    await dealer.send(['', '', ''])
    await dealer.send('a request')
    subscriber.subscribe('w', `w${'x'.repeat(200)}`, '', 'x')
    subscriber.connect(bAddress.publications)
    await until('the request', () => bHeard.requests.length === 1)
    expect(texts(bHeard.requests.map(({ frame }) => frame))).toEqual(['a request'])
    const { log } = await subscribed(context, a, bAddress)
    b.publish(bytes('news'))
    await until('the news', () => log.frames.length === 1)
    expect(log.turns).toEqual(['up'])
  })
})

describe('closing', () => {
  test('networks and lines leave no file descriptors behind', async () => {
    const open = (): number => readdirSync('/proc/self/fd').length
    const round = async (): Promise<void> => {
      const { a, b, bAddress } = await pair(context)
      const lines = await Promise.all(
        upTo(10).flatMap(() => [dialled(context, a, bAddress), subscribed(context, a, bAddress)]),
      )
      a.dial('tcp://127.0.0.1:9', null, logging())
      for (const { line } of lines.slice(0, 10)) line.close()
      await Promise.all([a.close(), b.close()])
    }
    await round()
    const before = open()
    for (const _ of upTo(5)) await round()
    await until('all are closed', () => open() <= before)
  })

  test.each(['plain', 'curve'])('a process that closed its networks ends at once (%s)', async (kind) => {
    const { child, ended, stdout, stderr } = start(SCRIPT, [kind])
    child.stdin.end()
    await until('it closes', () => stdout().includes('closed in'), 20_000)
    const closedMs = Number(/closed in (\d+) ms/.exec(stdout())?.[1])
    const startMs = performance.now()
    expect(await ended).toMatchObject({ code: 0, signal: null })
    expect(stderr()).toBe('')
    expect(closedMs).toBeLessThan(2_000)
    expect(performance.now() - startMs).toBeLessThan(3_000)
  })
})

const SCRIPT = new URL('../support/closing-networks.mjs', import.meta.url).pathname
