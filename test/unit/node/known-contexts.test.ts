import { expect, test } from 'vitest'
import type { Context } from '../../../src/core/context.js'
import type { TxnId } from '../../../src/core/ids.js'
import { KnownContexts } from '../../../src/node/contexts/known-contexts.js'

const context = (txn: string): Context => ({ txn: txn as TxnId }) as Context
/** Bytes that end in a code of their own. */
const bytesOf = (code: string, length = 100): Buffer =>
  Buffer.from(code.padStart(32, '0').padStart(length, '.'))

test('contexts are known by their bytes until their transaction is settled', () => {
  const known = new KnownContexts()
  const all = { a: context('t1'), b: context('t1'), c: context('t1'), d: context('t2') }
  for (const [code, one] of Object.entries(all)) known.add(bytesOf(code), one)
  expect(known.find(bytesOf('b'))).toBe(all.b)
  expect(known.find(bytesOf('x'))).toBeUndefined()
  known.drop('t1' as TxnId)
  const left = ['a', 'b', 'c', 'd'].map((code) => known.find(bytesOf(code)))
  expect(left).toEqual([undefined, undefined, undefined, all.d])
  known.drop('t1' as TxnId)
  known.drop('t2' as TxnId)
  expect(known.size).toBe(0)
})

test('other bytes with the code of a known context are not that', () => {
  const known = new KnownContexts()
  const bytes = bytesOf('a')
  known.add(bytes, context('t1'))
  for (let at = 0; at < bytes.length; at++) {
    const forged = Buffer.from(bytes)
    forged[at]! ^= 1
    expect(known.find(forged)).toBeUndefined()
  }
  expect(known.find(bytes.subarray(1))).toBeUndefined()
  expect(known.find(Buffer.concat([Buffer.of(0), bytes]))).toBeUndefined()
  expect(known.find(bytes.subarray(90))).toBeUndefined()
  expect(known.find(Buffer.alloc(0))).toBeUndefined()
})

test('what is known is bounded: the least recently used goes, long ones are not kept', () => {
  const known = new KnownContexts()
  known.add(bytesOf('long', 16 * 1024 + 1), context('long'))
  expect(known.size).toBe(0)
  for (let i = 0; i < 1_000; i++) {
    known.add(bytesOf(String(i), 10_000), context(`t${i % 300}`))
    known.find(bytesOf('0', 10_000))
  }
  expect(known.size).toBeLessThanOrEqual((2 * 1024 * 1024) / 10_000)
  expect(known.find(bytesOf('0', 10_000))).toBeDefined()
  expect(known.find(bytesOf('1', 10_000))).toBeUndefined()
  for (let i = 0; i < 300; i++) known.drop(`t${i}` as TxnId)
  expect(known.size).toBe(0)
})
