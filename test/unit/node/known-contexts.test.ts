import { expect, test } from 'vitest'
import type { Context } from '../../../src/core/context.js'
import type { TxnId } from '../../../src/core/ids.js'
import { KnownContexts } from '../../../src/node/contexts/known-contexts.js'

const context = (txn: string): Context => ({ txn: txn as TxnId }) as Context

test('contexts are known by their texts until their transaction is settled', () => {
  const known = new KnownContexts()
  const [a, b, c, d] = [context('t1'), context('t1'), context('t1'), context('t2')]
  for (const [text, one] of Object.entries({ a, b, c, d })) known.add(text, one)
  expect(known.find('b')).toBe(b)
  expect(known.find('x')).toBeUndefined()
  known.drop('t1' as TxnId)
  expect(['a', 'b', 'c', 'd'].map((text) => known.find(text))).toEqual([undefined, undefined, undefined, d])
  known.drop('t1' as TxnId)
  known.drop('t2' as TxnId)
  expect(known.size).toBe(0)
})

test('what is known is bounded: the least recently used goes, long ones are not kept', () => {
  const known = new KnownContexts()
  known.add('x'.repeat(16 * 1024 + 1), context('long'))
  expect(known.size).toBe(0)
  for (let i = 0; i < 1_000; i++) {
    known.add(String(i).padStart(10_000), context(`t${i % 300}`))
    known.find(String(0).padStart(10_000))
  }
  expect(known.size).toBeLessThanOrEqual((2 * 1024 * 1024) / 10_000)
  expect(known.find(String(0).padStart(10_000))).toBeDefined()
  expect(known.find(String(1).padStart(10_000))).toBeUndefined()
  for (let i = 0; i < 300; i++) known.drop(`t${i}` as TxnId)
  expect(known.size).toBe(0)
})
