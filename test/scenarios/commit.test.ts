import { describe, expect, test } from 'vitest'
import { transactionId } from '../../src/compose/transaction-id.js'
import { expectCode, failure } from '../support/failures.js'
import { ENGINES, executorProcess, storageUrl, testNode } from '../support/nodes.js'
import { until } from '../support/until.js'

const LARGE = 100_000

describe.each(ENGINES)('on %s', (engine) => {
  test('scenario 10: nothing is readable before the decision, nor after an abort', async () => {
    const node = await testNode({ storage: await storageUrl(engine) })
    const [writer, reader] = [await node.connect({ spillBytes: 1_000 }), await node.connect()]
    const large = new Uint8Array(LARGE).fill(1)

    const first = await writer.begin()
    first.put('small', 1)
    first.put('spilled', large)
    expect(await first.get('spilled')).toEqual(large)
    const context = await first.handoff({ durable: true })
    const participant = await writer.resume(context)
    participant.put('more', 2)
    const nothing = async (): Promise<void> => {
      for (const consistency of ['read-atomic', 'lww'] as const) {
        await using tx = await reader.begin({ consistency })
        expect(await tx.getMany(['small', 'spilled', 'more'])).toEqual([undefined, undefined, undefined])
      }
    }
    await nothing()
    await participant.abort()
    await nothing()

    // The function that was aborted is run again, and this time commits: then all is there.
    const again = await writer.resume(context)
    again.put('more', 3)
    await again.commit()
    await using tx = await reader.begin()
    expect(await tx.getMany(['small', 'spilled', 'more'])).toEqual([1, large, 3])
  })

  test('scenario 12: what was written reads back byte for byte on every path', async () => {
    const storage = await storageUrl(engine)
    const node = await testNode({ storage, cacheBytesMax: 1_024 })
    const virga = await node.connect({ spillBytes: 50_000 })
    const values: Readonly<Record<string, unknown>> = {
      bytes: Uint8Array.from({ length: 256 }, (_, i) => i),
      noBytes: new Uint8Array(0),
      large: Uint8Array.from({ length: 60_000 }, (_, i) => (i * 31) % 251),
      text: 'a\0b\u{10FFFF}é😀',
      longText: 'é😀'.repeat(6_000),
      numbers: [0, -1, 1.5, 2 ** 53 - 1, -(2 ** 53 - 1), 1e300, -1e-300, 2 ** 31, 2 ** 32],
      big: [2n ** 63n - 1n, -(2n ** 63n), 2n ** 64n - 1n],
      odd: [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
      date: new Date(1_700_000_000_123),
      nested: { list: [{ deep: [[[null]]] }], on: true, off: false, buffer: new Uint8Array([1, 2]) },
      emptyObject: {},
    }
    const keys = Object.keys(values)
    const wanted = Object.values(values)

    const tx = await virga.begin()
    for (const key of keys) tx.put(key, values[key])
    expect(await tx.getMany(keys), 'own write set').toEqual(wanted)
    const context = await tx.handoff()
    const downstream = await virga.resume(context)
    expect(await downstream.getMany(keys), 'upstream').toEqual(wanted)
    const durable = await virga.resume(await downstream.handoff({ durable: true }))
    expect(await durable.getMany(keys), 'upstream, durable').toEqual(wanted)
    await durable.commit()
    await using after = await virga.begin()
    expect(await after.getMany(keys), 'cache and storage').toEqual(wanted)
    for (const key of keys) expect(await virga.get(key), key).toEqual(values[key])
    await node.stop()

    const again = await testNode({ storage, socket: node.socket })
    const client = await again.connect()
    await using restarted = await client.begin()
    expect(await restarted.getMany(keys), 'after a restart').toEqual(wanted)
  })

  test('scenario 15: after an abort, a failed commit and a restart the keys are readable at once', async () => {
    const storage = await storageUrl(engine)
    const node = await testNode({ storage })
    const virga = await node.connect()
    const id = transactionId('failed', Date.now())
    await virga.transaction((tx) => tx.put('x', 'stands'))

    const aborted = await virga.begin()
    aborted.put('x', 'aborted')
    await aborted.abort()
    expect(await virga.get('x')).toBe('stands')

    await virga.cancel(id)
    const failed = await virga.begin({ id })
    failed.put('x', 'failed')
    await expectCode(failed.commit(), 'TransactionAborted')
    expect(await virga.get('x')).toBe('stands')
    await node.stop()

    const again = await testNode({ storage, socket: node.socket })
    const client = await again.connect()
    expect(await client.get('x')).toBe('stands')
    expect(await client.status(id)).toMatchObject({ status: 'aborted' })
    await client.transaction((tx) => tx.put('x', 'next'))
    expect(await client.get('x')).toBe('next')
  })

  test('scenario 17: doubled and unknown commits, aborts and resumes get typed answers', async () => {
    const node = await testNode({ storage: await storageUrl(engine) })
    const virga = await node.connect()
    const id = transactionId('twice', Date.now())

    // Twice from the client's object, and twice from the context.
    const tx = await virga.begin({ id })
    tx.put('x', 1)
    const context = await tx.handoff()
    await expectCode(tx.commit(), 'TransactionClosed')
    await expectCode(tx.handoff(), 'TransactionClosed')
    expect(() => tx.put('x', 2)).toThrow(expect.objectContaining({ code: 'TransactionClosed' }))
    await tx.abort()
    await tx.abort()
    const first = await virga.commit(context, { result: 'first' })
    const second = await virga.commit(context, { result: 'second' })
    expect(first).toMatchObject({ id, replayed: false, result: 'first' })
    expect(second).toMatchObject({ id, replayed: true, result: 'first', session: first.session })
    await expectCode(virga.cancel(id), 'AlreadyCommitted')

    // Begun again: the standing decision is the answer.
    const late = await virga.begin({ id })
    late.put('x', 3)
    expect(await late.commit({ result: 'third' })).toMatchObject({ replayed: true, result: 'first' })
    expect(await virga.get('x')).toBe(1)

    // What is unknown: an id that nobody used, a context that nobody made.
    expect(await virga.status(transactionId('never', Date.now()))).toMatchObject({ status: 'open' })
    await expectCode(virga.resume('bm8gY29udGV4dA'), 'ContextInvalid')
    await expectCode(virga.resume(''), 'ContextInvalid')
    await expectCode(virga.resume([]), 'InvalidArgument')
    await expectCode(virga.status('no id'), 'InvalidArgument')
    await expectCode(virga.begin({ id: 'no id' }), 'InvalidArgument')
    await virga.cancel(transactionId('never begun', Date.now()))
    await virga.cancel(transactionId('never begun', Date.now()))
    const old = transactionId('old', Date.now() - 25 * 3_600_000)
    expect(await virga.status(old)).toMatchObject({ status: 'expired' })
    await expectCode(
      virga.transaction((t) => t.put('x', 4), { id: old }),
      'TransactionExpired',
    )

    // The node lives, and holds nothing of all this.
    await virga.transaction((t) => t.put('x', 5))
    expect(await virga.get('x')).toBe(5)
    await until('nothing open', () => node.count('transactionsOpen') === 0)
  })

  test('scenario 19: after its commit is acknowledged, a client sees it, and so does everyone on the node', async () => {
    const node = await testNode({ storage: await storageUrl(engine) })
    const [virga, other] = [await node.connect(), await node.connect()]
    for (let i = 0; i < 200; i++) {
      const tx = await virga.begin()
      tx.put('x', i)
      const { session } = await tx.commit()
      const mine = virga.get('x')
      const theirs = other.get('x')
      expect(await Promise.all([mine, theirs])).toEqual([i, i])
      await using next = await virga.begin({ after: session })
      expect(await next.get('x')).toBe(i)
    }
  })
})

test('scenario 16: 100 commits and 100 resumes in flight: every answer reaches its own request', async () => {
  const node = await testNode()
  const virga = await node.connect()
  const steps = await Promise.all(
    Array.from({ length: 100 }, (_, i) => virga.step(undefined, (tx) => tx.put(`step ${i}`, i))),
  )
  const commits = Array.from({ length: 100 }, async (_, i) => {
    const tx = await virga.begin()
    tx.put(`commit ${i}`, i)
    const receipt = await tx.commit<number>({ result: i })
    expect(receipt).toMatchObject({ id: tx.id, replayed: false, result: i })
  })
  const resumes = steps.map(async ({ context, id }, i) => {
    const tx = await virga.resume(context)
    expect(tx.id).toBe(id)
    expect(await tx.get(`step ${i}`)).toBe(i)
    expect(await tx.get(`step ${(i + 1) % 100}`)).toBeUndefined()
    expect(await tx.commit({ result: `r${i}` })).toMatchObject({ id, result: `r${i}` })
  })
  await Promise.all([...commits, ...resumes])
  await using all = await virga.begin()
  const numbers = Array.from({ length: 100 }, (_, i) => i)
  expect(await all.getMany(numbers.map((i) => `step ${i}`))).toEqual(numbers)
  expect(await all.getMany(numbers.map((i) => `commit ${i}`))).toEqual(numbers)
})

test('scenario 18: one transaction read and written by two executors at once', async () => {
  const node = await testNode()
  const virga = await node.connect()
  await virga.transaction((tx) => {
    for (let i = 0; i < 50; i++) tx.put(`base ${i}`, 'base')
  })
  const root = await virga.step(undefined, (tx) => tx.put('root', 'root'))
  const executors = [await executorProcess(node.socket), await executorProcess(node.socket)]
  const contexts = await Promise.all(
    executors.map(async (executor, branch) => {
      await executor.call('resume', 't', 'c', root.context)
      for (let i = 0; i < 50; i++) {
        // The other branch's writes are not upstream of this one.
        expect(await executor.call('get', 't', `base ${i}`)).toBe('base')
        await executor.call('put', 't', `base ${i}`, `branch ${branch}`)
        await executor.call('put', 't', `own ${branch} ${i}`, i)
        expect(await executor.call('get', 't', `base ${i}`)).toBe(`branch ${branch}`)
        expect(await executor.call('get', 't', `own ${1 - branch} ${i}`)).toBeUndefined()
        expect(await executor.call('get', 't', 'root')).toBe('root')
      }
      return executor.call<string>('handoff', 't')
    }),
  )
  await expectCode(virga.resume(contexts, { onBranchConflict: 'error' }), 'BranchConflict')
  await using before = await virga.begin()
  expect(await before.get('base 0')).toBe('base')

  const receipt = await virga.commit(contexts, { result: 'joined' })
  expect(receipt).toMatchObject({ id: root.id, result: 'joined' })
  await using tx = await virga.begin()
  const keys = Array.from({ length: 50 }, (_, i) => i)
  const bases = await tx.getMany(keys.map((i) => `base ${i}`))
  // The branch that was sealed later wins, on every key.
  expect(new Set(bases).size).toBe(1)
  expect(['branch 0', 'branch 1']).toContain(bases[0])
  for (const branch of [0, 1]) expect(await tx.getMany(keys.map((i) => `own ${branch} ${i}`))).toEqual(keys)
  expect(await before.get('base 0')).toBe('base')
})

test('scenario 20: read-only and aborted transactions and DAGs leave nothing behind', async () => {
  // What there is before stays in the history: nothing is collected meanwhile.
  const node = await testNode({ collectEveryMs: 60_000 })
  const virga = await node.connect({ spillBytes: 1_000 })
  await virga.transaction((tx) => tx.put('x', 1))
  const before = node.inspect()

  for (let i = 0; i < 50; i++) {
    const read = await virga.begin()
    await read.get('x')
    expect(await read.commit()).toMatchObject({ replayed: false, session: undefined })
    const step = await virga.step(undefined, (tx) => tx.get('x'))
    await virga.commit(step.context)
    const aborted = await virga.begin()
    aborted.put('x', new Uint8Array(LARGE))
    await aborted.get('x')
    await aborted.abort()
    await failure(virga.step(step.context, () => Promise.reject(new Error('thrown'))).catch(asInternal))
    const large = await virga.step(undefined, (tx) => tx.put('x', new Uint8Array(LARGE)), {
      durable: i % 2 === 0,
    })
    await virga.cancel(large.id)
  }
  await until('nothing open', () => node.count('transactionsOpen') === 0)
  await until('no write sets held', () => node.count('heldBytes') === 0 && node.count('pins') === 0)
  for (const gauge of ['versions', 'keys', 'decisions', 'sessions']) {
    expect(node.inspect()[gauge], gauge).toBe(before[gauge])
  }
  expect(await virga.get('x')).toBe(1)

  async function asInternal(error: unknown): Promise<never> {
    expect(error).toMatchObject({ message: 'thrown' })
    const { VirgaError } = await import('../../src/errors.js')
    throw new VirgaError('Internal', 'thrown')
  }
})

test('scenario 21: a function that throws commits nothing, and a late answer answers no other request', async () => {
  const node = await testNode()
  const virga = await node.connect()
  const id = transactionId('throws', Date.now())
  const thrown = new Error('of the function')
  let runs = 0
  const run = virga.transaction(
    async (tx) => {
      runs++
      tx.put('x', 1)
      await tx.get('y')
      throw thrown
    },
    { id },
  )
  await expect(run).rejects.toBe(thrown)
  expect(runs).toBe(1)
  expect(await virga.get('x')).toBeUndefined()
  expect(await virga.status(id)).toMatchObject({ status: 'open' })
  expect(await virga.transaction((tx) => tx.put('x', 2), { id })).toBeUndefined()
  expect(await virga.get('x')).toBe(2)

  // Time-outs shorter than the node's stall: what is answered late must find nobody.
  const executor = await executorProcess(node.socket, { requestTimeoutMs: 1_000 })
  await virga.transaction((tx) => {
    for (let i = 0; i < 100; i++) tx.put(`k${i}`, i)
  })
  const asked = executor.call('read', 'c', 'k0')
  const stallUntil = performance.now() + 2_000
  while (performance.now() < stallUntil);
  await expectCode(asked, 'Timeout')
  for (let i = 1; i < 100; i++) expect(await executor.call('read', 'c', `k${i}`)).toBe(i)
  await until('nothing open', () => node.count('transactionsOpen') === 0)
})
