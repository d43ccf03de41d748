import { expect, onTestFinished, test } from 'vitest'
import { PROTOCOL_VERSION } from '../../src/wire/messages.js'
import { encode } from '../support/messagepack.mjs'
import { testNode } from '../support/nodes.js'
import { greeted, refusal, refusalOf } from '../support/raw-client.js'
import { RawDealer } from '../support/raw-dealer.js'
import { fromValue, newId, TinyClient, toValue } from '../support/tiny-client.mjs'
import { until } from '../support/until.js'

/** Requests that are well formed and mean something odd. */

const MINUTE_MS = 60_000
const begin = (handle: number, id = newId()) =>
  ['begin', handle, id, false, null, null, null, false, null] as const

test('handle 0 is for reads alone, and a handle in use is not given away', async () => {
  const { socket } = await testNode()
  const client = await greeted(socket)
  expect(await refusalOf(client.ask(...begin(0)))).toBe('InvalidArgument')
  expect(await refusalOf(client.ask('commit', 0, [['a', toValue(1)]], null))).toBe('TransactionUnknown')
  const [, second, commit] = client.askTogether(begin(7), begin(7), ['commit', 7, [['a', toValue(1)]], null])
  expect(await refusalOf(second!)).toBe('InvalidArgument')
  // The first one has not been touched by it.
  expect(await commit!).toMatchObject({ type: 68 })
  expect(await refusalOf(client.ask('commit', 7, [], null))).toBe('TransactionUnknown')
})

test('a commit never commits the half of what was sent', async () => {
  const { socket } = await testNode()
  const client = await greeted(socket)
  const [, spill, commit] = client.askTogether(
    begin(1),
    [
      'spill',
      1,
      [
        ['kept', toValue(1)],
        ['', toValue(2)],
      ],
    ],
    ['commit', 1, [['more', toValue(3)]], null],
  )
  expect(await refusalOf(spill!)).toBe('InvalidArgument')
  expect(await refusalOf(commit!)).toBe('InvalidArgument')
  const [values] = await client.ask('read', 0, ['kept', 'more'])
  expect(values).toEqual([null, null])
})

test('an id of a time that is far off is refused, keyed or not: its decision would not be found at the next start', async () => {
  const { socket } = await testNode()
  const client = await greeted(socket)
  for (const keyed of [true, false]) {
    const ahead = newId(Date.now() + 11 * MINUTE_MS)
    const old = newId(Date.now() - 24 * 60 * MINUTE_MS - MINUTE_MS)
    const handle = keyed ? 1 : 3
    expect(await refusalOf(client.ask('begin', handle, ahead, keyed, null, null, null, false, null))).toBe(
      'InvalidArgument',
    )
    expect(await refusalOf(client.ask('begin', handle + 1, old, keyed, null, null, null, false, null))).toBe(
      'TransactionExpired',
    )
  }
})

test('nobody fences attempts of the far future', async () => {
  const { socket } = await testNode()
  const client = await greeted(socket)
  const id = newId()
  for (const attempt of ['1'.padEnd(24, 'f'), '0fffffffffffffffffffffff'])
    expect(await refusalOf(client.ask('resolve', id, attempt))).toBe('InvalidArgument')
  // Beyond the range of all clocks: no attempt at all.
  const frame = client.askTogether(['resolve', id, 'f'.repeat(24)])
  expect(await refusalOf(frame[0]!)).toBe('Malformed')
  expect(await client.ask('begin', 1, id, true, null, null, null, true, null)).toMatchObject({ type: 66 })
  expect(await client.ask('commit', 1, [], null)).toMatchObject({ type: 68 })
})

test('a second hello is a new beginning, and leaves nothing behind', async () => {
  const node = await testNode()
  const client = await greeted(node.socket)
  await client.ask(...begin(1))
  expect(node.count('transactionsOpen')).toBe(1)
  for (let i = 0; i < 10; i++) await client.hello()
  expect(node.count('transactionsOpen')).toBe(0)
  expect(node.count('sessions')).toBe(1)
  expect(await refusalOf(client.ask('read', 1, ['a']))).toBe('TransactionUnknown')
  // Its former names are free: taking one over ends nothing.
  const other = new TinyClient(node.socket)
  onTestFinished(() => other.close())
  await other.ask('hello', 'mine', 0, '', '')
  await client.ask('hello', 'mine', 0, '', '')
  expect(await refusalOf(other.ask('ping'))).toBe('SessionLost')
  expect(node.count('sessions')).toBe(1)
})

test('a name without end is refused', async () => {
  const node = await testNode()
  const client = new TinyClient(node.socket)
  onTestFinished(() => client.close())
  expect(await refusalOf(client.ask('hello', 'x'.repeat(257), 0, '', ''))).toBe('LimitExceeded')
  expect(node.count('sessions')).toBe(0)
})

test('an answer does not quote without end', async () => {
  const { socket } = await testNode()
  const client = await greeted(socket)
  const long = 'x'.repeat(1_000_000)
  const { code, message } = await refusal(
    client.ask('begin', 1, newId(), false, null, long, null, false, null),
  )
  expect(code).toBe('Unsupported')
  expect(message.length).toBeLessThan(1_100)
})

test('one context a thousand times is one context; more branches than may be are refused', async () => {
  const { socket } = await testNode()
  const client = await greeted(socket)
  const [, handed] = client.askTogether(begin(1), ['handoff', 1, [['a', toValue(1)]], false])
  const [context] = await handed!
  const startedAt = performance.now()
  await client.ask('resume', 2, Array(1_000).fill(context), 'error', false)
  expect(performance.now() - startedAt).toBeLessThan(1_000)
  expect(await refusalOf(client.ask('resume', 3, Array(1_001).fill(context), 'error', false))).toBe(
    'LimitExceeded',
  )
  expect(await refusalOf(client.ask('resume', 4, [], 'latest', false))).toBe('InvalidArgument')
})

test('a read of ten thousand keys is answered, one of more is refused', async () => {
  const { socket } = await testNode()
  const client = await greeted(socket)
  const [values] = await client.ask('read', 0, Array(10_000).fill('a'))
  expect(values).toHaveLength(10_000)
  expect(await refusalOf(client.ask('read', 0, Array(10_001).fill('a')))).toBe('LimitExceeded')
  expect(((await client.ask('read', 0, []))[0] as unknown[]).map(fromValue)).toEqual([])
})

test('a flood of ends fills its own queue, and nothing more', async () => {
  const node = await testNode({ requestsPerSessionMax: 64, transactionsMax: 64 })
  const [flooder, other] = [await greeted(node.socket), await greeted(node.socket)]
  const answers = flooder.askTogether(...Array.from({ length: 10_000 }, (_, i) => ['end', i + 1] as const))
  await other.ask('ping')
  const settled = await Promise.allSettled(answers)
  const refused = settled.filter(({ status }) => status === 'rejected')
  expect(refused.length).toBeGreaterThanOrEqual(9_000)
  expect(node.count('refusedBusy')).toBe(refused.length)
})

test('a frame of another version is told so on each request number that can be read', async () => {
  const node = await testNode()
  const dealer = new RawDealer(node.socket)
  const requests = Array.from({ length: 100 }, (_, i) => [99, i + 1, 'of', ['days', 'to come']])
  await dealer.send(encode([PROTOCOL_VERSION + 1, ...requests, 'what', [1], [1, -1]]))
  await until('each to be told', () => dealer.errors.get('UnsupportedVersion') === 100)
  expect(requests.every(([, request]) => dealer.isAnswered(request as number))).toBe(true)
  // One in which nothing can be read is told as well, with request 0.
  await dealer.send(encode([PROTOCOL_VERSION + 1, 'nothing']))
  await until('it to be told', () => dealer.isAnswered(0))
  expect(node.count('refusedVersion')).toBe(2)
  expect(dealer.frames).toBe(2)
})

test('nothing of a refused frame is done, and its session goes on', async () => {
  const node = await testNode()
  const dealer = new RawDealer(node.socket)
  await dealer.hello()
  const good = [2, 1, 1, newId(), false, null, null, null, false, null]
  const bad: readonly (readonly unknown[])[] = [
    [65, 2], // an answer
    [73, 2, 'Busy', false, ''],
    [99, 2], // no message
    [15, 2, 1], // one with a field too many
    [3, 2, 1], // too few fields
    [3, 2, 1, [], []], // too many
    [3, 2, -1, []],
    [3, 2, 1, [7]],
    [3, 2, 1, ['a', null]],
    [4, 2, 1, [['a']]],
    [8, 2, 1, [], 'perhaps'],
    [9, 2, newId().toUpperCase()],
  ]
  for (const message of bad) await dealer.send(encode([PROTOCOL_VERSION, good, message]))
  await until('all to be refused', () => dealer.errors.get('Malformed') === 2 * bad.length)
  expect(node.count('transactionsOpen')).toBe(0)
  expect(node.count('refusedMalformed')).toBe(bad.length)
  await dealer.send(encode([PROTOCOL_VERSION, good, [12, 3]]))
  await until('a good one to be answered', () => dealer.isAnswered(3))
  expect(node.count('transactionsOpen')).toBe(1)
})

test('who has not greeted is told so', async () => {
  const node = await testNode()
  const client = new TinyClient(node.socket)
  onTestFinished(() => client.close())
  expect(await refusalOf(client.ask(...begin(1)))).toBe('SessionLost')
  const [, , committed] = client.askTogether(['hello', 'late', 0, '', ''], begin(1), [
    'commit',
    1,
    [['a', toValue(1)]],
    null,
  ])
  expect(await committed!).toMatchObject({ type: 68 })
})
