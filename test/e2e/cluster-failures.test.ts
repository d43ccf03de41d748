/** What a cluster makes of each failure that it is built to stand. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { transactionId } from '../../src/compose/transaction-id.js'
import { type ClusterNode, startCluster, within } from '../support/cluster-processes.js'
import { converged, readAll } from '../support/convergence.js'
import { expectCode, failure } from '../support/failures.js'
import { executorProcess } from '../support/nodes.js'

/** Neither a context nor a decision carries it. */
const LARGE = 'x'.repeat(100_000)
const LEASE_MS = 1_000
const QUICK = { node: { leaseTtlMs: LEASE_MS } }
/** A lapsed lease is noticed, looked after twice, and what is found is published. */
const ADOPTED_MS = 10 * LEASE_MS
/** A client of a node that dies: it need not wait for another one to come. */
const HASTY = { attemptsMax: 1, connectTimeoutMs: 2_000, resolveTimeoutMs: 500 }

type Three = [ClusterNode, ClusterNode, ClusterNode]

test('an executor dies in a function: what it wrote is gone, and the function is run again from its context, on another node', async () => {
  const { nodes } = await startCluster(QUICK)
  const [a, b, c] = nodes as Three
  const root = await a.virga.step(undefined, (tx) => tx.put('root', LARGE))
  const executor = await executorProcess(b.socket)
  await executor.call('resume', 't', 'c', root.context)
  await executor.call('put', 't', 'x', 'of the dead')
  await executor.kill()
  const again = await c.virga.step(root.context, async (tx) => {
    expect(await tx.get('x')).toBeUndefined()
    tx.put('x', 'of the living')
  })
  await a.virga.commit(again.context)
  expect(await converged(nodes, ['root', 'x'])).toEqual([LARGE, 'of the living'])
  await within(5_000, async () => expect(await b.count('transactionsOpen')).toBe(0))
})

test('an executor dies for good: its transaction ends at its deadline, and nothing of it is left on any node', async () => {
  const { nodes } = await startCluster(QUICK)
  const [a, b] = nodes as Three
  const executor = await executorProcess(b.socket)
  const root = await a.virga.step(undefined, (tx) => tx.put('root', LARGE), { deadlineMs: 4_000 })
  await executor.call('resume', 't', 'c', root.context)
  expect(await executor.call('get', 't', 'root')).toEqual(LARGE)
  await executor.kill()
  await within(8_000, async () => {
    for (const node of nodes) {
      expect(await node.count('heldBytes'), node.id).toBe(0)
      expect(await node.count('transactionsOpen'), node.id).toBe(0)
    }
  })
  await expectCode(b.virga.resume(root.context), 'DeadlineExceeded')
  expect(await readAll(b.virga, ['root'])).toEqual([undefined])
})

test('a coordinator dies before the decision: nothing is visible, and a retry on another node commits under the same id', async () => {
  const { nodes } = await startCluster(QUICK)
  const [a, b, c] = nodes as Three
  const id = transactionId('before', Date.now())
  const root = await a.virga.step(undefined, (tx) => tx.put('root', LARGE), { id })
  const branch = await c.virga.step(root.context, (tx) => tx.put('branch', LARGE))
  await b.strike({ operation: 'compareAndSwap', bucket: 'decision/', moment: 'before', fate: 'die' })
  const dying = b.client(HASTY)
  const error = await failure((await dying).commit(branch.context))
  expect(error).toMatchObject({ retryable: true, outcome: 'indefinite' })
  await b.ended()
  for (const { virga } of [a, c])
    expect(await readAll(virga, ['root', 'branch'])).toEqual([undefined, undefined])
  expect(await a.virga.status(id)).toMatchObject({ status: 'open' })
  // The participants still hold what they prepared: the very same context commits.
  expect(await c.virga.commit(branch.context, { result: 'retried' })).toMatchObject({ id, replayed: false })
  await b.restart()
  expect(await converged(nodes, ['root', 'branch'])).toEqual([LARGE, LARGE])
  await within(5_000, async () => {
    for (const node of nodes) expect(await node.count('heldBytes'), node.id).toBe(0)
  })
})

test('a coordinator dies after the decision, before publishing it: others adopt it, and a retry gets the recorded result', async () => {
  const { nodes } = await startCluster(QUICK)
  const [a, b, c] = nodes as Three
  const ids = ['looked up', 'only adopted'].map((name) => transactionId(name, Date.now()))
  for (const [i, id] of ids.entries()) {
    const victim = i === 0 ? b : c
    const root = await a.virga.step(undefined, (tx) => tx.put(`root ${i}`, LARGE), { id })
    await victim.strike({ operation: 'compareAndSwap', bucket: 'decision/', moment: 'after', fate: 'die' })
    const dying = victim.client(HASTY)
    const error = await failure((await dying).commit(root.context, { result: `result ${i}` }))
    expect(error).toMatchObject({ retryable: true, outcome: 'indefinite' })
    await victim.ended()
    if (i === 0) {
      // Who asks for it need not wait until anybody has missed the dead node.
      const again = a.virga.transaction(() => Promise.reject(new Error('ran again')), { id })
      expect(await again).toBe('result 0')
      expect(await a.virga.get('root 0')).toEqual(LARGE)
    }
    const living = nodes.filter((node) => node !== victim)
    await within(ADOPTED_MS, async () => {
      for (const { virga } of living) expect(await virga.get(`root ${i}`)).toEqual(LARGE)
    })
    await victim.restart()
    expect(await converged(nodes, [`root ${i}`])).toEqual([LARGE])
    for (const { virga } of nodes)
      expect(await virga.status(id)).toMatchObject({ status: 'committed', result: `result ${i}` })
  }
})

test('a node is killed within a millisecond of its acknowledgement: the others learn of the commit all the same (scenario 24)', async () => {
  const { nodes } = await startCluster(QUICK)
  const [a, b, c] = nodes as Three
  const keys: string[] = []
  for (let round = 0; round < 4; round++) {
    const key = `k${round}`
    const victim = round % 2 === 0 ? b : c
    const virga = await victim.client()
    await virga.transaction((tx) => tx.put(key, round))
    await victim.kill()
    keys.push(key)
    await within(ADOPTED_MS, async () => expect(await a.virga.get(key)).toBe(round))
    await victim.restart()
  }
  expect(await converged(nodes, keys)).toEqual([0, 1, 2, 3])
})

test('a node is stopped right after its decision, and goes on: nobody waits for it, and nothing is applied twice', async () => {
  const { nodes } = await startCluster(QUICK)
  const [a, b, c] = nodes as Three
  const id = transactionId('stopped', Date.now())
  await b.strike({ operation: 'compareAndSwap', bucket: 'decision/', moment: 'after', fate: 'stop' })
  const committing = b.virga.transaction(
    (tx) => {
      tx.put('x', 'decided')
      return 'first'
    },
    { id },
  )
  await within(5_000, async () => expect(await a.virga.status(id)).toMatchObject({ status: 'committed' }))
  expect(await a.virga.get('x')).toBe('decided')
  await within(ADOPTED_MS, async () => expect(await c.virga.get('x')).toBe('decided'))
  await a.virga.transaction((tx) => tx.put('x', 'newer'))
  await sleep(2 * LEASE_MS)
  b.resume()
  expect(await committing).toBe('first')
  expect(await converged(nodes, ['x'])).toEqual(['newer'])
  expect(await b.virga.transaction(() => 'again', { id })).toBe('first')
})
