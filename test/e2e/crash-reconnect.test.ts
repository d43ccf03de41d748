import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { transactionId } from '../../src/compose/transaction-id.js'
import { VirgaError } from '../../src/errors.js'
import { Dice } from '../support/dice.js'
import { expectCode, failure } from '../support/failures.js'
import { ENGINES, NodeProcess, storageUrl, testClient } from '../support/nodes.js'
import { seedFor } from '../support/seed.js'
import { until } from '../support/until.js'

test.for(ENGINES)(
  'when the node was killed, what was open is lost by name, and the client goes on by itself, on %s',
  async (engine) => {
    const node = await NodeProcess.start({ storage: await storageUrl(engine) })
    const virga = await testClient(node.socket)
    await virga.transaction((tx) => tx.put('x', 'kept'))
    const [read, written] = [await virga.begin(), await virga.begin()]
    await read.get('x')
    written.put('x', 'lost')
    await written.get('y')
    await node.restart()

    // Without any hint to the client that the node is another one now.
    expect(await virga.transaction((tx) => tx.get('x'))).toBe('kept')
    for (const lost of [read.get('x'), written.commit(), read.handoff()]) {
      expect(await failure(lost)).toMatchObject({ code: 'SessionLost', retryable: true })
    }
    expect(await virga.get('x')).toBe('kept')
    // Nobody waits for the end of a transaction that only read, and reads after it may need no message.
    await until('it has ended', async () => (await node.count('transactionsOpen')) === 0)
    expect(await node.count('sessions')).toBe(1)
  },
)

test('without a node each request fails typed and in time, and works again once there is one', async () => {
  const node = await NodeProcess.start({ storage: await storageUrl('lmdb') })
  const hasty = { connectTimeoutMs: 300, attemptsMax: 2 }
  const virga = await until('it has connected', () => testClient(node.socket, hasty).catch(() => undefined))
  const tx = await virga.begin()
  await tx.get('x')
  await node.kill()
  await until('the client noticed', () =>
    tx.get('x').then(
      () => false,
      () => true,
    ),
  )
  const start = performance.now()
  const id = transactionId('none', Date.now())
  for (const request of [
    () => virga.get('x'),
    () => virga.begin(),
    () => virga.transaction(() => 1, { id }),
    () => virga.status(id),
    () => virga.cancel(id),
    () => virga.inspect(),
  ]) {
    expect(await failure(request())).toMatchObject({
      code: 'NodeUnavailable',
      retryable: true,
      outcome: 'definite',
    })
  }
  expect(performance.now() - start).toBeLessThan(6 * 2 * 300 + 2_000)
  const abort = new AbortController()
  const waiting = virga.get('x', { signal: abort.signal })
  abort.abort()
  await expectCode(waiting, 'Interrupted')
  await node.restart()
  await until('it works', () =>
    virga
      .transaction((t) => t.put('x', 1), { id })
      .then(
        () => true,
        () => false,
      ),
  )
  expect(await virga.get('x')).toBe(1)
})

test.for(ENGINES)(
  'a commit in flight while the node is killed gets an answer that stays true, on %s',
  async (engine, context) => {
    const dice = new Dice(seedFor(context))
    const node = await NodeProcess.start({ storage: await storageUrl(engine) })
    const virga = await testClient(node.socket)
    const impatient = await testClient(node.socket, { resolveTimeoutMs: 1 })
    const counts = new Map<string, number>()
    for (let round = 0; round < 12; round++) {
      // Kills meet commits that are not begun, under way and done, however long this disk and this machine take for one.
      const startedAt = performance.now()
      await virga.transaction((tx) => tx.put('up', round))
      const spanMs = 6 + 3 * (performance.now() - startedAt)
      await impatient.transaction((tx) => tx.get('up'))
      const commits = Array.from({ length: 10 }, async (_, i) => {
        const tx = await (i < 5 ? virga : impatient).begin()
        tx.put(`${tx.id} a`, i)
        tx.put(`${tx.id} b`, i)
        await sleep((dice.fraction() * spanMs) / 2)
        const [settled] = await Promise.allSettled([tx.commit({ result: i })])
        return { id: tx.id, i, settled }
      })
      await sleep(dice.fraction() * spanMs)
      await node.restart()
      for (const { id, i, settled } of await Promise.all(commits)) {
        const told = settled.status === 'fulfilled' ? 'committed' : (settled.reason as VirgaError).outcome
        counts.set(told, (counts.get(told) ?? 0) + 1)
        await virga.transaction((tx) => tx.get('up'))
        const { status, result } = await virga.status(id)
        if (told === 'committed') expect({ status, result }).toEqual({ status: 'committed', result: i })
        if (told === 'definite')
          expect(status, String((settled as PromiseRejectedResult).reason)).toBe('open')
        if (settled.status === 'rejected')
          expect(VirgaError.is(settled.reason) && settled.reason.retryable).toBe(true)
        const is = status === 'committed' ? i : undefined
        expect([await virga.get(`${id} a`), await virga.get(`${id} b`)]).toEqual([is, is])
      }
    }
    // Otherwise no kill met a commit, or all did.
    expect([...counts.keys()].sort(), JSON.stringify([...counts])).toContain('committed')
    expect(counts.size, JSON.stringify([...counts])).toBeGreaterThan(1)
  },
)

test.for(ENGINES)(
  'a node that is stopped drains: what is open may end, nothing begins, on %s',
  async (engine) => {
    const node = await NodeProcess.start({ storage: await storageUrl(engine), drainMsMax: 10_000 })
    const virga = await testClient(node.socket, { connectTimeoutMs: 2_000, attemptsMax: 1 })
    const tx = await virga.begin()
    tx.put('x', 'drained')
    await tx.get('y')
    const stopping = node.stop()
    await until('it begins nothing', async () => {
      const begun = await virga.begin()
      const error = await begun.get('x').then(
        () => undefined,
        (reason: unknown) => reason,
      )
      await begun.abort()
      return VirgaError.is(error) && error.code === 'ShuttingDown'
    })
    expect(await tx.commit({ result: 'drained' })).toMatchObject({ replayed: false, result: 'drained' })
    await stopping
    await node.restart()
    const later = await testClient(node.socket)
    expect(await later.get('x')).toBe('drained')
    expect(await virga.transaction((t) => t.get('x'))).toBe('drained')
  },
)
