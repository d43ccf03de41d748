import { expect, test } from 'vitest'
import { testNode } from '../support/nodes.js'
import { greeted, refusalOf } from '../support/raw-client.js'
import { newId, toValue } from '../support/tiny-client.mjs'

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
