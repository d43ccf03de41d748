import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, type TestContext, test } from 'vitest'
import type { Virga } from '../../src/client/virga.js'
import { transactionId } from '../../src/compose/transaction-id.js'
import { Dice } from '../support/dice.js'
import { expectCode, failure } from '../support/failures.js'
import { Load } from '../support/load.js'
import { type TestNode, testNode } from '../support/nodes.js'
import { Reckoning } from '../support/reckoning.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { seedFor } from '../support/seed.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { timed } from '../support/timed.js'
import { until } from '../support/until.js'

const TIMEOUT_MS = 400
const RESOLVE_MS = 600
const ROUNDS = 4
const PATIENT = { attemptsMax: 1_000, retryDelayMsMax: 50 }

interface Place {
  readonly redis: RedisServer
  readonly network: TcpProxy
  readonly node: TestNode
  readonly virga: Virga
}

async function place(resolveMsMax = RESOLVE_MS): Promise<Place> {
  const redis = await startRedis({ config: { appendonly: 'yes', appendfsync: 'always' } })
  onTestFinished(() => redis.stop())
  const network = await TcpProxy.start(redis.port)
  const node = await testNode({
    storage: `redis://127.0.0.1:${network.port}?timeoutMs=${TIMEOUT_MS}`,
    resolveMsMax,
  })
  const virga = await node.connect()
  await virga.transaction((tx) => {
    for (let i = 0; i < 10; i++) tx.put(`cached ${i}`, i)
  })
  return { redis, network, node, virga }
}

/** Reads of what is cached go on as if nothing were: also in transactions, and at once. */
async function cachedReadsGoOn(virga: Virga): Promise<void> {
  const { settled, ms } = await timed(async () => {
    await using tx = await virga.begin()
    return [await virga.get('cached 1'), await tx.getMany(['cached 2', 'cached 3', 'absent'])]
  })
  expect(settled).toEqual({ status: 'fulfilled', value: [1, [2, 3, undefined]] })
  expect(ms).toBeLessThan(TIMEOUT_MS)
}

interface Outage {
  readonly name: string
  readonly begin: (place: Place) => unknown
  readonly end: (place: Place) => unknown
}

const OUTAGES: readonly Outage[] = [
  { name: 'killed', begin: ({ redis }) => redis.kill(), end: ({ redis }) => redis.restart() },
  { name: 'stopped', begin: ({ redis }) => redis.pause(), end: ({ redis }) => redis.resume() },
  { name: 'cut off', begin: ({ network }) => network.set('cut'), end: ({ network }) => network.set('open') },
  {
    name: 'not heard by us',
    begin: ({ network }) => network.set('deaf'),
    end: ({ network }) => network.set('open'),
  },
  {
    name: 'not hearing us',
    begin: ({ network }) => network.set('silent'),
    end: ({ network }) => network.set('open'),
  },
]

for (const { name, begin, end } of OUTAGES) {
  test(`Redis is ${name} under load: cached reads go on, commits succeed or fail typed, and no answer was wrong`, async (context: TestContext) => {
    const seed = seedFor(context)
    const dice = new Dice(seed)
    const at = await place()
    const reckoning = new Reckoning(dice)
    const load = new Load(reckoning, seed)
    for (let i = 0; i < 2; i++) load.functions(await at.node.connect(PATIENT))
    for (let i = 0; i < 4; i++) load.functions(await at.node.connect({ attemptsMax: 1 }))
    load.dags(await at.node.connect(PATIENT))

    for (let round = 0; round < ROUNDS || reckoning.count('committed') <= ROUNDS; round++) {
      await sleep(dice.between(30, 100))
      await begin(at)
      await cachedReadsGoOn(at.virga)
      // Shorter and longer than storage waits, and than the node looks into an unknown outcome.
      await sleep(dice.between(TIMEOUT_MS / 4, TIMEOUT_MS * 2 + RESOLVE_MS))
      await cachedReadsGoOn(at.virga)
      await end(at)
      const back = await at.node.connect(PATIENT)
      await back.transaction((tx) => tx.put('back', round))
      await reckoning.check(back)
      await reckoning.retry(back, 5)
      load.check()
    }
    await load.stop()
    await reckoning.check(at.virga, true)
    await reckoning.retry(at.virga, 50)
    expect(at.node.count('internalErrors')).toBe(0)
    await until('nothing open', () => at.node.count('transactionsOpen') === 0)
  })
}

test('scenario 14: a failure of storage ends neither the node nor any transaction that does not need storage', async () => {
  const at = await place()
  const [other, open] = [await at.node.connect({ attemptsMax: 1 }), await at.virga.begin()]
  await open.get('cached 1')
  open.put('x', 'written before')
  at.network.set('cut')

  const id = transactionId('during', Date.now())
  const commit = await failure(other.transaction((tx) => tx.put('x', 'during'), { id }))
  expect(commit).toMatchObject({ code: 'StorageUnavailable', retryable: true, outcome: 'definite' })
  await expectCode(other.status(id), 'StorageUnavailable')
  await expectCode(other.cancel(id), 'StorageUnavailable')
  await expectCode(
    other.step(undefined, (tx) => tx.put('x', 'durable'), { durable: true }),
    'StorageUnavailable',
  )
  await cachedReadsGoOn(other)
  const step = await other.step(undefined, (tx) => tx.put('y', 'plain'))

  at.network.set('open')
  await until('storage is back', () => other.status(id).catch(() => false))
  expect(await other.status(id)).toMatchObject({ status: 'open' })
  await open.commit()
  await other.commit(step.context)
  await using tx = await other.begin()
  expect(await tx.getMany(['x', 'y'])).toEqual(['written before', 'plain'])
  expect(at.node.count('internalErrors')).toBe(0)
})

test('a commit whose answer storage lost is known once storage is heard again; until then its outcome is unknown', async () => {
  const at = await place()
  const virga = await at.node.connect({ attemptsMax: 1 })
  const id = transactionId('unknown', Date.now())
  const tx = await virga.begin({ id })
  tx.put('x', 'committed')
  at.network.set('deaf')
  const error = await failure(tx.commit({ result: 'committed' }))
  expect(error).toMatchObject({ code: 'OutcomeUnknown', retryable: true, outcome: 'indefinite' })
  expect(at.node.count('outcomesUnknown')).toBe(1)
  // Nobody is told a guess meanwhile.
  expect(await virga.get('x')).toBeUndefined()
  at.network.set('open')
  // The node goes on by itself, without being asked: what committed becomes visible.
  await until('it is visible', async () => (await at.virga.get('x')) === 'committed')
  expect(await virga.status(id)).toMatchObject({ status: 'committed', result: 'committed' })
  const again = await virga.transaction(() => Promise.reject(new Error('ran again')), { id })
  expect(again).toBe('committed')
})

test('a commit that never reached storage is fenced once storage hears us again, and a retry commits', async () => {
  const at = await place(5_000)
  const virga = await at.node.connect({ attemptsMax: 1 })
  const id = transactionId('never arrived', Date.now())
  const tx = await virga.begin({ id })
  tx.put('x', 'lost')
  at.network.set('silent')
  const committing = failure(tx.commit({ result: 'lost' }))
  await until('the node has sent it', () => at.node.count('deciding') === 1)
  await sleep(TIMEOUT_MS + RESOLVE_MS / 3)
  at.network.set('open')
  const error = await committing
  expect(error).toMatchObject({ code: 'StorageUnavailable', retryable: true, outcome: 'definite' })
  expect(await virga.status(id)).toMatchObject({ status: 'open' })
  const retry = virga.transaction(
    (t) => {
      t.put('x', 'retried')
      return 'retried'
    },
    { id },
  )
  expect(await retry).toBe('retried')
  expect(await at.virga.get('x')).toBe('retried')
})
