import { expect, test } from 'vitest'
import { macOf } from '../../src/platform/mac.js'
import { decodeSealed, encodeContext } from '../../src/wire/context.js'
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
  expect(node.count('refusedContexts')).toBe(changed.length + 2)
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
  const plain = await virga.step(undefined, (tx) => tx.put('x', large), { deadlineMs: 300 })
  const durable = await virga.step(undefined, (tx) => tx.put('y', large), { deadlineMs: 300, durable: true })
  const open = await virga.resume(plain.context)
  open.put('z', 1)
  expect(node.count('heldBytes')).toBeGreaterThan(large.length)
  await new Promise((resolve) => setTimeout(resolve, 350))
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

test('what an executor forges, who has the key of the seal, is refused by the node before anything comes of it', async () => {
  const node = await testNode()
  const virga = await node.connect()
  await virga.transaction((tx) => tx.put('y', 'old'))
  const step = await virga.step(undefined, (tx) => tx.put('x', 'right'))
  const raw = await greeted(node.socket)
  const [, , sealKey] = await raw.ask('hello', 'the same one again', 0, '', '')
  const seal = macOf(sealKey as Uint8Array)
  const context = decodeSealed(step.context, seal)!
  const lineage = context.lineage.map((writeSet) => ({
    ...writeSet,
    body: { kind: 'inline' as const, writes: new Map([['x', encodeValue('forged')]]) },
  }))
  const guessed = { mac: macOf(Buffer.from('a guess')), seal, sealKey: sealKey as Uint8Array }
  const forged = encodeContext({ ...context, lineage }, guessed)

  for (const end of ['get', 'handoff', 'commit'] as const) {
    const tx = await virga.resume(forged)
    // Whoever has the socket could have written and handed it off as well.
    expect(await tx.get('x')).toBe('forged')
    await expectCode(end === 'get' ? tx.get('y') : tx[end](), 'ContextInvalid')
    await tx.abort()
  }
  await expectCode(virga.commit(forged), 'ContextInvalid')
  expect(node.count('refusedContexts')).toBe(4)
  expect(await virga.get('x')).toBeUndefined()
  await virga.commit(step.context)
  expect(await virga.get('x')).toBe('right')
  await until('nothing open', () => node.count('transactionsOpen') === 0)
})
