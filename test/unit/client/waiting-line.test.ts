import { getEventListeners } from 'node:events'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { WaitingLine } from '../../../src/client/waiting-line.js'
import { VirgaError } from '../../../src/errors.js'
import { SimClock } from '../../../src/testing/sim-clock.js'
import type { Reply, Request, Unnumbered } from '../../../src/wire/messages.js'
import { beginOf as begin } from '../../support/begin.js'
import { withCluster } from '../../support/cluster-in-process.js'
import { idOf } from '../../support/ids.js'
import { thrown } from '../../support/thrown.js'

/** As many as may. */
const WAITING = 262_144

type Message = Unnumbered<Request>

const read = (handle: number): Message => ({ type: 'read', handle, keys: [] })
/** Of a snapshot that was taken without the node. */
const late = (handle: number): Message => ({ ...begin(handle), snapshot: new Uint8Array(1) })
const resume = (handle: number): Message => ({
  type: 'resume',
  handle,
  contexts: [],
  onBranchConflict: 'latest',
  brief: true,
})
const handleOf = (message: Message): number => (message as { readonly handle: number }).handle
const done: Reply = { type: 'done', request: 0 }

/** A line to a node that takes `roomMax` requests at once and answers when it is told to. */
class World {
  readonly clock = new SimClock()
  readonly sent: number[] = []
  readonly messages: Message[] = []
  readonly timeouts: number[] = []
  readonly unsent: number[] = []
  readonly underWay = new Map<number, () => void>()
  readonly line: WaitingLine
  roomMax: number
  /** The connection takes nothing. */
  isStuck = false

  constructor(roomMax: number) {
    this.roomMax = roomMax
    this.line = new WaitingLine({
      clock: this.clock,
      hasRoom: () => this.underWay.size < this.roomMax,
      send: (message, { timeoutMs }) => this.#send(message, timeoutMs),
      onUnsent: (handle) => this.unsent.push(handle),
    })
  }

  request(message: Message, timeoutMs = 1_000, signal?: AbortSignal): Promise<Reply> {
    return this.line.request(message, { timeoutMs, signal })
  }

  /** One that is under way: the oldest, or the one that was sent as the `nth`. */
  answer(nth = this.underWay.keys().next().value!): void {
    this.underWay.get(nth)!()
  }

  answerAll(): void {
    while (this.underWay.size > 0) this.answer()
  }

  #send(message: Message, timeoutMs: number): Promise<Reply> {
    // As a session does that has more to say than goes into a frame: what came before leaves first.
    if (this.isStuck) {
      this.line.stuck()
      return Promise.reject(new VirgaError('Busy', 'the node takes nothing'))
    }
    this.line.unstuck()
    const nth = this.sent.push(handleOf(message)) - 1
    this.messages.push(message)
    this.timeouts.push(timeoutMs)
    return new Promise((resolve) => {
      this.underWay.set(nth, () => {
        this.underWay.delete(nth)
        resolve(done)
        this.line.admit()
      })
    })
  }
}

test('what is beyond the room waits, and goes in the order in which it came as others are answered', async () => {
  const world = new World(2)
  const answers = [1, 2, 3, 4, 5].map((handle) => world.request(read(handle), 1_000 + handle))
  expect(world.sent).toEqual([1, 2])
  expect(world.line.size).toBe(3)
  world.answer(1)
  expect(world.sent).toEqual([1, 2, 3])
  world.answer(0)
  world.answer(2)
  expect(world.sent).toEqual([1, 2, 3, 4, 5])
  world.answerAll()
  expect(await Promise.all(answers)).toEqual(Array(5).fill(done))
  expect(world.line.size).toBe(0)
  expect(world.timeouts).toEqual([1_001, 1_002, 1_003, 1_004, 1_005])
})

test('what goes on has every other turn, and what follows a begin or a resume stays behind it', () => {
  const world = new World(1)
  const messages = [
    ...[read(1), resume(2), read(2), late(3), read(4), read(5)],
    ...[late(6), begin(7), read(3), read(2), read(8)],
  ]
  for (const message of messages) void world.request(message)
  world.answerAll()
  expect(world.sent).toEqual([1, 4, 3, 5, 2, 8, 6, 3, 7, 2, 2])
})

test('however many begin, what has begun goes on; and however much goes on, something begins now and then', () => {
  const world = new World(1)
  void world.request(read(0))
  for (let i = 0; i < 100; i++) void world.request(late(100 + i))
  void world.request(read(1))
  for (let i = 0; i < 2; i++) world.answer()
  expect(world.sent).toContain(1)
  const busy = new World(1)
  for (let i = 0; i < 1_000; i++) void busy.request(read(i))
  void busy.request(begin(1_000))
  busy.answer()
  for (let i = 0; i < 500 && !busy.sent.includes(1_000); i++) {
    void busy.request(read(2_000 + i))
    busy.answer()
  }
  const at = busy.sent.indexOf(1_000)
  expect(at).toBeGreaterThan(10)
  expect(at).toBeLessThan(100)
})

test('nothing is begun while many wait that go on with what was', () => {
  const world = new World(1)
  void world.request(read(0))
  for (let i = 0; i < 5; i++) void world.request(resume(1_000 + i))
  for (let i = 1; i <= 300; i++) void world.request(read(i))
  for (let i = 0; i < 30; i++) world.answer()
  expect(world.sent).toEqual(Array.from({ length: 31 }, (_, i) => i))
  // Those that were given up do not count.
  const other = new World(1)
  void other.request(read(0))
  const abort = new AbortController()
  for (let i = 0; i < 300; i++) other.request(read(1), 1_000, abort.signal).catch(() => undefined)
  abort.abort()
  for (const message of [read(2), read(3), read(4), resume(5)]) void other.request(message)
  for (let i = 0; i < 3; i++) other.answer()
  expect(other.sent).toEqual([0, 2, 3, 5])
})

test('what follows one that had no turn has none either, and its own wait may end before', async () => {
  const world = new World(1)
  void world.request(read(1))
  const head = thrown(world.request(resume(2), 400))
  const hasty = thrown(world.request(read(2), 200))
  const follower = thrown(world.request(read(2), 60_000))
  const patient = world.request(resume(3), 1_000)
  await world.clock.advance(350)
  expect(await hasty).toMatchObject({ code: 'Busy', message: expect.stringContaining('a read had no turn') })
  expect(world.line.size).toBe(3)
  await world.clock.advance(200)
  for (const each of [head, follower])
    expect(await each).toMatchObject({
      code: 'Busy',
      outcome: 'definite',
      message: expect.stringContaining('a resume had no turn'),
    })
  expect(world.line.size).toBe(1)
  expect(world.unsent).toEqual([2])
  world.answerAll()
  expect(await patient).toEqual(done)
})

test('one that waits for longer than for an answer is Busy, and was never sent; who came with it goes on', async () => {
  const world = new World(1)
  void world.request(read(1))
  const hasty = thrown(world.request(read(2), 200))
  const patient = world.request(read(3), 1_000)
  await world.clock.advance(150)
  expect(world.line.size).toBe(2)
  await world.clock.advance(200)
  expect(await hasty).toMatchObject({ code: 'Busy', retryable: true, outcome: 'definite' })
  world.answerAll()
  expect(await patient).toEqual(done)
  expect(world.sent).toEqual([1, 3])
})

test('a deadline counts from when a transaction was begun', async () => {
  const world = new World(1)
  void world.request(read(1))
  void world.request({ ...begin(2), deadlineMs: 900 })
  void world.request({ ...begin(3), deadlineMs: 100 })
  await world.clock.advance(300)
  world.answerAll()
  expect(world.messages.slice(1)).toMatchObject([{ deadlineMs: 600 }, { deadlineMs: 1 }])
})

test('no more wait than may: one more is Busy at once, and has a place once another one has gone', async () => {
  const world = new World(1)
  const answers = Array.from({ length: 1 + WAITING }, (_, i) => world.request(read(i)))
  const refused = expect.objectContaining({ code: 'Busy', outcome: 'definite' })
  expect(() => world.request(read(WAITING + 1))).toThrow(refused)
  expect(() => world.request(begin(WAITING + 2))).toThrow(refused)
  expect(world.unsent).toEqual([WAITING + 2])
  world.answer()
  answers.push(world.request(read(WAITING + 1)))
  world.answerAll()
  expect(await Promise.all(answers)).toHaveLength(WAITING + 2)
  expect(world.sent).toEqual(Array.from({ length: WAITING + 2 }, (_, i) => i))
})

test('interrupted while it waits, it is never sent: nor what waits for its turn when those before it are told by the same signal', async () => {
  const world = new World(1)
  const abort = new AbortController()
  void world.request(read(1))
  // As the session does with what is under way: who is told of the signal first makes room.
  abort.signal.addEventListener('abort', () => world.answer())
  const waiting = [read(2), resume(3), read(3)].map((each) =>
    thrown(world.request(each, 1_000, abort.signal)),
  )
  void world.request(read(4))
  abort.abort()
  for (const each of waiting) expect(await each).toMatchObject({ code: 'Interrupted' })
  world.answerAll()
  expect(world.sent).toEqual([1, 4])
  expect(world.line.size).toBe(0)
  expect(world.unsent).toEqual([3])
  // Nobody listens to a signal for longer than it may matter.
  const later = new AbortController()
  void world.request(read(5))
  const last = world.request(read(6), 1_000, later.signal)
  world.answerAll()
  expect(await last).toEqual(done)
  expect(getEventListeners(later.signal, 'abort')).toEqual([])
})

test('a begin that nobody uses any more is never sent; of a handle that has begun there is nothing to give up', async () => {
  const world = new World(1)
  void world.request(begin(1))
  const begun = thrown(world.request(begin(2)))
  const resumed = thrown(world.request(resume(3)))
  const follower = thrown(world.request(read(3)))
  void world.request(read(1))
  expect([1, 2, 3, 2].map((handle) => world.line.giveUp(handle))).toEqual([false, true, true, false])
  expect(await begun).toMatchObject({ code: 'Interrupted', outcome: 'definite' })
  for (const each of [resumed, follower]) expect(await each).toMatchObject({ code: 'Interrupted' })
  expect(world.unsent).toEqual([2, 3])
  world.answerAll()
  expect(world.sent).toEqual([1, 1])
})

test('while the connection takes nothing they wait on, and one at a time finds out when it does, before all others', async () => {
  const world = new World(10)
  world.isStuck = true
  expect(await thrown(world.request(read(1)))).toMatchObject({ code: 'Busy' })
  world.roomMax = 0
  const waiting = Array.from({ length: 5 }, (_, i) => world.request(read(2 + i)))
  const settled = Promise.allSettled(waiting)
  // As long as others are under way none finds out.
  await world.clock.advance(50)
  expect(world.line.size).toBe(5)
  world.roomMax = 10
  await world.clock.advance(7)
  expect(world.line.size).toBe(4)
  world.line.admit()
  expect(world.line.size).toBe(4)
  world.isStuck = false
  await world.clock.advance(7)
  expect(world.sent).toEqual([3, 4, 5, 6])
  world.answerAll()
  expect((await settled).map(({ status }) => status)).toEqual(['rejected', ...Array(4).fill('fulfilled')])
})

test('those for which there is room when the connection takes nothing any more wait on, but the one that found out', async () => {
  const world = new World(5)
  const answers = Array.from({ length: 10 }, (_, i) => world.request(read(i)))
  const settled = Promise.allSettled(answers)
  world.isStuck = true
  for (let i = 0; i < 5; i++) world.answer()
  expect(world.line.size).toBe(4)
  world.isStuck = false
  await world.clock.advance(7)
  world.answerAll()
  expect((await settled).filter(({ status }) => status === 'rejected')).toHaveLength(1)
})

test('when the connection is lost all who wait are told, and the line is as new', async () => {
  const world = new World(1)
  void world.request(read(1))
  const waiting = [resume(2), read(2), late(3), read(4)].map((each) => thrown(world.request(each)))
  world.line.stuck()
  world.line.failAll(new VirgaError('SessionLost', 'gone'))
  for (const each of waiting) expect(await each).toMatchObject({ code: 'SessionLost', outcome: 'definite' })
  expect(world.line.size).toBe(0)
  const after = world.request(read(5))
  world.answer()
  expect(world.sent).toEqual([1, 5])
  world.answerAll()
  expect(await after).toEqual(done)
})

const MAKERS = { begin, late, resume, read }
const which = fc.nat()
const asked = fc.record({
  kind: fc.constant('ask' as const),
  what: fc.constantFrom('begin' as const, 'late' as const, 'resume' as const, 'read' as const),
  timeoutMs: fc.integer({ min: 50, max: 2_000 }),
  which,
})
const step = fc.oneof(
  { weight: 8, arbitrary: asked },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('answer' as const), which }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('abort' as const), which }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('giveUp' as const), which }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('stick' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 400 }) }),
  },
)

test('whatever happens, each is sent once or told why not, and of a transaction in the order in which it was asked', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
      const world = new World(2)
      const signals = [new AbortController(), new AbortController(), new AbortController()]
      // By its number, which is in the keys of what is asked.
      const handles: number[] = []
      const outcomes: Promise<string>[] = []
      const numberOf = (message: Message): number => numbers.get(message) ?? -1
      const numbers = new Map<Message, number>()
      let lastHandle = 0
      for (const each of steps) {
        if (each.kind === 'answer') {
          const nths = [...world.underWay.keys()]
          if (nths.length > 0) world.answer(nths[each.which % nths.length]!)
        } else if (each.kind === 'advance') await world.clock.advance(each.ms)
        else if (each.kind === 'abort') signals[each.which % signals.length]!.abort()
        else if (each.kind === 'giveUp') world.line.giveUp(each.which % (lastHandle + 1))
        else if (each.kind === 'stick') world.isStuck = !world.isStuck
        else if (each.kind === 'lose') world.line.failAll(new VirgaError('SessionLost', 'gone'))
        else {
          const isRead = each.what === 'read'
          const handle = isRead ? each.which % (lastHandle + 1) : ++lastHandle
          const message = MAKERS[each.what](handle)
          numbers.set(message, handles.push(handle) - 1)
          const { signal } = signals[each.which % signals.length]!
          if (signal.aborted) {
            outcomes.push(Promise.resolve('Interrupted'))
            continue
          }
          outcomes.push(
            world.request(message, each.timeoutMs, signal).then(
              () => 'answered',
              (error) => error.code as string,
            ),
          )
        }
        if (!world.isStuck && world.underWay.size < world.roomMax) await world.clock.advance(11)
        // Nobody waits where there is room.
        expect(world.line.size === 0 || world.isStuck || world.underWay.size === world.roomMax).toBe(true)
      }
      world.isStuck = false
      await world.clock.advance(11)
      world.answerAll()
      await world.clock.advance(3_000)
      expect(world.line.size).toBe(0)
      const told = await Promise.all(outcomes)
      const sent = world.messages.map(numberOf)
      expect(new Set(sent).size).toBe(sent.length)
      for (const [number, outcome] of told.entries())
        expect(outcome === 'answered').toBe(sent.includes(number))
      for (let handle = 1; handle <= lastHandle; handle++) {
        const ofHandle = sent.filter((number) => handles[number] === handle)
        expect(ofHandle).toEqual([...ofHandle].sort((a, b) => a - b))
      }
    }),
  )
})

test('an executor asks for more than its node takes at once: all is answered, also when the node restarts meanwhile', async () => {
  await withCluster(async (cluster) => {
    await cluster.boot({ requestsPerSessionMax: 4 })
    const virga = cluster.client()
    const keys = Array.from({ length: 50 }, (_, i) => `k${i}`)
    const commits = keys.map((key, i) => virga.transaction((tx) => tx.put(key, i)))
    await cluster.until(Promise.all(commits))
    expect(cluster.count('refusedBusy')).toBe(0)
    const reads = Promise.all(keys.map((key) => virga.get(key)))
    await cluster.crash()
    await cluster.boot({ requestsPerSessionMax: 4 })
    expect(await cluster.until(reads)).toEqual(keys.map((_, i) => i))
    await cluster.clock.advance(1_000)
    expect(cluster.count('transactionsOpen')).toBe(0)
  })
})

test('a transaction that is given up while its begin waits leaves nothing open', async () => {
  await withCluster(async (cluster) => {
    await cluster.boot({ requestsPerSessionMax: 2 })
    const virga = cluster.client({ view: 'off' })
    await cluster.until(virga.get('a'))
    const holds = [cluster.storage.faults.hold('get'), cluster.storage.faults.hold('get')]
    const asking = holds.map(() => thrown(virga.status(idOf(cluster))))
    await cluster.clock.advance(10)
    const before = cluster.count('requests')
    const tx = await cluster.until(virga.begin())
    await cluster.until(tx.abort())
    for (const hold of holds) hold.release()
    await cluster.until(Promise.allSettled(asking))
    await cluster.clock.advance(100)
    // Not even its end.
    expect(cluster.count('requests')).toBe(before)
    await cluster.clock.advance(1_000)
    expect(cluster.count('transactionsOpen')).toBe(0)
    expect(cluster.count('begins')).toBe(0)
  })
})

test.each([
  ['the node dies', 'SessionLost'],
  ['the client closes', 'Closed'],
] as const)('what waits when %s was surely not done, and is told so at once', async (how, code) => {
  await withCluster(async (cluster) => {
    await cluster.boot({ requestsPerSessionMax: 2 })
    const virga = cluster.client({ view: 'off' })
    await cluster.until(virga.get('a'))
    const holds = [cluster.storage.faults.hold('get'), cluster.storage.faults.hold('get')]
    const asking = Promise.allSettled(holds.map(() => virga.status(idOf(cluster))))
    await cluster.clock.advance(10)
    const tx = await cluster.until(virga.begin())
    tx.put('a', 1)
    const committing = thrown(tx.commit())
    await cluster.clock.advance(10)
    const atMs = cluster.clock.monotonic()
    const ending = how === 'the node dies' ? cluster.crash() : virga.close()
    expect(await cluster.until(committing)).toMatchObject({ code, outcome: 'definite' })
    expect(cluster.clock.monotonic() - atMs).toBeLessThan(100)
    for (const hold of holds) hold.release()
    await cluster.until(ending)
    if (how === 'the node dies') await cluster.boot()
    await cluster.clock.advance(60_000)
    await cluster.until(asking)
    const other = cluster.client()
    expect(await cluster.until(other.get('a'))).toBeUndefined()
  })
})
