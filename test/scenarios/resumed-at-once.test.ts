/** A context is taken up without an answer: what is said of it, and how what went wrong is told. */
import { expect, test } from 'vitest'
import { transactionId } from '../../src/compose/transaction-id.js'
import { withCluster } from '../support/cluster-in-process.js'
import { type ClusterNode, startCluster } from '../support/cluster-processes.js'
import { converged } from '../support/convergence.js'
import { expectCode } from '../support/failures.js'
import { NodeProcess, storageUrl, testClient, testNode } from '../support/nodes.js'
import { until } from '../support/until.js'

const LARGE = 'y'.repeat(10_000)

test('a hop sends nothing before it has something to say, and reads the snapshot and what was written upstream', async () => {
  await withCluster(async (cluster) => {
    await cluster.boot()
    const [virga, next] = [cluster.client(), cluster.client()]
    await cluster.until(virga.transaction((tx) => ['a', 'b', 'c'].forEach((key, i) => void tx.put(key, i))))
    // What is asked for is in the view from then on.
    await cluster.until(Promise.all(['a', 'b', 'c'].map((key) => virga.get(key))))
    await cluster.clock.advance(100)
    const { context } = await cluster.until(
      virga.step(undefined, (tx) => {
        tx.put('small', 1)
        tx.delete('b')
        tx.put('large', LARGE)
      }),
    )
    await cluster.until(virga.transaction((tx) => tx.put('a', 'later')))
    const asked = async (): Promise<number> => (await cluster.until(virga.inspect())).requests as number
    const before = await asked()
    const tx = await next.resume(context)
    expect(await tx.getMany(['a', 'c'])).toEqual([0, 2])
    // The write set is too large for the context, which names its keys.
    expect(await asked()).toBe(before + 1)
    expect(await cluster.until(tx.getMany(['small', 'b', 'large', 'a']))).toEqual([1, undefined, LARGE, 0])
    expect(await asked()).toBe(before + 4) // Of which two ask for the count.
    tx.put('a', 'mine')
    await cluster.until(tx.commit())
    expect(await asked()).toBe(before + 6)
    expect(await cluster.until(virga.get('large'))).toBe(LARGE)
  })
})

test('a DAG that has committed is told of by what follows: a commit gets its result, all else AlreadyCommitted', async () => {
  const node = await testNode()
  const [virga, other] = [await node.connect(), await node.connect()]
  const { context, id } = await virga.step(undefined, (tx) => tx.put('x', LARGE))
  const early = await other.resume(context)
  const receipt = await virga.commit(context, { result: 'first' })
  expect(receipt).toMatchObject({ id, replayed: false })
  // What the node held of it is gone.
  await expectCode(early.get('x'), 'AlreadyCommitted')
  await expectCode((await other.resume(context)).handoff(), 'AlreadyCommitted')
  expect(await early.commit({ result: 'second' })).toEqual({ ...receipt, replayed: true })
  expect(await other.commit(context, { result: 'third' })).toEqual({
    ...receipt,
    replayed: true,
    result: 'first',
  })
  expect(await virga.get('x')).toBe(LARGE)
})

test('contexts of a node that was started again: what was lost with it is told by what needs the node', async () => {
  const node = await NodeProcess.start({ storage: await storageUrl('lmdb') })
  const virga = await testClient(node.socket)
  const small = await virga.step(undefined, (tx) => tx.put('x', 1))
  const large = await virga.step(undefined, (tx) => tx.put('y', LARGE))
  await node.restart()
  const other = await testClient(node.socket)
  for (const client of [virga, other]) {
    const tx = await client.resume(large.context)
    await expectCode(tx.get('y'), 'WriteSetLost')
    await expectCode(tx.get('z'), 'WriteSetLost')
    await expectCode(tx.commit(), 'WriteSetLost')
  }
  // Its snapshot is of nothing, which every node knows, and its write set travels.
  await other.commit(small.context)
  expect(await other.get('x')).toBe(1)
})

test('a hop to another node sends nothing before it has something to say; with the first answer it reads in the view there', async () => {
  const { nodes } = await startCluster({ nodes: 2 })
  const [here, there] = nodes as [ClusterNode, ClusterNode]
  const keys = ['a', 'b', 'c', 'd']
  await here.virga.transaction((tx) => keys.forEach((key, i) => void tx.put(key, i)))
  await converged(nodes, keys)
  const { context } = await here.virga.step(undefined, (tx) => {
    tx.put('small', 1)
    tx.delete('d')
  })
  // What the hop must not see.
  await here.virga.transaction((tx) => keys.forEach((key) => void tx.put(key, 'later')))
  await converged(nodes, keys)
  await until('the view holds them there', async () => {
    const before = await there.count('requests')
    await there.virga.transaction((tx) => tx.getMany(keys))
    return (await there.count('requests')) === before
  })

  const before = await there.count('requests')
  const tx = await there.virga.resume(context)
  expect(await tx.getMany(['small', 'd'])).toEqual([1, undefined])
  expect(await there.count('requests')).toBe(before)
  expect(await tx.get('a')).toBe(0)
  expect(await there.count('requests'), 'the resume and the read').toBe(before + 2)
  expect(await tx.getMany(['b', 'small', 'a', 'd'])).toEqual([1, 1, 0, undefined])
  expect(await there.count('requests')).toBe(before + 2)
  tx.put('c', 'mine')
  await tx.commit()
  expect(await converged(nodes, ['a', 'c', 'd', 'small'])).toEqual(['later', 'mine', undefined, 1])
})

test('a transaction whose id is looked up first reads in the view from then on', async () => {
  await withCluster(async (cluster) => {
    await cluster.boot()
    const virga = cluster.client()
    await cluster.until(virga.transaction((tx) => ['a', 'b'].forEach((key, i) => void tx.put(key, i))))
    await cluster.until(Promise.all(['a', 'b'].map((key) => virga.get(key))))
    await cluster.clock.advance(100)
    const asked = async (): Promise<number> => (await cluster.until(virga.inspect())).requests as number
    const before = await asked()
    const id = transactionId('once', cluster.clock.now())
    const read = virga.transaction((tx) => tx.getMany(['a', 'b', 'a']), { id })
    expect(await cluster.until(read)).toEqual([0, 1, 0])
    // The begin, the commit, and the count.
    expect(await asked()).toBe(before + 3)
  })
})
