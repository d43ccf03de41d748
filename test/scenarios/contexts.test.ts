import { expect, test } from 'vitest'
import { transactionId } from '../../src/compose/transaction-id.js'
import type { Context, WriteSetBody } from '../../src/core/context.js'
import { type Hlc, hlcAt } from '../../src/core/hlc.js'
import { makeAttempt } from '../../src/core/ids.js'
import type { ErrorCode } from '../../src/errors.js'
import { macOf } from '../../src/platform/mac.js'
import { contextBytes, contextText, decodeContext, encodeContext } from '../../src/wire/context.js'
import { encodeValue } from '../../src/wire/value.js'
import { Dice } from '../support/dice.js'
import { expectCode } from '../support/failures.js'
import { testNode } from '../support/nodes.js'
import { greeted } from '../support/raw-client.js'
import { seedFor } from '../support/seed.js'
import { until } from '../support/until.js'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

test('a context that was tampered with anywhere is refused and counted', async (context) => {
  const dice = new Dice(seedFor(context))
  const node = await testNode()
  const virga = await node.connect()
  const step = await virga.step(undefined, (tx) => tx.put('x', 'y'.repeat(100)))
  const text = step.context
  const changed = [
    // Every character, changed to another one of the alphabet, or to one that is not of it.
    ...Array.from(text, (was, at) => {
      const now = dice.pick([...ALPHABET, '=', '+', '/', ' ', '\n', '\0', 'é'].filter((one) => one !== was))
      return text.slice(0, at) + now + text.slice(at + 1)
    }),
    // Every bit of what it stands for.
    ...Array.from({ length: Math.floor((text.length * 6) / 8) * 8 }, (_, bit) => {
      const bytes = Buffer.from(text, 'base64url')
      bytes[bit >> 3]! ^= 1 << (bit & 7)
      return bytes.toString('base64url')
    }),
    ...Array.from({ length: text.length }, (_, length) => text.slice(0, length)),
    ...[`${text}A`, `A${text}`, `${text}=`, ` ${text}`, text + text, text.replaceAll('-', '+').toUpperCase()],
  ].filter((one) => one !== text)
  for (let from = 0; from < changed.length; from += 200) {
    const some = changed.slice(from, from + 200)
    await Promise.all(some.map((one) => expectCode(virga.resume(one), 'ContextInvalid')))
  }
  // One good context does not carry a bad one.
  await expectCode(virga.resume([text, changed[0]!]), 'ContextInvalid')
  await expectCode(virga.commit([changed[0]!, text]), 'ContextInvalid')
  await until('nothing open', () => node.count('transactionsOpen') === 0)
  // The client itself refuses text that stands for no bytes.
  const isWhole = (one: string): boolean => Buffer.from(one, 'base64url').toString('base64url') === one
  const sent = [...changed, changed[0]!, changed[0]!].filter(isWhole)
  expect(sent.length).toBeGreaterThan(text.length)
  expect(node.count('refusedContexts')).toBe(sent.length)
  expect(node.count('internalErrors')).toBe(0)

  await virga.commit(text)
  expect(await virga.get('x')).toBe('y'.repeat(100))
})

test('a context of another cluster is refused, and so are contexts that do not belong together', async () => {
  const [node, foreign] = [await testNode(), await testNode()]
  const [virga, stranger] = [await node.connect(), await foreign.connect()]
  const [one, two] = [
    await virga.step(undefined, (tx) => tx.put('x', 1)),
    await virga.step(undefined, (tx) => tx.put('x', 2)),
  ]
  await expectCode(stranger.resume(one.context), 'ContextInvalid')
  await expectCode(stranger.commit(one.context), 'ContextInvalid')
  await expectCode(virga.resume([one.context, two.context]), 'ContextMismatch')
  const retried = await virga.step(undefined, (tx) => tx.put('x', 3), { id: one.id })
  await expectCode(virga.resume([one.context, retried.context]), 'ContextMismatch')
  expect(await virga.get('x')).toBeUndefined()
  expect(foreign.count('refusedContexts')).toBe(2)
})

test('past its deadline a context is refused, what it held is let go, and its id commits in a later attempt', async () => {
  const node = await testNode()
  const virga = await node.connect()
  const large = new Uint8Array(100_000)
  const plain = await virga.step(undefined, (tx) => tx.put('x', large), { deadlineMs: 3_000 })
  const durable = await virga.step(undefined, (tx) => tx.put('y', large), {
    deadlineMs: 3_000,
    durable: true,
  })
  const open = await virga.resume(plain.context)
  open.put('z', 1)
  expect(node.count('heldBytes')).toBeGreaterThan(large.length)
  await new Promise((resolve) => setTimeout(resolve, 3_100))
  for (const { context } of [plain, durable]) {
    const error = await expectCode(virga.commit(context), 'DeadlineExceeded')
    expect(error).toMatchObject({ retryable: true, outcome: 'definite' })
  }
  await expectCode(open.get('other'), 'DeadlineExceeded')
  await expectCode(open.commit(), 'DeadlineExceeded')
  await until(
    'all let go',
    () => node.count('heldBytes') + node.count('pins') + node.count('transactionsOpen') === 0,
  )

  const again = await virga.step(undefined, (tx) => tx.put('x', 'again'), { id: plain.id })
  expect(await virga.commit(again.context)).toMatchObject({ id: plain.id, replayed: false })
  expect(await virga.get('x')).toBe('again')
  expect(await virga.get('y')).toBeUndefined()
})

test('where a write set is, is believed of the transaction, attempt and write set alone that a node has put there', async () => {
  const node = await testNode()
  const virga = await node.connect()
  const large = 'y'.repeat(10_000)
  const ids = ['its own', 'another'].map((name) => transactionId(name, Date.now()))
  const [held, other] = [
    await virga.step(undefined, (tx) => tx.put('held', large), { id: ids[0] }),
    await virga.step(undefined, (tx) => tx.put('secret', large), { id: ids[1] }),
  ]
  const raw = await greeted(node.socket)
  const [, , contextKey] = await raw.ask('hello', 'the same one again', 0, '', '')
  const mac = macOf(contextKey as Uint8Array)
  const [mine, theirs] = [held, other].map(({ context }) => decodeContext(contextBytes(context), mac)) as [
    Context,
    Context,
  ]
  const [write, secret] = [mine.lineage[0]!, theirs.lineage[0]!]
  for (const change of [
    { lineage: [secret], heads: [secret.id] },
    { lineage: [{ ...secret, body: write.body }], heads: [secret.id] },
    { lineage: [{ ...write, body: secret.body }] },
    { txn: theirs.txn },
    { txn: theirs.txn, lineage: [secret], heads: [secret.id] },
  ]) {
    const text = contextText(encodeContext({ ...mine, ...change }, mac))
    await expectCode(virga.commit(text), 'ContextInvalid')
  }
  // What a node has proven is passed on by executors, with what they have written.
  const next = await virga.step(held.context, (tx) => tx.put('small', 1))
  await virga.commit(next.context)
  expect([await virga.get('held'), await virga.get('small'), await virga.get('secret')]).toEqual([
    large,
    1,
    undefined,
  ])
})

test('what an executor makes up in a context is held to what it could have sent, and comes to nothing else', async () => {
  const node = await testNode()
  const virga = await node.connect()
  const step = await virga.step(undefined, (tx) => tx.put('x', 'right'))
  const raw = await greeted(node.socket)
  const [, , contextKey] = await raw.ask('hello', 'the same one again', 0, '', '')
  const mac = macOf(contextKey as Uint8Array)
  const context = decodeContext(contextBytes(step.context), mac)
  const writing = (key: string, value: Uint8Array, hlc?: Hlc): Partial<Context> => ({
    lineage: context.lineage.map((writeSet) => ({
      ...writeSet,
      hlc: hlc ?? writeSet.hlc,
      body: { kind: 'inline', writes: new Map([[key, value]]) },
    })),
  })
  const elsewhere = (body: WriteSetBody): Partial<Context> => ({
    lineage: context.lineage.map((writeSet) => ({ ...writeSet, body })),
  })
  const farAhead = hlcAt(Date.now() + 3_600_000)
  const madeUp: readonly (readonly [ErrorCode, Partial<Context>])[] = [
    ['InvalidArgument', writing('', encodeValue('no key'))],
    ['LimitExceeded', writing('x'.repeat(2_000), encodeValue('a long key'))],
    ['LimitExceeded', writing('x', new Uint8Array(17 * 1024 * 1024))],
    ['ContextInvalid', writing('x', encodeValue('of next year'), farAhead)],
    ['ContextInvalid', { attempt: makeAttempt(farAhead, new Uint8Array(5)) }],
    ['InvalidArgument', { deadlineMs: Date.now() + 365 * 86_400_000 }],
    ['SnapshotUnavailable', { cut: new Map([[context.sender, 1_000_000]]) }],
    // A step beyond what is believed, from where the one before has led.
    ['ContextInvalid', writing('x', encodeValue('of later'), hlcAt(Date.now() + 660_000))],
    ['LimitExceeded', writing('x', new Uint8Array(65 * 1024))],
    ['ContextInvalid', { cut: new Map([[context.sender, 0]]) }],
    // Only nodes say where write sets are.
    ['ContextInvalid', elsewhere({ kind: 'held', origin: context.sender })],
    ['ContextInvalid', elsewhere({ kind: 'held', origin: context.sender, proof: new Uint8Array(16) })],
    ['ContextInvalid', elsewhere({ kind: 'durable', blob: `${context.attempt}:v${context.sender}:1` })],
  ]
  for (const [code, change] of madeUp) {
    const text = contextText(encodeContext({ ...context, ...change }, mac))
    await expectCode(virga.commit(text), code)
    // Of which one frame has room for two.
    if (text.length < 1_000_000) await expectCode(virga.commit([text, text]), code)
    expect(await virga.get('x')).toBeUndefined()
  }
  await virga.commit(step.context)
  expect(await virga.get('x')).toBe('right')
  await until('nothing open', () => node.count('transactionsOpen') === 0)
})
