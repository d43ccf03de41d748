/** What a node holds returns to its bound, whatever became of those for whom it held it. */

import { expect, test } from 'vitest'
import { Dealer } from 'zeromq'
import { transactionId } from '../../src/compose/transaction-id.js'
import { replyFrames, requestFrames } from '../../src/wire/frames.js'
import { Dice } from '../support/dice.js'
import { expectCode, failure } from '../support/failures.js'
import { executorProcess, testNode } from '../support/nodes.js'
import { seedFor } from '../support/seed.js'
import { newId, TinyClient } from '../support/tiny-client.mjs'
import { until } from '../support/until.js'

const LARGE = new Uint8Array(50_000)

test('executors that die with transactions open, spilled or handed off leave nothing open', async () => {
  const node = await testNode()
  const virga = await node.connect()
  for (let i = 0; i < 3; i++) {
    const executor = await executorProcess(node.socket, { spillBytes: 1_000 })
    for (const name of ['open', 'spilled', 'read', 'pending']) {
      await executor.call('begin', name, 'c', { deadlineMs: 5_000 })
    }
    await executor.call('put', 'spilled', 'x', LARGE)
    await executor.call('get', 'spilled', 'y')
    await executor.call('get', 'read', 'y')
    await executor.call('begin', 'handed', 'c', { deadlineMs: 5_000 })
    await executor.call('put', 'handed', 'x', LARGE)
    await executor.call('handoff', 'handed', {})
    expect(node.count('transactionsOpen')).toBeGreaterThan(0)
    if (i === 2) await executor.call('close', 'c')
    await executor.kill()
    await until('none open', () => node.count('transactionsOpen') === 0 && node.count('sessions') === 1)
    // Others may resume what was handed off, until its deadline.
    expect(node.count('heldBytes')).toBeGreaterThan(LARGE.length)
  }
  await until('none held', () => node.count('heldBytes') === 0)
  expect(await virga.get('x')).toBeUndefined()
  expect(node.count('versions')).toBe(0)
})

test('one whose process the node can not look at, as in another container, leaves nothing open once its connection has ended', async () => {
  const node = await testNode({ sessionTimeoutMs: 600_000 })
  const client = new TinyClient(node.socket)
  // A process of a namespace of its own.
  await client.ask('hello', 'elsewhere', 7, 'pid:[1]', '1')
  await client.ask('begin', 1, newId(), true, null, null, null, true, null)
  expect([node.count('sessions'), node.count('transactionsOpen')]).toEqual([1, 1])
  client.close()
  await until('none open', () => node.count('sessions') === 0)
  expect(node.count('transactionsOpen')).toBe(0)
})

test('refused begins, commits, handoffs and resumes leave nothing open', async () => {
  const node = await testNode({ transactionsMax: 20, heldBytesMax: 100_000, writeSetKeysMax: 100 })
  const virga = await node.connect({ attemptsMax: 1 })
  const aborted = transactionId('aborted', Date.now())
  const old = transactionId('old', Date.now() - 25 * 3_600_000)
  await virga.cancel(aborted)
  const expired = await virga.begin({ deadlineMs: 50 })
  await expired.get('x')

  for (let i = 0; i < 50; i++) {
    await expectCode(
      virga.transaction((tx) => tx.put('x', 1), { id: aborted }),
      'TransactionAborted',
    )
    const tx = await virga.begin({ id: aborted })
    tx.put('x', 1)
    await expectCode(tx.commit(), 'TransactionAborted')
    const late = await virga.begin({ id: old })
    late.put('x', 1)
    await expectCode(late.commit(), 'TransactionExpired')
    await expectCode(virga.resume('bm9uZQ'), 'ContextInvalid')
    const odd = await virga.begin({ consistency: 'odd' as 'lww' })
    await expectCode(odd.get('x'), 'Unsupported')
    await expectCode(odd.commit({ result: 1 }), 'Unsupported')
    const token = await virga.begin({ after: 'no token' }).catch((error: unknown) => error)
    expect(token).toMatchObject({ code: 'InvalidArgument' })
    const large = await virga.begin()
    large.put('x', new Uint8Array(200_000))
    await expectCode(large.handoff(), 'Busy')
  }
  await new Promise((resolve) => setTimeout(resolve, 60))
  expired.put('x', 1)
  await expectCode(expired.commit(), 'DeadlineExceeded')
  await until('nothing open', () => node.count('transactionsOpen') === 0)
  expect(node.count('heldBytes')).toBe(0)

  // As many as may be open, and no more; and the refusal is told as what it is.
  const open = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const tx = await virga.begin()
      await tx.get('x')
      return tx
    }),
  )
  const one = await virga.begin()
  await expectCode(one.get('x'), 'Busy')
  await expectCode(one.commit({ result: 1 }), 'Busy')
  await expectCode(
    virga.transaction((tx) => tx.put('x', 1)),
    'Busy',
  )
  await Promise.all(open.map((tx) => tx.abort()))
  await virga.transaction((tx) => tx.put('x', 'after'))
  expect(await virga.get('x')).toBe('after')
  await until('nothing open', () => node.count('transactionsOpen') === 0)
})

test('memory of the node returns to its bound after aborts, failed reads and large values', async () => {
  const cacheBytesMax = 1_000_000
  const node = await testNode({ cacheBytesMax, collectEveryMs: 60_000 })
  const virga = await node.connect({ spillBytes: 10_000 })
  for (let i = 0; i < 100; i++) {
    await virga.transaction((tx) => tx.put(`large ${i}`, LARGE))
    const tx = await virga.begin()
    for (let j = 0; j < 5; j++) tx.put(`aborted ${j}`, LARGE)
    expect((await tx.get<Uint8Array>(`large ${i}`))?.length).toBe(LARGE.length)
    await failure(tx.getMany(['']))
    await tx.abort()
  }
  const keys = Array.from({ length: 100 }, (_, i) => `large ${i}`)
  await using all = await virga.begin()
  const values = await all.getMany<Uint8Array>(keys)
  expect(values.every((value) => value?.length === LARGE.length)).toBe(true)
  expect(node.count('cacheBytes')).toBeLessThanOrEqual(cacheBytesMax)
  expect(node.count('heldBytes')).toBe(0)
  expect(node.count('versions')).toBe(100)
  await until('only one open', () => node.count('transactionsOpen') === 1)
})

test('scenario 22: malformed bytes are refused and counted, and nothing else happens', async (context) => {
  const dice = new Dice(seedFor(context))
  const node = await testNode()
  const virga = await node.connect()
  await virga.transaction((tx) => tx.put('x', 'right'))
  const stranger = new Dealer({ linger: 0 })
  try {
    stranger.connect(`ipc://${node.socket}`)
    const hello = { type: 'hello', request: 1, client: 'h', pid: 1, namespace: '', startedAt: '' } as const
    const good = requestFrames.encode([hello])
    const frames = Array.from({ length: 500 }, (_, i) => {
      if (i % 2 === 0)
        return Buffer.from(Array.from({ length: dice.between(0, 200) }, () => dice.between(0, 255)))
      return Buffer.from(good.subarray(0, dice.between(0, good.length - 1)))
    })
    for (const frame of frames) await stranger.send(frame)
    await until('all refused', () => refused() === frames.length)
    expect(node.count('sessions')).toBe(1)
    const [told] = await stranger.receive()
    expect(replyFrames.decode(told!)).toMatchObject([{ type: 'error' }])
    expect(await virga.get('x')).toBe('right')
    expect(node.count('internalErrors')).toBe(0)
  } finally {
    stranger.close()
  }

  function refused(): number {
    return node.count('refusedMalformed') + node.count('refusedVersion')
  }
})
