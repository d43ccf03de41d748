/**
 * Scenario 29 with a real Redis, and a node in a process of its own: some requests of a batch are answered, and others refused,
 * not heard, or not answered.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, type TestContext, test } from 'vitest'
import type { Transaction } from '../../src/client/transaction.js'
import type { Virga } from '../../src/client/virga.js'
import { transactionId } from '../../src/compose/transaction-id.js'
import { Dice } from '../support/dice.js'
import { expectCode } from '../support/failures.js'
import { Load } from '../support/load.js'
import { NodeProcess, testClient } from '../support/nodes.js'
import { type Fate, type Judge, nameOf, PartialRedis } from '../support/partial-redis.js'
import { Reckoning } from '../support/reckoning.js'
import { startRedis } from '../support/redis.js'
import { seedFor } from '../support/seed.js'
import { until } from '../support/until.js'

/** Long enough for some MiB to reach a disk of a busy machine. */
const TIMEOUT_MS = 3_000
const PATIENT = { attemptsMax: 1_000, retryDelayMsMax: 50 }

/** The server says that it did not run it, and that it may later. */
const PASSING: readonly Fate[] = [
  '-LOADING Redis is loading the dataset in memory',
  '-BUSY Redis is busy running a script',
  '-TRYAGAIN Multiple keys request during rehashing of slot',
]
const LASTING: readonly Fate[] = [
  "-OOM command not allowed when used memory > 'maxmemory'.",
  '-MISCONF Redis is configured to save RDB snapshots, but it is unable to persist to disk.',
]
const BROKEN: readonly Fate[] = ['unheard', 'unanswered']

async function place({ collectEveryMs = 60_000, timeoutMs = TIMEOUT_MS } = {}) {
  const redis = await startRedis({ config: { appendonly: 'yes', appendfsync: 'always' } })
  onTestFinished(() => redis.stop())
  const storage = await PartialRedis.start(redis)
  const node = await NodeProcess.start({
    storage: `${storage.url}?timeoutMs=${timeoutMs}`,
    resolveMsMax: 600,
    collectEveryMs,
  })
  const virga = await testClient(node.socket, { attemptsMax: 1 })
  return { storage, node, virga, patient: await testClient(node.socket, PATIENT) }
}

/** The `nth` request, from now on, of which the name fits meets this fate; all others are answered. */
function nth(n: number, what: RegExp, fate: Fate): Judge {
  let seen = 0
  return (request) => (what.test(nameOf(request)) && ++seen === n ? fate : 'answered')
}

/** Values of one transaction that take several requests, and an announcement, since the id is of a closed minute. */
const LARGE = { a: 4 * 1024 * 1024, b: 100_000, c: 200_000 }
const BATCH = /^hset (value|late)$/
const BATCH_REQUESTS = 3

function putLarge(tx: Transaction, n: number): void {
  for (const [key, bytes] of Object.entries(LARGE)) tx.put(`${key}/${n}`, new Uint8Array(bytes).fill(n))
}

/** All of it is there, or nothing is. */
async function isWhole(virga: Virga, n: number): Promise<boolean> {
  const keys = Object.keys(LARGE).map((key) => `${key}/${n}`)
  const values = await virga.transaction((tx) => tx.getMany<Uint8Array>(keys))
  if (values.every((value) => value === undefined)) return false
  expect(values.map((value) => value?.length)).toEqual(Object.values(LARGE))
  for (const value of values) expect(value?.every((byte) => byte === n)).toBe(true)
  return true
}

test('scenario 29: of the large values of one commit each part in turn is refused, not heard or not answered: retried, or the whole fails', async () => {
  const { storage, node, virga, patient } = await place()
  const cases = [...PASSING, ...LASTING, ...BROKEN].flatMap((fate) =>
    Array.from({ length: BATCH_REQUESTS }, (_, part) => ({ fate, part: part + 1 })),
  )
  for (const [n, { fate, part }] of cases.entries()) {
    const what = `part ${part} meets ${fate}`
    const id = transactionId(`large ${n}`, Date.now() - 30 * 60_000)
    const write = (client: Virga) => client.transaction((tx) => putLarge(tx, n), { id })
    storage.set(nth(part, BATCH, fate))
    if (PASSING.includes(fate)) await write(virga)
    else {
      const error = await expectCode(write(virga), 'StorageUnavailable')
      expect(error, what).toMatchObject({ outcome: 'definite', retryable: true })
      await until('storage answers', () => virga.status(id).catch(() => false))
      expect((await virga.status(id)).status, what).toBe('open')
      expect(await isWhole(patient, n), what).toBe(false)
      await write(patient)
    }
    expect(storage.troubled, what).toHaveLength(n + 1)
    expect((await virga.status(id)).status, what).toBe('committed')
  }
  storage.calm()
  // From storage, without anything that the node had cached.
  await node.restart()
  for (const n of cases.keys()) expect(await isWhole(patient, n), `${n}`).toBe(true)
})

test('scenario 29: of a durable handoff each part in turn is refused, not heard or not answered: retried, or the whole fails and can be done again', async () => {
  const { storage, node, virga, patient } = await place()
  const seen: string[] = []
  storage.set((request) => {
    seen.push(nameOf(request))
    return 'answered'
  })
  const durable = (client: Virga, n: number) =>
    client.step(undefined, (tx) => putLarge(tx, n), {
      id: transactionId(`durable ${n}`, Date.now()),
      durable: true,
    })
  // Decisions that no order in storage names yet: the handoff brings that to storage, too.
  await virga.transaction((tx) => tx.put('before', 1))
  await durable(virga, 0)
  const parts = [...new Set(seen.filter((name) => /^hset (value|pin|order|ordered)$/.test(name)))]
  expect(parts).toHaveLength(4)
  const cases = [PASSING[0]!, LASTING[0]!, ...BROKEN].flatMap((fate) => parts.map((part) => ({ fate, part })))
  for (const [i, { fate, part }] of cases.entries()) {
    const n = i + 1
    await until('storage answers', () => virga.status(transactionId('any', Date.now())).catch(() => false))
    await virga.transaction((tx) => tx.put('before', n))
    storage.set(nth(1, new RegExp(`^${part}$`), fate))
    if (!PASSING.includes(fate)) await expectCode(durable(virga, n), 'StorageUnavailable')
    const step = await until('handed off', () =>
      durable(PASSING.includes(fate) ? virga : patient, n).catch(() => false),
    )
    expect(storage.troubled, `${part} meets ${fate}`).toHaveLength(n)
    storage.calm()
    // What the context needs is in storage, or it was not handed off.
    if (i % 4 === 0) await node.restart()
    expect(await isWhole(patient, n)).toBe(false)
    await patient.commit((step as { readonly context: string }).context)
    expect(await isWhole(patient, n), `${part} meets ${fate}`).toBe(true)
  }
})

test('scenario 29: of many reads and listings some are refused or not answered: retried, or the whole fails; nothing there is taken for absent', async () => {
  const { storage, node, virga, patient } = await place({ collectEveryMs: 100 })
  const keys = Array.from({ length: 400 }, (_, i) => `k${i}`)
  for (let from = 0; from < keys.length; from += 100)
    await virga.transaction((tx) => {
      for (const key of keys.slice(from, from + 100)) tx.put(key, key)
    })
  await until('all is in the bases', async () => (await node.count('versions')) === 0)
  const every = (n: number, what: RegExp, fates: readonly Fate[]): Judge => {
    let seen = 0
    return (request) =>
      what.test(nameOf(request)) && ++seen % n === 0 ? fates[(seen / n) % fates.length]! : 'answered'
  }
  // A node reads what it starts from while listings and reads are refused, and while connections break.
  for (const [fates, often] of [
    [PASSING, 3],
    [BROKEN, 10],
  ] as const) {
    storage.set(every(often, /^(hlen|hkeys|hscan|hmget|hget) /, fates))
    await node.restart()
    storage.set(every(7, /^hmget base$/, fates))
    const before = storage.count(/^hmget base/)
    const read = await until('read', () => virga.transaction((tx) => tx.getMany(keys)).catch(() => false))
    expect(read).toEqual(keys)
    expect(storage.count(/^hmget base/)).toBeGreaterThan(before)
    expect(storage.count(/^(hlen|hkeys|hscan) /)).toBeGreaterThan(0)
    storage.calm()
  }
  // What no waiting mends fails as a whole.
  await node.restart()
  storage.set(nth(20, /^hmget base$/, '-ERR something else'))
  await until('connected', () => virga.get('absent').then(() => true))
  await expectCode(
    virga.transaction((tx) => tx.getMany(keys)),
    'StorageUnavailable',
  )
  expect(await patient.transaction((tx) => tx.getMany(keys))).toEqual(keys)
  // A node that can't list all there is does not serve.
  storage.set(nth(3, /^(hlen|hkeys|hscan) decision$/, '-ERR something else'))
  await expect(node.restart()).rejects.toThrow('ended with')
  storage.calm()
  await node.restart()
  expect(await patient.transaction((tx) => tx.getMany(keys))).toEqual(keys)
})

/** Transactions that have committed before a run ends. */
const ENOUGH = 100
const TROUBLED = [/^hset value/, /^hsetnx decision/, /^hmget /]

test('scenario 29: under load any request may be refused, not heard or not answered: no answer was wrong, and what was acknowledged is whole after collection', async (context: TestContext) => {
  const seed = seedFor(context)
  const dice = new Dice(seed)
  const { storage, node, patient } = await place({ collectEveryMs: 100, timeoutMs: 400 })
  const reckoning = new Reckoning(dice)
  const load = new Load(reckoning, seed)
  for (let i = 0; i < 2; i++) load.functions(await testClient(node.socket, PATIENT))
  for (let i = 0; i < 4; i++) load.functions(await testClient(node.socket, { attemptsMax: 1 }))
  for (let i = 0; i < 2; i++) load.dags(await testClient(node.socket, PATIENT))
  const trouble = (what: RegExp, often: number): void =>
    storage.set((request) => {
      if (!what.test(nameOf(request)) || dice.fraction() >= often) return 'answered'
      return dice.pick(dice.between(0, 9) === 0 ? BROKEN : dice.pick([PASSING, LASTING]))
    })
  // What collection writes: a round that fails is tried again later each time, so each is waited for.
  for (const [what, often] of [
    ['[a-z]+ base', 0.02],
    ['hset decision', 0.5],
  ] as const) {
    const collected = await node.count('compactedDecisions')
    await until('collected', async () => (await node.count('compactedDecisions')) > collected, 20_000)
    trouble(new RegExp(`^${what}$`), often)
    await until(`trouble with ${what}`, () => storage.count(new RegExp(`^${what} `)) > 2, 20_000)
    storage.calm()
  }
  for (let round = 0; round < 8 || reckoning.count('committed') <= ENOUGH; round++) {
    trouble(/./, 0.045)
    await sleep(dice.between(100, 400))
    storage.calm()
    await sleep(dice.between(50, 200))
    load.check()
  }
  // What the dice have left out.
  for (const what of TROUBLED) {
    if (storage.count(what) > 0) continue
    trouble(what, 0.3)
    await until(`trouble with ${what}`, () => storage.count(what) > 0, 20_000)
    storage.calm()
  }
  await load.stop()
  await reckoning.check(patient, true)
  await reckoning.retry(patient, 50)
  await until('all is collected', async () => (await node.count('versions')) === 0, 20_000)
  await node.restart()
  await patient.transaction((tx) => tx.get('up'))
  await reckoning.check(patient, true)
})
