/** A context of the own node is taken up without an answer: what is said of it, and how what went wrong is told. */
import { expect, test } from 'vitest'
import { withCluster } from '../support/cluster-in-process.js'
import { expectCode } from '../support/failures.js'
import { NodeProcess, storageUrl, testClient, testNode } from '../support/nodes.js'

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

test('contexts of a node that was started again are asked about', async () => {
  const node = await NodeProcess.start({ storage: await storageUrl('lmdb') })
  const virga = await testClient(node.socket)
  const small = await virga.step(undefined, (tx) => tx.put('x', 1))
  const large = await virga.step(undefined, (tx) => tx.put('y', LARGE))
  await node.restart()
  await expectCode(virga.resume(large.context), 'WriteSetLost')
  const other = await testClient(node.socket)
  await expectCode(other.resume(large.context), 'WriteSetLost')
  // Its snapshot is of nothing, which every node knows, and its write set travels.
  await other.commit(small.context)
  expect(await other.get('x')).toBe(1)
})
