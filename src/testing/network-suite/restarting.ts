import assert from 'node:assert/strict'
import {
  acquaint,
  bytes,
  type Check,
  dialled,
  hearing,
  logging,
  pair,
  subscribed,
  texts,
  upTo,
} from './kit.js'

/** Peers that are not there yet, go, and come back where they were. */
export function restarting(check: Check): void {
  check(
    'a line to a peer that is away comes up when it returns; until then it takes nothing',
    async (context) => {
      const { a, b, aAddress, bAddress } = await pair(context)
      await b.close()
      const requests = logging()
      const publications = logging()
      const line = a.dial(bAddress.requests, bAddress.publicKey, requests)
      a.subscribe(bAddress.publications, bAddress.publicKey, publications)
      const bystander = context.network()
      acquaint([bystander, await bystander.listen(hearing())], [a, aAddress])
      assert.equal(line.send(bytes('too early')), false)
      assert.deepEqual(requests.turns, [])

      const again = context.network(bAddress)
      const heard = hearing()
      assert.deepEqual(await again.listen(heard), bAddress)
      acquaint([a, aAddress], [again, bAddress])
      await context.until('both are up', () => requests.isUp && publications.isUp)
      assert.equal(line.send(bytes('in time')), true)
      again.publish(bytes('news'))
      await context.until(
        'both arrive',
        () => heard.requests.length === 1 && publications.frames.length === 1,
      )
      assert.deepEqual(texts(heard.requests.map(({ frame }) => frame)), ['in time'])
    },
  )

  check(
    'when a peer restarts, its lines go down and up, and what was meant for the last one is gone',
    async (context) => {
      const { a, b: first, aAddress, bAddress } = await pair(context)
      const requests = await dialled(context, a, bAddress)
      const publications = await subscribed(context, a, bAddress)
      let last = first
      for (const n of upTo(3)) {
        await last.close()
        await context.until('both are down', () => !requests.log.isUp && !publications.log.isUp)
        assert.equal(requests.line.send(bytes(`to nobody ${n}`)), false)
        const next = context.network(bAddress)
        const heard = hearing((from, frame) => void next.answer(from, frame))
        await next.listen(heard)
        acquaint([a, aAddress], [next, bAddress])
        await context.until('both are up', () => requests.log.isUp && publications.log.isUp)
        assert.equal(requests.line.send(bytes(`${n}`)), true)
        next.publish(bytes(`${n}`))
        await context.until('an answer', () => requests.log.frames.length === n + 1)
        await context.until('a publication', () => publications.log.frames.length === n + 1)
        assert.deepEqual(texts(heard.requests.map(({ frame }) => frame)), [`${n}`])
        last = next
      }
      assert.deepEqual(texts(requests.log.frames), ['0', '1', '2'])
      assert.deepEqual(texts(publications.log.frames), ['0', '1', '2'])
      const turns = ['up', 'down', 'up', 'down', 'up', 'down', 'up']
      assert.deepEqual(requests.log.turns, turns)
      assert.deepEqual(publications.log.turns, turns)
    },
  )

  check('a peer that restarted is another peer: answers to the last one go nowhere', async (context) => {
    const { a, b, bAddress, aAddress, bHeard } = await pair(context, () => undefined)
    const { line, log } = await dialled(context, a, bAddress)
    line.send(bytes('?'))
    await context.until('the request', () => bHeard.requests.length === 1)
    line.close()
    await a.close()
    const again = context.network(aAddress)
    await again.listen(hearing())
    acquaint([again, aAddress], [b, bAddress])
    const next = await dialled(context, again, bAddress)
    b.answer(bHeard.requests[0]!.from, bytes('late'))
    next.line.send(bytes('!'))
    await context.until('the next request', () => bHeard.requests.length === 2)
    assert.notEqual(bHeard.requests[1]!.from, bHeard.requests[0]!.from)
    assert.equal(b.answer(bHeard.requests[1]!.from, bytes('here')), true)
    await context.until('the answer', () => next.log.frames.length === 1)
    assert.deepEqual(texts(next.log.frames), ['here'])
    assert.deepEqual(log.frames, [])
  })
}
