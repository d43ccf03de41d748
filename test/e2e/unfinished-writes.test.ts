import { expect, test } from 'vitest'
import { testNode } from '../support/nodes.js'

const MIB = 1024 * 1024
const VALUE = new Uint8Array(MIB)

test('writes sent ahead are bounded over all transactions, and give their room back however they end', async () => {
  const node = await testNode({ heldBytesMax: 8 * MIB })
  const virga = await node.connect()
  const open = await Promise.all(Array.from({ length: 6 }, () => virga.begin()))
  for (const tx of open) {
    tx.put('a', VALUE)
    tx.put('b', VALUE)
  }
  // Room for 3 of 6, one of which may have sent half of it.
  const outcomes = await Promise.allSettled(open.map((tx) => tx.get('a')))
  const refused = outcomes.filter((outcome) => outcome.status === 'rejected')
  expect(refused.length).toBeGreaterThanOrEqual(2)
  for (const { reason } of refused)
    expect(reason).toMatchObject({ code: 'Busy', retryable: true, outcome: 'definite' })
  expect(node.count('refusedBusy')).toBeGreaterThanOrEqual(refused.length)

  const endings = await Promise.allSettled(open.map((tx, i) => (i % 2 === 0 ? tx.commit() : tx.abort())))
  expect(endings.some(({ status }) => status === 'fulfilled')).toBe(true)
  await expect.poll(() => node.count('heldBytes')).toBe(0)
  expect(node.count('transactionsOpen')).toBe(0)
})

test('a handed-off write set takes the room of what was sent ahead for it, not twice that', async () => {
  const node = await testNode({ heldBytesMax: 4 * MIB })
  const virga = await node.connect()
  const step = await virga.step(undefined, (tx) => {
    tx.put('a', VALUE)
    tx.put('b', VALUE)
    tx.put('c', 1)
  })
  expect(node.count('heldBytes')).toBeGreaterThan(2 * MIB)
  await virga.commit(step.context)
  expect(node.count('heldBytes')).toBe(0)
})

test('one executor can not take all transactions of the node', async () => {
  const node = await testNode({ transactionsPerSessionMax: 2 })
  const [greedy, other] = [await node.connect(), await node.connect()]
  const open = [await greedy.begin(), await greedy.begin(), await greedy.begin()]
  await expect(open[2]!.get('a')).rejects.toMatchObject({ code: 'Busy' })
  expect(await (await other.begin()).get('a')).toBeUndefined()
  for (const tx of open) await tx.abort()
  expect(await (await greedy.begin()).get('a')).toBeUndefined()
})
