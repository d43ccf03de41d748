import { join } from 'node:path'
import { expect, test } from 'vitest'
import { NodeProcess, storageUrl, testClient, testNode } from '../support/nodes.js'
import { tempFolder } from '../support/temp.js'

const LARGE = 'x'.repeat(10_000)

test('a DAG whose commit is retried gets the first result, though the write sets it was made of are gone', async () => {
  const virga = await (await testNode()).connect()
  const step = await virga.step(undefined, (tx) => tx.put('a', LARGE))
  const first = await virga.commit(step.context, { result: 1 })
  const second = await virga.commit(step.context, { result: 2 })
  expect(second).toMatchObject({ id: first.id, replayed: true, result: 1 })
  await expect(virga.resume(step.context).then((tx) => tx.get('a'))).rejects.toMatchObject({
    code: 'AlreadyCommitted',
    retryable: false,
  })
  expect((await virga.inspect()).transactionsOpen).toBe(0)
})

test('the same after the node was restarted, from a context that travelled whole', async () => {
  const storage = `lmdb:${join(tempFolder(), 'data')}`
  const node = await NodeProcess.start({ storage })
  const virga = await testClient(node.socket)
  const step = await virga.step(undefined, (tx) => tx.put('a', 1))
  await virga.commit(step.context, { result: 1 })
  await node.restart()
  expect(await virga.commit(step.context, { result: 2 })).toMatchObject({ replayed: true, result: 1 })
})

test('what may be asked twice is asked again when the node went away under it', async () => {
  const node = await NodeProcess.start({ storage: await storageUrl('lmdb') })
  const virga = await testClient(node.socket)
  await virga.transaction((tx) => tx.put('a', 1))
  for (let round = 0; round < 5; round++) {
    // Asked while the node is there, answered by its next incarnation.
    const asked = Promise.all([virga.get('a'), virga.inspect(), virga.get('a')])
    await node.restart()
    const askedLater = virga.get('a')
    expect((await asked)[0]).toBe(1)
    expect(await askedLater).toBe(1)
  }
})

test('what belongs to the begin of a DAG is refused where a step resumes', async () => {
  const virga = await (await testNode()).connect()
  const { context } = await virga.step(undefined, (tx) => tx.put('a', 1), { deadlineMs: 60_000 })
  for (const options of [
    { deadlineMs: 1_000 },
    { consistency: 'lww' as const },
    { after: 'x' },
    { id: 'x' },
  ]) {
    await expect(virga.step(context, () => 1, options)).rejects.toMatchObject({ code: 'InvalidArgument' })
  }
  expect(await virga.commit(context)).toMatchObject({ replayed: false })
})
