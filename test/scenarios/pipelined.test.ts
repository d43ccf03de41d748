import { expect, test } from 'vitest'
import type { Storage } from '../../src/ports/storage.js'
import { createMemoryStorage } from '../../src/storage/memory.js'
import { testNode } from '../support/nodes.js'
import { greeted, refusalOf } from '../support/raw-client.js'
import { newId, toValue } from '../support/tiny-client.mjs'
import { until } from '../support/until.js'

function gate() {
  let open: () => void = () => undefined
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open: () => open() }
}

/** A storage in which looking at a decision stands still until it is released. */
function holding(txn: string) {
  const inner = createMemoryStorage()
  const [reached, released] = [gate(), gate()]
  const storage: Storage = {
    durability: inner.durability,
    async get(keys) {
      if (keys.some(({ id }) => id === txn)) {
        reached.open()
        await released.opened
      }
      return inner.get(keys)
    },
    put: (entries) => inner.put(entries),
    compareAndSwap: (key, expected, next) => inner.compareAndSwap(key, expected, next),
    delete: (keys) => inner.delete(keys),
    list: (bucket, options) => inner.list(bucket, options),
    close: () => inner.close(),
  }
  return { storage, reached: reached.opened, release: released.open }
}

/** `committed`, of the protocol. */
const COMMITTED = 68

test('scenario 17: two commits sent along with a begin that has to look something up: one is done, one refused', async () => {
  const node = await testNode()
  const client = await greeted(node.socket)
  const id = newId()
  const [, first, second, spill] = client.askTogether(
    ['begin', 1, id, true, null, null, null, true, null],
    ['commit', 1, [['a', toValue(1)]], null],
    ['commit', 1, [['b', toValue(2)]], null],
    ['spill', 1, [['c', toValue(3)]]],
  )
  expect(await first).toMatchObject({ type: COMMITTED })
  expect(await refusalOf(second!)).toBe('TransactionClosed')
  expect(await refusalOf(spill!)).toBe('TransactionClosed')
  const virga = await node.connect()
  await using tx = await virga.begin()
  expect(await tx.getMany(['a', 'b', 'c'])).toEqual([1, undefined, undefined])
})

test('what follows a spill that fails fails as well, also where all were sent along with a begin that has to look something up', async () => {
  const node = await testNode()
  const client = await greeted(node.socket)
  const begun = client.askTogether(
    ['begin', 1, newId(), true, null, null, null, true, null],
    [
      'spill',
      1,
      [
        ['a', toValue(1)],
        ['', toValue(2)],
      ],
    ],
    ['commit', 1, [['b', toValue(3)]], null],
  )
  expect(await refusalOf(begun[1]!)).toBe('InvalidArgument')
  expect(await refusalOf(begun[2]!)).toBe('InvalidArgument')
  const virga = await node.connect()
  await using tx = await virga.begin()
  expect(await tx.getMany(['a', 'b'])).toEqual([undefined, undefined])
})

test('what was sent along with a begin that has to look something up, and an end behind it: all of it is committed, or nothing', async () => {
  const node = await testNode()
  const client = await greeted(node.socket)
  const [, spill, commit] = client.askTogether(
    ['begin', 1, newId(), true, null, null, null, true, null],
    ['spill', 1, [['a', toValue(1)]]],
    ['commit', 1, [['b', toValue(2)]], null],
    // It has its turn before the begin has come to something.
    ['end', 1],
  )
  expect(await refusalOf(spill!)).toBe('TransactionUnknown')
  expect(await refusalOf(commit!)).toBe('TransactionUnknown')
  const virga = await node.connect()
  await using tx = await virga.begin()
  expect(await tx.getMany(['a', 'b'])).toEqual([undefined, undefined])
})

test('nor is half of it handed off', async () => {
  const node = await testNode()
  const client = await greeted(node.socket)
  const [, spill, handoff] = client.askTogether(
    ['begin', 1, newId(), true, null, null, null, true, null],
    ['spill', 1, [['a', toValue(1)]]],
    ['handoff', 1, [['b', toValue(2)]], false],
    ['end', 1],
  )
  expect(await refusalOf(spill!)).toBe('TransactionUnknown')
  expect(await refusalOf(handoff!)).toBe('TransactionUnknown')
  expect(node.count('handoffs')).toBe(0)
})

test.each(['closes', 'greets again'])(
  'nothing of what waits for its begin is done where its executor %s meanwhile',
  async (how) => {
    const id = newId()
    const held = holding(id)
    const node = await testNode({ storage: held.storage })
    const client = await greeted(node.socket)
    const [, , commit] = client.askTogether(
      ['begin', 1, id, true, null, null, null, true, null],
      ['spill', 1, [['a', toValue(1)]]],
      ['commit', 1, [['b', toValue(2)]], null],
    )
    await held.reached
    if (how === 'closes') {
      client.close()
      await until('it is seen', () => node.count('sessions') === 0)
    } else await client.hello()
    held.release()
    if (how === 'greets again') expect(await refusalOf(commit!)).toBe('SessionLost')
    const virga = await node.connect()
    await virga.transaction((tx) => tx.put('c', 3))
    await using tx = await virga.begin()
    expect(await tx.getMany(['a', 'b', 'c'])).toEqual([undefined, undefined, 3])
    expect(await virga.status(id)).toMatchObject({ status: 'open' })
    expect(node.count('commits')).toBe(1)
  },
)
