import { expect, onTestFinished, test } from 'vitest'
import { Dealer } from 'zeromq'
import { replyFrames, requestFrames } from '../../src/wire/frames.js'
import type { Request } from '../../src/wire/messages.js'
import type { Child } from '../support/child.js'
import { executorProcess, NodeProcess, storageUrl, testClient } from '../support/nodes.js'
import { until } from '../support/until.js'

const PROCESSES = 4
const CLIENTS_PER_PROCESS = 16
const TRANSACTIONS = 20

test('64 clients of several processes at once: every transaction commits once, and reads are whole', async () => {
  // Its decisions are counted at the end: none is collected meanwhile.
  const node = await NodeProcess.start({ storage: await storageUrl('lmdb'), collectEveryMs: 60_000 })
  const virga = await testClient(node.socket)
  const executors = await Promise.all(Array.from({ length: PROCESSES }, () => executorProcess(node.socket)))
  const clients = executors.flatMap((executor, p) =>
    Array.from({ length: CLIENTS_PER_PROCESS }, (_, c) => ({ executor, name: `c${c}`, number: p * 100 + c })),
  )
  await Promise.all(clients.map(({ executor, name }) => executor.call('connect', name, {})))
  expect(await node.count('sessions')).toBe(1 + PROCESSES + clients.length)

  const load = clients.map(async ({ executor, name, number }) => {
    for (let i = 0; i < TRANSACTIONS; i++) {
      const tag = `${number} ${i}`
      const entries = [`own ${tag}`, 'shared a', 'shared b', 'shared c'].map((key) => [key, tag])
      expect(await executor.call('transaction', name, entries, tag, {})).toBe(tag)
      expect(await executor.call('read', name, `own ${tag}`)).toBe(tag)
    }
  })
  let watched = 0
  const watch = until(
    'the load',
    async () => {
      await using tx = await virga.begin()
      expect(new Set(await tx.getMany(['shared a', 'shared b', 'shared c'])).size).toBe(1)
      watched++
      return (await node.count('commits')) === clients.length * TRANSACTIONS
    },
    60_000,
  )
  await Promise.all([...load, watch])
  expect(watched).toBeGreaterThan(10)
  expect(await node.count('decisions')).toBe(clients.length * TRANSACTIONS)
  expect(await node.count('refusedBusy')).toBe(0)
  expect(await node.count('internalErrors')).toBe(0)

  await Promise.all(executors.map((executor) => executor.kill()))
  await until('the dead are noticed', async () => (await node.count('sessions')) === 1)
  expect(await node.count('transactionsOpen')).toBe(0)
})

/** Of a well-behaved client's reads, all of which the node answers. Far above what an idle machine shows, far below what waiting for the others would. */
const LATENCY_P95_MS_MAX = 50
const LATENCY_MS_MAX = 2_000

async function expectBounded(wellBehaved: Child): Promise<void> {
  const tookMs = await wellBehaved.call<number[]>('readFor', 'c', ['k1', 'k2', 'k3'], 1_500)
  tookMs.sort((a, b) => a - b)
  expect(tookMs.length).toBeGreaterThan(50)
  expect(tookMs[Math.floor(tookMs.length * 0.95)]).toBeLessThan(LATENCY_P95_MS_MAX)
  expect(tookMs[tookMs.length - 1]).toBeLessThan(LATENCY_MS_MAX)
}

async function nodeWithValues(): Promise<NodeProcess> {
  const node = await NodeProcess.start({ storage: await storageUrl('lmdb'), requestsPerSessionMax: 500 })
  const virga = await testClient(node.socket)
  await virga.transaction((tx) => {
    for (const key of ['k1', 'k2', 'k3']) tx.put(key, key)
    for (let i = 0; i < 10; i++) tx.put(`large ${i}`, new Uint8Array(1_000_000))
  })
  return node
}

test('a client that stopped with answers outstanding holds nobody up, and goes on when it is back', async () => {
  const node = await nodeWithValues()
  const slow = await executorProcess(node.socket, { requestTimeoutMs: 1_000 })
  const wellBehaved = await executorProcess(node.socket, { view: 'off' })
  const large = Array.from({ length: 10 }, (_, i) => `large ${i}`)
  await slow.call('begin', 't', 'c', {})
  await slow.call('put', 't', 'slow', 'slow')
  await slow.call('ask', 'c', large, 300)
  slow.signal('SIGSTOP')
  await expectBounded(wellBehaved)
  slow.signal('SIGCONT')
  // More was answered than is kept for a client that takes nothing: what was dropped fails by its time-out.
  await until('it is answered', async () => (await slow.call('read', 'c', 'k1').catch(timedOut)) === 'k1')
  expect(await slow.call('commit', 't', {})).toMatchObject({ status: 'committed' })
  expect(await wellBehaved.call('read', 'c', 'slow')).toBe('slow')
})

test('a client that floods the node is told Busy, and holds nobody up', async () => {
  const node = await nodeWithValues()
  const wellBehaved = await executorProcess(node.socket, { view: 'off' })
  const other = await executorProcess(node.socket)
  const flood = new Flood(node.socket)
  onTestFinished(async () => void (await flood.stop()))
  await flood.start()
  await expectBounded(wellBehaved)
  expect(await other.call('transaction', 'c', [['other', 1]], 'done', {})).toBe('done')
  expect(await node.count('refusedBusy')).toBeGreaterThan(0)
  const codes = await flood.stop()
  expect(codes.get('values')).toBeGreaterThan(0)
  expect(codes.get('Busy')).toBeGreaterThan(0)
  expect([...codes.keys()].sort()).toEqual(['Busy', 'values'])
  expect(await node.count('internalErrors')).toBe(0)
})

test('a client of this package that asks for more than its node takes at once waits for its turn: nothing is refused', async () => {
  const node = await nodeWithValues()
  const [one, other] = [await testClient(node.socket), await testClient(node.socket, { view: 'off' })]
  const reads = await Promise.all(Array.from({ length: 5_000 }, () => other.get('k1')))
  expect(new Set(reads)).toEqual(new Set(['k1']))
  const commits = Array.from({ length: 3_000 }, async (_, i) => {
    if (i % 2 === 0) return one.transaction((tx) => tx.put(`a${i}`, i))
    const { context } = await one.step(undefined, (tx) => tx.put(`a${i}`, i))
    await other.commit(context)
  })
  await Promise.all(commits)
  const keys = Array.from({ length: 3_000 }, (_, i) => `a${i}`)
  expect(await other.transaction((tx) => tx.getMany(keys))).toEqual(keys.map((_, i) => i))
  expect(await node.count('refusedBusy')).toBe(0)
  await until('nothing is open', async () => (await node.count('transactionsOpen')) === 0)
})

/** Sends frames full of reads as fast as the socket takes them, and reads what it is told. */
class Flood {
  readonly #dealer = new Dealer({ linger: 0 })
  readonly #told = new Map<string, number>()
  readonly #greeted: Promise<void>
  readonly #reading: Promise<void>
  #sending: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(socket: string) {
    this.#dealer.connect(`ipc://${socket}`)
    let greeted = (): void => undefined
    this.#greeted = new Promise((resolve) => {
      greeted = resolve
    })
    this.#reading = this.#read(greeted)
  }

  async start(): Promise<void> {
    const hello = {
      type: 'hello',
      request: 0,
      client: 'flood',
      pid: process.pid,
      namespace: '',
      startedAt: '',
    } as const
    await this.#dealer.send(requestFrames.encode([hello]))
    await this.#greeted
    this.#sending = this.#send()
  }

  async stop(): Promise<ReadonlyMap<string, number>> {
    if (!this.#stopped) {
      this.#stopped = true
      this.#dealer.close()
      await Promise.all([this.#sending, this.#reading])
    }
    return this.#told
  }

  async #send(): Promise<void> {
    for (let request = 1; !this.#stopped; ) {
      const reads = Array.from({ length: 2_000 }, (): Request => {
        return { type: 'read', request: request++, handle: 0, keys: ['k1'] }
      })
      await this.#dealer.send(requestFrames.encode(reads)).catch(() => undefined)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  async #read(greeted: () => void): Promise<void> {
    for await (const [frame] of this.#dealer) {
      for (const reply of replyFrames.decode(frame!)) {
        if (reply.type === 'welcome') {
          greeted()
          continue
        }
        const told = reply.type === 'error' ? reply.code : reply.type
        this.#told.set(told, (this.#told.get(told) ?? 0) + 1)
      }
    }
  }
}

function timedOut(error: unknown): undefined {
  expect(error).toMatchObject({ code: 'Timeout', retryable: true })
}
