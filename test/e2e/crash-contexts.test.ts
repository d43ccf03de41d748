import { describe, expect, test } from 'vitest'
import type { Virga } from '../../src/client/virga.js'
import { expectCode } from '../support/failures.js'
import { ENGINES, NodeProcess, storageUrl, testClient } from '../support/nodes.js'

const LARGE = new Uint8Array(100_000).fill(5)

function write(virga: Virga, entries: Readonly<Record<string, unknown>>): Promise<void> {
  return virga.transaction((tx) => {
    for (const [key, value] of Object.entries(entries)) tx.put(key, value)
  })
}

describe.each(ENGINES)('contexts and a node that is killed, on %s', (engine) => {
  test('a durable context reads the same snapshot, whatever was committed before and after the crashes', async () => {
    const node = await NodeProcess.start({ storage: await storageUrl(engine) })
    const virga = await testClient(node.socket)
    await write(virga, { a: 'old', b: 'old', deleted: 'old' })
    const step = await virga.step(
      undefined,
      async (tx) => {
        expect(await tx.get('a')).toBe('old')
        tx.put('small', 1)
        tx.put('large', LARGE)
      },
      { durable: true },
    )
    const keys = ['a', 'b', 'deleted', 'later', 'small', 'large']
    const snapshot = ['old', 'old', 'old', undefined, 1, LARGE]
    await write(virga, { a: 'before the crash', later: 'before the crash' })

    let context = step.context
    for (let crash = 1; crash <= 3; crash++) {
      await node.restart()
      await write(virga, { a: `after crash ${crash}`, b: `after crash ${crash}` })
      await virga.transaction((tx) => tx.delete('deleted'))
      const tx = await virga.resume(context)
      expect(await tx.getMany(keys), `crash ${crash}`).toEqual(snapshot)
      tx.put(`crash ${crash}`, crash)
      context = await tx.handoff({ durable: true })
    }
    // A context whose function failed is as good as before: the oldest one still works.
    await using again = await virga.resume(step.context)
    expect(await again.getMany([...keys, 'crash 1'])).toEqual([...snapshot, undefined])

    await node.restart()
    const receipt = await virga.commit(context, { result: 'done' })
    expect(receipt).toMatchObject({ id: step.id, replayed: false, result: 'done' })
    await using tx = await virga.begin()
    expect(await tx.getMany(['crash 1', 'crash 2', 'crash 3', 'small', 'large', 'a', 'deleted'])).toEqual([
      ...[1, 2, 3, 1, LARGE],
      'after crash 3',
      undefined,
    ])
    await node.restart()
    expect(await virga.commit(context, { result: 'twice' })).toMatchObject({ replayed: true, result: 'done' })
  })

  test('a plain context does not outlive its node, and says so in a way that a retry mends', async () => {
    const node = await NodeProcess.start({ storage: await storageUrl(engine) })
    const virga = await testClient(node.socket)
    await write(virga, { a: 'old' })
    const small = await virga.step(undefined, (tx) => tx.put('small', 1))
    const large = await virga.step(undefined, (tx) => tx.put('large', LARGE))
    const joined = await virga.step(large.context, (tx) => tx.put('more', 2))
    await node.restart()
    for (const context of [small.context, large.context, joined.context, [large.context, joined.context]]) {
      const error = await expectCode(readAgain(virga, context), 'SnapshotUnavailable', 'WriteSetLost')
      expect(error).toMatchObject({ retryable: true, outcome: 'definite' })
    }
    const again = await virga.step(undefined, (tx) => tx.put('large', LARGE), { id: large.id })
    await virga.commit(again.context)
    expect(await virga.get('large')).toEqual(LARGE)
    expect(await virga.get('more')).toBeUndefined()
  })
})

/** Resumed and read from, where the client may not have heard yet that the node is another one. */
async function readAgain(virga: Virga, context: string | readonly string[]): Promise<unknown> {
  await virga.transaction((tx) => tx.get('a'))
  return virga.step(context, (tx) => tx.get('a'))
}
