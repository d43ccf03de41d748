import assert from 'node:assert/strict'
import { pattern } from '../storage-suite/kit.js'
import {
  acquaint,
  assertFrame,
  bytes,
  type Check,
  dialled,
  hearing,
  logging,
  pair,
  texts,
  upTo,
} from './kit.js'

const IN_FLIGHT = 64

/** Requests and answers. */
export function answering(check: Check): void {
  check('a request arrives, and so does its answer', async (context) => {
    const { a, bAddress, bHeard } = await pair(context, () => bytes('to you too'))
    const { line, log } = await dialled(context, a, bAddress)
    assert.equal(line.send(bytes('good morning')), true)
    await context.until('the answer', () => log.frames.length === 1)
    assert.deepEqual(texts(bHeard.requests.map(({ frame }) => frame)), ['good morning'])
    assert.deepEqual(texts(log.frames), ['to you too'])
    assert.deepEqual(log.turns, ['up'])
    assert.deepEqual(bHeard.refusals, [])
  })

  check('frames of any size come through untouched', async (context) => {
    const { a, bAddress, bHeard } = await pair(context)
    const { line, log } = await dialled(context, a, bAddress)
    const frames = [0, 1, 2, 31, 32, 33, 255, 256, 4_095, 65_536, 300_001].map((size) => pattern(size, size))
    for (const [n, frame] of frames.entries()) {
      assert.equal(line.send(frame), true)
      await context.until(`answer ${n}`, () => log.frames.length === n + 1)
      assertFrame(bHeard.requests[n]?.frame, frame)
      assertFrame(log.frames[n], frame)
    }
  })

  check('10,000 small frames both ways: none is lost, and all are in order', async (context) => {
    const { a, bAddress } = await pair(context)
    const received: number[] = []
    let sent = 0
    const send = (): void => {
      while (sent < 10_000 && sent - received.length < IN_FLIGHT && line.send(bytes(`${sent}`))) sent++
    }
    const log = logging((frame) => {
      received.push(Number(texts([frame])[0]))
      send()
    })
    const line = a.dial(bAddress.requests, bAddress.publicKey, log)
    await context.until('the line is up', () => log.isUp)
    send()
    await context.until('all answers', () => received.length === 10_000)
    assert.deepEqual(received, upTo(10_000))
  })

  check('several peers, each way: nobody gets what is meant for another', async (context) => {
    const all = upTo(4).map(() => context.network())
    const heard = all.map((network, n) =>
      hearing((from, frame) => void network.answer(from, bytes(`${n} to ${texts([frame])[0]}`))),
    )
    const addresses = await Promise.all(all.map((network, n) => network.listen(heard[n]!)))
    acquaint(...all.map((network, n) => [network, addresses[n]!] as const))
    const lines = await Promise.all(
      all.flatMap((network, n) =>
        addresses.flatMap((address, m) =>
          n === m ? [] : [dialled(context, network, address).then((line) => ({ ...line, n, m }))],
        ),
      ),
    )
    for (const { line, n, m } of lines)
      for (const time of upTo(10)) assert.equal(line.send(bytes(`${n}-${m} ${time}`)), true)
    await context.until('all answers', () => lines.every(({ log }) => log.frames.length === 10))
    for (const { log, n, m } of lines)
      assert.deepEqual(
        texts(log.frames),
        upTo(10).map((time) => `${m} to ${n}-${m} ${time}`),
      )
  })

  check('two lines to one peer are two peers to it', async (context) => {
    const { a, bAddress, bHeard } = await pair(context)
    const one = await dialled(context, a, bAddress)
    const other = await dialled(context, a, bAddress)
    one.line.send(bytes('one'))
    other.line.send(bytes('other'))
    await context.until('answers', () => one.log.frames.length + other.log.frames.length === 2)
    assert.deepEqual(texts(one.log.frames), ['one'])
    assert.deepEqual(texts(other.log.frames), ['other'])
    assert.equal(new Set(bHeard.requests.map(({ from }) => from)).size, 2)
  })

  check('a peer may be answered later, and more than once', async (context) => {
    const { a, b, bAddress, bHeard } = await pair(context, () => undefined)
    const { line, log } = await dialled(context, a, bAddress)
    line.send(bytes('?'))
    await context.until('the request', () => bHeard.requests.length === 1)
    const { from } = bHeard.requests[0]!
    for (const n of upTo(3)) assert.equal(b.answer(from, bytes(`${n}`)), true)
    await context.until('the answers', () => log.frames.length === 3)
    assert.deepEqual(texts(log.frames), ['0', '1', '2'])
  })

  check('what is sent where nobody is, is dropped, and harms nobody', async (context) => {
    const { a, b, bAddress, bHeard } = await pair(context)
    const gone = await dialled(context, a, bAddress)
    gone.line.send(bytes('I am leaving'))
    await context.until('its request', () => bHeard.requests.length === 1)
    gone.line.close()
    assert.equal(gone.line.send(bytes('closed')), false)
    const { line, log } = await dialled(context, a, bAddress)
    for (const n of upTo(100)) b.answer(bHeard.requests[0]!.from, bytes(`${n}`))
    b.answer('nobody', bytes('?'))
    line.send(bytes('still there?'))
    await context.until('an answer', () => log.frames.length === 1)
    assert.deepEqual(texts(log.frames), ['still there?'])
    assert.deepEqual(texts(bHeard.requests.map(({ frame }) => frame)), ['I am leaving', 'still there?'])
  })

  check('a line that was closed says nothing more, and leaves others alone', async (context) => {
    const { a, b, bAddress, bHeard } = await pair(context)
    const closed = await dialled(context, a, bAddress)
    const kept = await dialled(context, a, bAddress)
    closed.line.close()
    closed.line.close()
    kept.line.send(bytes('a'))
    await context.until('an answer', () => kept.log.frames.length === 1)
    await b.close()
    await context.until('the other line is down', () => !kept.log.isUp)
    assert.deepEqual(closed.log.turns, ['up'])
    assert.deepEqual(closed.log.frames, [])
    assert.equal(bHeard.requests.length, 1)
  })

  check('a network that was closed does nothing, and says so', async (context) => {
    const { a, b, bAddress, bHeard } = await pair(context, () => undefined)
    const { line, log } = await dialled(context, a, bAddress)
    line.send(bytes('?'))
    await context.until('the request', () => bHeard.requests.length === 1)
    await b.close()
    await b.close()
    assert.equal(b.answer(bHeard.requests[0]!.from, bytes('!')), false)
    b.publish(bytes('!'))
    assert.throws(() => b.dial(bAddress.requests, bAddress.publicKey, logging()), { code: 'Closed' })
    assert.throws(() => b.subscribe(bAddress.publications, bAddress.publicKey, logging()), { code: 'Closed' })
    await assert.rejects(b.listen(hearing()), { code: 'Closed' })
    await context.until('the line is down', () => !log.isUp)
    await a.close()
    assert.equal(line.send(bytes('?')), false)
    assert.deepEqual(log.turns, ['up', 'down'])
  })
}
