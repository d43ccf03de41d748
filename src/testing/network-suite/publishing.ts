import assert from 'node:assert/strict'
import { pattern } from '../storage-suite/kit.js'
import {
  acquaint,
  assertFrame,
  bytes,
  type Check,
  dialled,
  hearing,
  pair,
  subscribed,
  texts,
  upTo,
} from './kit.js'

/** Publications. */
export function publishing(check: Check): void {
  check('who subscribes hears all that is published from then on, in order', async (context) => {
    const all = upTo(4).map(() => context.network())
    const addresses = await Promise.all(all.map((network) => network.listen(hearing())))
    acquaint(...all.map((network, n) => [network, addresses[n]!] as const))
    const [publisher, ...others] = all
    publisher!.publish(bytes('to nobody'))
    const subscriptions = await Promise.all(others.map((each) => subscribed(context, each, addresses[0]!)))
    for (const n of upTo(500)) publisher!.publish(bytes(`${n}`))
    for (const { log } of subscriptions) {
      await context.until('all publications', () => log.frames.length === 500)
      assert.deepEqual(texts(log.frames).map(Number), upTo(500))
    }
  })

  check('from the moment that it is up, a subscription misses nothing', async (context) => {
    const { a, b, bAddress } = await pair(context)
    for (const n of upTo(50)) {
      const { line, log } = await subscribed(context, a, bAddress)
      b.publish(bytes(`${n}`))
      await context.until(`publication ${n}`, () => log.frames.length === 1)
      assert.deepEqual(texts(log.frames), [`${n}`])
      line.close()
    }
  })

  check('publications of any size come through untouched', async (context) => {
    const { a, b, bAddress } = await pair(context)
    const { log } = await subscribed(context, a, bAddress)
    const frames = [0, 1, 32, 33, 256, 65_536, 300_001].map((size) => pattern(size, size))
    for (const frame of frames) b.publish(frame)
    await context.until('all publications', () => log.frames.length === frames.length)
    for (const [n, frame] of frames.entries()) assertFrame(log.frames[n], frame)
  })

  check('publications and answers go apart, and a line to publications sends nothing', async (context) => {
    const { a, b, bAddress, bHeard } = await pair(context)
    const requests = await dialled(context, a, bAddress)
    const publications = await subscribed(context, a, bAddress)
    publications.line.send(bytes('not this way'))
    b.publish(bytes('published'))
    requests.line.send(bytes('asked'))
    await context.until('both', () => requests.log.frames.length + publications.log.frames.length === 2)
    assert.deepEqual(texts(requests.log.frames), ['asked'])
    assert.deepEqual(texts(publications.log.frames), ['published'])
    assert.deepEqual(texts(bHeard.requests.map(({ frame }) => frame)), ['asked'])
  })

  check(
    'two subscriptions of one network to one publisher both hear; a closed one does not',
    async (context) => {
      const { a, b, bAddress } = await pair(context)
      const one = await subscribed(context, a, bAddress)
      const other = await subscribed(context, a, bAddress)
      b.publish(bytes('both'))
      await context.until('both', () => one.log.frames.length === 1 && other.log.frames.length === 1)
      one.line.close()
      b.publish(bytes('the other'))
      await context.until('the other', () => other.log.frames.length === 2)
      assert.deepEqual(texts(one.log.frames), ['both'])
      assert.deepEqual(one.log.turns, ['up'])
    },
  )
}
