import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Virga } from '../../src/client/virga.js'
import { PROTOCOL_VERSION } from '../../src/wire/messages.js'
import { Child } from '../support/child.js'
import { Fuzzer } from '../support/fuzzer.js'
import { encode } from '../support/messagepack.mjs'
import { testClient } from '../support/nodes.js'
import { RawDealer } from '../support/raw-dealer.js'
import { seedFor } from '../support/seed.js'
import { tempFolder } from '../support/temp.js'
import { until } from '../support/until.js'

/** 100,000 hostile frames at the socket of a real node, and someone beside it who is not to notice. */

const REFUSED = 80_000
const WELL_FORMED = 20_000
const SOCKETS = 8
const COMMITTED = 68
const HANDED = 69
const GROWTH_BYTES_MAX = 48 * 1024 * 1024

type Counted = Readonly<Record<string, number>>

class WatchedNode {
  readonly socket: string
  readonly #child: Child

  static async start(): Promise<WatchedNode> {
    const socket = join(tempFolder(), 's')
    return new WatchedNode(socket, await Child.start('watched-node.mjs', { socket, storage: 'memory:' }))
  }

  private constructor(socket: string, child: Child) {
    this.socket = socket
    this.#child = child
  }

  counted(): Promise<Counted> {
    return this.#child.call('inspect')
  }

  /** What is kept, after collecting garbage. */
  async heldBytes(): Promise<number> {
    const { heapUsed, external } = await this.#child.call<{ heapUsed: number; external: number }>('memory')
    return heapUsed + external
  }

  async expectNoErrors(): Promise<void> {
    const logged = await this.#child.call<{ level: string; message: string }[]>('logged')
    expect(logged.filter(({ level }) => level === 'error')).toEqual([])
    expect(await this.counted()).toMatchObject({ internalErrors: 0 })
    // Refusals are counted, and told now and then: not for each frame.
    expect(logged.length).toBeLessThan(30)
  }
}

/** Works on all through it: every transaction sees the one before, whole. */
class Calm {
  readonly #virga: Virga
  #stopped = false
  #transactions = 0
  readonly #done: Promise<void>

  constructor(virga: Virga) {
    this.#virga = virga
    this.#done = this.#run()
  }

  async stop(): Promise<number> {
    this.#stopped = true
    await this.#done
    return this.#transactions
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const seen = this.#transactions
      await this.#virga.transaction(async (tx) => {
        const values = await tx.getMany<number>(['calm:a', 'calm:b'])
        expect(values).toEqual(seen === 0 ? [undefined, undefined] : [seen, seen])
        tx.put('calm:a', seen + 1)
        tx.put('calm:b', seen + 1)
      })
      this.#transactions++
    }
  }
}

test('frames that can not be read are refused, told, counted, and nothing else', async (context) => {
  const fuzzer = new Fuzzer(seedFor(context))
  const node = await WatchedNode.start()
  const calm = new Calm(await testClient(node.socket))
  const dealers = Array.from({ length: SOCKETS }, () => new RawDealer(node.socket))
  // Half of them have a session, half never say who they are.
  for (const dealer of dealers.slice(SOCKETS / 2)) await dealer.hello()
  const sent = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i += SOCKETS) {
      await Promise.all(dealers.map((dealer) => dealer.send(fuzzer.refused())))
    }
  }
  const framesBack = (): number => dealers.reduce((sum, { frames }) => sum + frames, -SOCKETS / 2)

  await sent(REFUSED / 4)
  await until('all to be told', () => framesBack() === REFUSED / 4, 30_000)
  const before = await node.heldBytes()
  await sent((REFUSED * 3) / 4)
  await until('all to be told', () => framesBack() === REFUSED, 30_000)
  expect((await node.heldBytes()) - before).toBeLessThan(GROWTH_BYTES_MAX)

  const transactions = await calm.stop()
  expect(transactions).toBeGreaterThan(10)
  const counted = await node.counted()
  expect(counted.refusedMalformed! + counted.refusedVersion!).toBe(REFUSED)
  expect(counted.refusedVersion).toBeGreaterThan(REFUSED / 50)
  expect(counted).toMatchObject({
    begins: transactions,
    commits: transactions,
    keys: 2,
    handoffs: 0,
    resumes: 0,
    transactionsDropped: 0,
    transactionsOpen: 0,
    sessionsOpened: SOCKETS / 2 + 1,
    sessionsLost: 0,
    repliesDropped: 0,
  })
  const told = new Set(dealers.flatMap(({ errors }) => [...errors.keys()]))
  expect([...told].sort()).toEqual(['Malformed', 'UnsupportedVersion'])
  await node.expectNoErrors()
})

test('well-formed frames that mean anything at all are answered, one by one', async (context) => {
  const fuzzer = new Fuzzer(seedFor(context))
  const node = await WatchedNode.start()
  const calm = new Calm(await testClient(node.socket))
  const onAnswer = (type: number, fields: readonly unknown[]): void => {
    if (type === HANDED) fuzzer.learn('context', Buffer.from(fields[0] as Uint8Array).toString('base64url'))
    else if (type === COMMITTED && fields[5] !== null) fuzzer.learn('token', String(fields[5]))
  }
  const dealers = Array.from({ length: SOCKETS }, () => new RawDealer(node.socket, { onAnswer }))
  for (const dealer of dealers) await dealer.hello()
  const last = dealers.map(() => 0)
  for (let i = 0; i < WELL_FORMED; i += SOCKETS) {
    await Promise.all(
      dealers.map((dealer, d) =>
        dealer.send(
          fuzzer.wellFormed(() => {
            last[d]!++
            return last[d]!
          }),
        ),
      ),
    )
  }
  for (const [d, dealer] of dealers.entries()) {
    const unanswered = (): number[] =>
      Array.from({ length: last[d]! }, (_, i) => i + 1).filter((request) => !dealer.isAnswered(request))
    await until('every request to be answered', () => unanswered().length === 0, 30_000).catch(
      () => undefined,
    )
    expect(unanswered().slice(0, 10)).toEqual([])
  }
  expect(await calm.stop()).toBeGreaterThan(10)
  const counted = await node.counted()
  expect(counted).toMatchObject({ refusedMalformed: 0, refusedVersion: 0, repliesDropped: 0 })
  // It was no use if nothing ever went through.
  for (const name of ['commits', 'commitsReplayed', 'handoffs', 'resumes', 'refusedContexts'])
    expect(counted[name], name).toBeGreaterThan(0)
  expect(dealers.reduce((sum, { others }) => sum + others, 0)).toBeGreaterThan(WELL_FORMED)
  const told = dealers.flatMap(({ errors }) => [...errors.keys()])
  expect(told).not.toContain('Internal')
  expect(told).not.toContain('StorageCorrupt')
  // What was committed can be read.
  const reader = await testClient(node.socket)
  expect(await reader.get('calm:a')).toBe(await reader.get('calm:b'))
  await node.expectNoErrors()
})

test('bombs, floods and strange sockets cost little', async () => {
  const node = await WatchedNode.start()
  const calm = new Calm(await testClient(node.socket))
  const before = await node.heldBytes()
  const dealer = new RawDealer(node.socket)
  await dealer.hello()
  const huge = (head: readonly number[], fill: number): Uint8Array =>
    Buffer.concat([Buffer.from(head), Buffer.alloc(16 * 1024 * 1024, fill)])
  const startedAt = performance.now()
  const bombs = [
    huge([0xdd, 0x01, 0x00, 0x00, 0x00], 0x90),
    huge([0xdd, 0x01, 0x00, 0x00, 0x00], 0xc0),
    huge([0x92, 0x01, 0xdd, 0x01, 0x00, 0x00, 0x00], 0xa0),
    huge([], 0x91),
    huge([0xdd, 0xff, 0xff, 0xff, 0xff], 0x01),
    // A version that would be quoted, once for each request.
    encode(['x'.repeat(1_000_000), ...Array.from({ length: 5_000 }, (_, i) => [12, i])]),
  ]
  for (const bomb of bombs) await dealer.send(bomb)
  await until('the bombs to be refused', () => dealer.frames === bombs.length + 1)
  expect(performance.now() - startedAt).toBeLessThan(10_000)

  // A million tiny messages in one frame; then more than may wait, which are told so one by one.
  await dealer.send(encode([PROTOCOL_VERSION, ...Array(1_000_000).fill([12, 1])]))
  await until('the million to be refused', () => dealer.errors.get('LimitExceeded') === 4)
  await dealer.send(encode([PROTOCOL_VERSION, ...Array.from({ length: 16_384 }, (_, i) => [12, i + 10_000])]))
  await until('each to be answered', () => dealer.isAnswered(26_383))
  expect(dealer.errors.get('Busy')).toBe(16_384 - 4_096)

  // Many parts, empty parts, a frame above the limit (ZeroMQ hangs up, the socket comes back without a session).
  await dealer.send(encode([PROTOCOL_VERSION, [12, 50_000]]), Buffer.alloc(10), Buffer.alloc(0))
  await until('the first part to be answered', () => dealer.isAnswered(50_000))
  await dealer.send(Buffer.alloc(0), encode([PROTOCOL_VERSION, [12, 50_001]]))
  await dealer.send(Buffer.alloc(19 * 1024 * 1024))
  await until('a new connection', async () => {
    await dealer.send(encode([PROTOCOL_VERSION, [12, 50_002]]))
    return dealer.errors.get('SessionLost')
  })
  expect(dealer.isAnswered(50_001)).toBe(false)

  // Sockets that come, say something, and go; and one that never reads what it is told.
  for (let i = 0; i < 200; i++) await new RawDealer(node.socket).send(encode([PROTOCOL_VERSION, [12, 1]]))
  const deaf = new RawDealer(node.socket, { reads: false })
  for (let i = 0; i < 2_000; i++) await deaf.send(encode([7, ...Array(100).fill([1, 1])]))

  expect(await calm.stop()).toBeGreaterThan(10)
  expect((await node.heldBytes()) - before).toBeLessThan(2 * GROWTH_BYTES_MAX)
  await node.expectNoErrors()
})
