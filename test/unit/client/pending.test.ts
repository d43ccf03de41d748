import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Pending } from '../../../src/client/pending.js'
import { VirgaError } from '../../../src/errors.js'
import { SimClock } from '../../../src/testing/sim-clock.js'
import { withCluster } from '../../support/cluster-in-process.js'
import { LossyLink } from '../../support/lossy-link.js'
import { thrown } from '../../support/thrown.js'

type Fate = { readonly kind: 'answer' | 'abort' | 'fail'; readonly atMs: number }

const request = fc.record({
  timeoutMs: fc.integer({ min: 1, max: 300 }),
  fate: fc.option(
    fc.record({
      kind: fc.constantFrom('answer' as const, 'abort' as const, 'fail' as const),
      atMs: fc.integer({ min: 0, max: 400 }),
    }),
    { nil: undefined },
  ),
})

/** How late a time-out may be noticed. */
const LATE_MS = 25

describe('pending requests', () => {
  test('what has come, and waits for its turn, is settled before anything is given up', async () => {
    const clock = new SimClock()
    let comes: () => void = () => undefined
    const pending: Pending = new Pending(clock, () => comes())
    const [late, never] = [pending.add(1, 'read', 100, undefined), pending.add(2, 'read', 100, undefined)]
    const failure = thrown(never)
    comes = () => pending.settle({ type: 'done', request: 1 })
    await clock.advance(100 + LATE_MS)
    expect(await late).toEqual({ type: 'done', request: 1 })
    expect(await failure).toMatchObject({ code: 'Timeout', outcome: 'indefinite' })
  })

  test('each settle once, by the first thing that happens to them, and never by what was meant for another', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 20 }), async (requests) => {
        const clock = new SimClock()
        const pending = new Pending(clock)
        const results = requests.map(({ timeoutMs, fate }, i) => {
          const controller = new AbortController()
          const promise = pending.add(i, 'ping', timeoutMs, controller.signal)
          if (fate !== undefined) clock.timer(fate.atMs, () => apply(pending, i, fate, controller))
          return promise.then(
            (reply) => ({ what: `answer ${reply.request}`, atMs: clock.monotonic() }),
            (error) => ({ what: error.code as string, atMs: clock.monotonic() }),
          )
        })
        await clock.advance(1_000)
        expect(pending.size).toBe(0)
        for (const [i, result] of (await Promise.all(results)).entries()) {
          const { timeoutMs, fate } = requests[i]!
          const told = fate === undefined ? undefined : TOLD[fate.kind](i)
          if (fate === undefined || fate.atMs > timeoutMs + LATE_MS) expect(result.what).toBe('Timeout')
          else if (fate.atMs < timeoutMs) expect(result).toEqual({ what: told, atMs: fate.atMs })
          else expect(['Timeout', told]).toContain(result.what)
          if (result.what === 'Timeout') {
            expect(result.atMs).toBeGreaterThanOrEqual(timeoutMs)
            expect(result.atMs).toBeLessThanOrEqual(timeoutMs + LATE_MS)
          }
        }
      }),
    )
  })
})

const TOLD: Record<Fate['kind'], (i: number) => string> = {
  answer: (i) => `answer ${i}`,
  abort: () => 'Interrupted',
  fail: () => 'SessionLost',
}

function apply(pending: Pending, i: number, { kind }: Fate, controller: AbortController): void {
  if (kind === 'answer') pending.settle({ type: 'done', request: i })
  else if (kind === 'abort') controller.abort()
  else pending.fail(i, lost())
}

function lost(): VirgaError {
  return new VirgaError('SessionLost', 'lost', { outcome: 'indefinite' })
}

describe('an answer that comes late', () => {
  test('answers no other request', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const writer = cluster.client()
      await cluster.until(writer.transaction((tx) => tx.put('a', 'of a')))
      await cluster.until(writer.transaction((tx) => tx.put('b', 'of b')))
      const link = new LossyLink(cluster.hub.link())
      const virga = cluster.client({ requestTimeoutMs: 200 }, link)
      await cluster.until(virga.up())
      link.hold()
      expect((await cluster.until(thrown(virga.get('a')))).code).toBe('Timeout')
      const second = virga.get('b')
      await cluster.clock.advance(10)
      link.release()
      expect(await cluster.until(second)).toBe('of b')
    })
  })

  test('of a greeting, does not end what was begun since', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const link = new LossyLink(cluster.hub.link())
      link.hold()
      const virga = cluster.client({ connectTimeoutMs: 500, retryDelayMsMax: 100 }, link)
      // Two greetings are answered, and both answers come at once.
      await cluster.clock.advance(1_300)
      link.release()
      await cluster.until(virga.up())
      const tx = await cluster.until(virga.begin())
      await cluster.clock.advance(3_000)
      tx.put('a', 1)
      expect(await cluster.until(tx.commit())).toMatchObject({ status: 'committed' })
    })
  })

  test('through a connection that blinks, again and again, finds a client that works', async () => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const link = new LossyLink(cluster.hub.link())
      const virga = cluster.client({ connectTimeoutMs: 500, retryDelayMsMax: 100 }, link)
      await cluster.until(virga.up())
      for (let i = 0; i < 20; i++) {
        link.blink()
        await cluster.clock.advance(i * 7)
        const result = virga.transaction(async (tx) => {
          tx.put('n', ((await tx.get<number>('n')) ?? 0) + 1)
        })
        if (i % 3 === 0) link.blink()
        await cluster.until(result)
      }
      // Each call added one, though some of their answers were lost.
      expect(await cluster.until(virga.get('n'))).toBe(20)
      await cluster.clock.advance(2_000)
      expect(cluster.count('transactionsOpen')).toBe(0)
      expect(cluster.count('sessions')).toBe(1)
    })
  })
})

test('what was given up counts as under way until it is answered, or for ten seconds', async () => {
  const clock = new SimClock()
  let settled = 0
  const pending = new Pending(
    clock,
    () => undefined,
    () => settled++,
  )
  const abort = new AbortController()
  const gone = [
    thrown(pending.add(1, 'read', 100, undefined)),
    thrown(pending.add(2, 'read', 1_000, abort.signal)),
    thrown(pending.add(3, 'read', 100, undefined)),
  ]
  abort.abort()
  await clock.advance(200)
  for (const each of gone) await each
  expect([pending.size, pending.underWay]).toEqual([0, 3])
  const before = settled
  pending.settle({ type: 'done', request: 1 })
  expect([pending.underWay, settled]).toEqual([2, before + 1])
  await clock.advance(10_100)
  expect(pending.underWay).toBe(0)
  expect(settled).toBeGreaterThan(before + 1)
  thrown(pending.add(4, 'read', 100, undefined)).catch(() => undefined)
  await clock.advance(200)
  pending.failAll(() => new VirgaError('SessionLost', 'gone'))
  expect(pending.underWay).toBe(0)
})

test('one timer looks after all, however many are given up and added in its turn', async () => {
  const clock = new SimClock()
  let sweeps = 0
  const counting = {
    monotonic: () => clock.monotonic(),
    timer: (ms: number, run: () => void) =>
      clock.timer(ms, () => {
        sweeps++
        run()
      }),
  } as unknown as SimClock
  let next = 10
  const pending: Pending = new Pending(
    counting,
    () => undefined,
    () => {
      if (next < 200) pending.add(next++, 'read', 50, undefined).catch(() => undefined)
    },
  )
  pending.add(1, 'read', 50, undefined).catch(() => undefined)
  await clock.advance(5_000)
  expect(sweeps).toBeLessThanOrEqual(5_000 / 25)
})
