import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Arrivals } from '../../../src/client/arrivals.js'
import type { Clock } from '../../../src/ports/clock.js'
import { simulate } from '../../../src/testing/sim-clock.js'
import type { Reply } from '../../../src/wire/messages.js'

const done = (request: number): Reply => ({ type: 'done', request })
const begun = (request: number): Reply => ({ type: 'begun', request }) as Reply

const nothing = (): void => undefined

/** What was settled, turn by turn. */
async function turnsOf(frames: readonly (readonly Reply[])[]): Promise<number[][]> {
  const { clock } = simulate(1)
  const turns: number[][] = [[]]
  const arrivals = new Arrivals(clock, ({ request }) => turns.at(-1)!.push(request), nothing)
  for (const frame of frames) arrivals.add(frame)
  const total = frames.flat().length
  while (turns.flat().length < total) {
    turns.push([])
    await clock.advance(0)
  }
  return turns.filter((turn) => turn.length > 0)
}

test('few answers are settled at once, many in turns, of which there are not many', async () => {
  const count = (n: number): Reply[] => Array.from({ length: n }, (_, i) => done(i))
  const sizes = async (n: number): Promise<number[]> => (await turnsOf([count(n)])).map((turn) => turn.length)
  expect(await sizes(1)).toEqual([1])
  expect(await sizes(2)).toEqual([2])
  expect((await sizes(3)).slice(0, 1)).toEqual([2])
  expect((await sizes(10))[0]).toBe(2)
  expect((await sizes(256))[0]).toBe(32)
})

test('after each part, and before the next one, what those who were told say has its turn', async () => {
  const { clock } = simulate(1)
  const order: string[] = []
  const arrivals: Arrivals = new Arrivals(
    clock,
    ({ request }) => void order.push(`told ${request}`),
    () => void order.push('said'),
  )
  arrivals.add(Array.from({ length: 5 }, (_, i) => done(i)))
  for (let turn = 0; turn < 6; turn++) await clock.advance(0)
  const parts = order
    .join(' ')
    .split(' said')
    .filter((part) => part !== '')
  expect(parts.map((part) => part.trim())).toEqual(['told 0 told 1', 'told 2 told 3', 'told 4'])
})

test('answers that nobody waits for go with the next one', async () => {
  const frame = [begun(1), done(2), begun(3), begun(4), done(5), begun(6), done(7), begun(8), done(9)]
  expect((await turnsOf([frame]))[0]).toEqual([1, 2, 3, 4, 5])
})

test('each is settled once, in order, however they come; a drain leaves none', async () => {
  const frames = fc.array(
    fc.record({
      replies: fc.array(fc.boolean(), { maxLength: 40 }),
      advances: fc.boolean(),
      drains: fc.boolean(),
    }),
    { maxLength: 12 },
  )
  await fc.assert(
    fc.asyncProperty(frames, async (all) => {
      const { clock } = simulate(1)
      const settled: number[] = []
      const arrivals = new Arrivals(clock, ({ request }) => void settled.push(request), nothing)
      let last = 0
      for (const { replies, advances, drains } of all) {
        arrivals.add(replies.map((isBegun) => (isBegun ? begun(++last) : done(++last))))
        if (drains) {
          arrivals.drain()
          expect(settled.length).toBe(last)
        }
        if (advances) await clock.advance(0)
      }
      await clock.advance(1)
      expect(settled).toEqual(Array.from({ length: last }, (_, i) => i + 1))
    }),
  )
})

test('what is settled may bring about a drain, or more answers', async () => {
  const { clock } = simulate(1)
  const settled: number[] = []
  const arrivals: Arrivals = new Arrivals(
    clock,
    ({ request }) => {
      settled.push(request)
      if (request === 2) arrivals.drain()
      if (request === 4) arrivals.add([done(100), done(101)])
    },
    nothing,
  )
  arrivals.add(Array.from({ length: 9 }, (_, i) => done(i)))
  await clock.advance(1)
  expect(settled).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 100, 101])
})

test('under steady load, where something always waits, nothing that was settled is held', () => {
  let deferred: (() => void)[] = []
  /** Turns one by one: what is deferred in one has the next. */
  const clock = { soon: nothing, defer: (run: () => void) => void deferred.push(run) } as unknown as Clock
  const turn = (): void => {
    const due = deferred
    deferred = []
    for (const run of due) run()
  }
  let under = 0
  const arrivals = new Arrivals(clock, () => void under--, nothing)
  for (let i = 0; i < 2_000; i++) {
    const frame = Array.from({ length: i === 0 ? 100 : 13 }, () => done(i))
    under += frame.length
    arrivals.add(frame)
    turn()
    expect(under).toBeGreaterThan(0)
    expect(arrivals.held).toBeLessThan(250)
  }
})
