import { expect, onTestFinished, test } from 'vitest'
import { testNode } from '../support/nodes.js'
import { greeted, refusalOf } from '../support/raw-client.js'
import { fromValue, newId, TinyClient, toValue } from '../support/tiny-client.mjs'

/** What protocol/README.md says is enough: the client here is written from it, and imports nothing of virga. */

const BEGUN = 66
const VALUES = 67
const COMMITTED = 68
const HANDED = 69
const RESUMED = 70
const STATE = 71

test('a client written from the README alone runs transactions', async () => {
  const { socket } = await testNode()
  const client = await greeted(socket)
  const virga = new TinyClient(socket)
  onTestFinished(() => virga.close())
  expect(await virga.hello()).toMatchObject({ node: 'n1', sessionTimeoutMs: 60_000 })

  // One frame: a begin, and what follows without waiting for it.
  const id = newId()
  const [begun, read, committed] = await Promise.all(
    client.askTogether(
      ['begin', 1, id, true, null, null, null, false, null],
      ['read', 1, ['colour', 'none']],
      [
        'commit',
        1,
        [
          ['colour', toValue('grey')],
          ['gone', null],
        ],
        toValue({ n: 1 }.n),
      ],
    ),
  )
  expect(begun).toMatchObject({ type: BEGUN })
  const [attempt] = begun!
  expect(read).toMatchObject({ type: VALUES, 0: [null, null] })
  expect(committed).toMatchObject({ type: COMMITTED, 0: id, 1: attempt, 3: false })

  // A retry of the same id gets the decision that stands.
  const again = await client.ask('begin', 2, id, true, null, null, null, true, null)
  expect(again).toMatchObject({ type: COMMITTED, 0: id, 1: attempt, 3: true })
  expect(fromValue(again[4])).toBe(1)
  expect(await client.ask('status', id)).toMatchObject({ type: STATE, 0: 'committed' })
  expect(await client.ask('resolve', id, attempt)).toMatchObject({ type: COMMITTED, 3: false })

  // A read without a transaction, and one that begins after a commit that was seen elsewhere.
  const [values] = await client.ask('read', 0, ['colour'])
  expect((values as unknown[]).map(fromValue)).toEqual(['grey'])
  const after = again[5]
  await client.ask('begin', 3, newId(), false, 5_000, 'read-atomic', after, false, null)
  expect(fromValue(((await client.ask('read', 3, ['colour']))[0] as unknown[])[0])).toBe('grey')
})

test('hands off and takes up again, in another client', async () => {
  const { socket } = await testNode()
  const [one, other] = [await greeted(socket), await greeted(socket)]
  const id = newId()
  const handed = (writes: unknown, handle: number): Promise<unknown> => {
    const [, answer] = one.askTogether(
      ['begin', handle, id, true, null, null, null, false, null],
      ['handoff', handle, writes, false],
    )
    return answer!
  }
  const root = (await handed([['a', toValue(1)]], 1)) as readonly unknown[]
  expect(root).toMatchObject({ type: HANDED })
  const branches: unknown[] = []
  for (const [handle, key] of [
    [10, 'b'],
    [11, 'c'],
  ] as const) {
    const resumed = await other.ask('resume', handle, [root[0]], 'error', false)
    expect(resumed).toMatchObject({ type: RESUMED, 0: id, 3: true, 4: true, 5: [['a', true, toValue(1)]] })
    const [context] = await other.ask('handoff', handle, [[key, toValue(handle)]], handle === 11)
    branches.push(context)
  }
  await one.ask('resume', 20, branches, 'error', false)
  expect(await one.ask('commit', 20, [], null)).toMatchObject({ type: COMMITTED, 3: false })
  const [values] = await other.ask('read', 0, ['a', 'b', 'c'])
  expect((values as unknown[]).map(fromValue)).toEqual([1, 10, 11])
})

test('is told what was wrong, and what follows a failed begin is told the same', async () => {
  const { socket } = await testNode()
  const client = await greeted(socket)
  const old = newId(Date.now() - 25 * 3_600_000)
  const [begin, read] = client.askTogether(
    ['begin', 1, old, true, null, null, null, false, null],
    ['read', 1, ['a']],
  )
  expect(await refusalOf(begin!)).toBe('TransactionExpired')
  expect(await refusalOf(read!)).toBe('TransactionExpired')
  // Its handle is taken until it is ended.
  expect(await refusalOf(client.ask('begin', 1, newId(), false, null, null, null, false, null))).toBe(
    'InvalidArgument',
  )
  await client.ask('end', 1)
  expect(await client.ask('begin', 1, newId(), false, null, null, null, false, null)).toMatchObject({
    type: BEGUN,
  })
  expect(await refusalOf(client.ask('read', 99, ['a']))).toBe('TransactionUnknown')
  expect(await refusalOf(client.ask('resume', 2, [Buffer.from('no context')], 'latest', false))).toBe(
    'ContextInvalid',
  )
  expect(await client.ask('bye')).toMatchObject({ type: 65 })
  expect(await refusalOf(client.ask('ping'))).toBe('SessionLost')
})
