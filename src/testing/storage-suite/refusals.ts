/** What must be refused, and closing. */
import assert from 'node:assert/strict'
import { B, bytes, type Check, entry, ids, key, one, refused } from './kit.js'

export function refusals(check: Check): void {
  check('wrong arguments: refused, definite, and nothing written', async ({ storage }) => {
    const wrong = [
      { bucket: '', id: 'k' },
      { bucket: 'Upper', id: 'k' },
      { bucket: 'with space', id: 'k' },
      { bucket: 'a:b', id: 'k' },
      { bucket: 'a{b}', id: 'k' },
      { bucket: 'nul\0', id: 'k' },
      { bucket: 'line\n', id: 'k' },
      { bucket: 'b'.repeat(65), id: 'k' },
      { bucket: B, id: '' },
      { bucket: B, id: '\ud800' },
      { bucket: B, id: 'a\udc00b' },
      { bucket: B, id: 'x'.repeat(1_201) },
      { bucket: B, id: '漢'.repeat(401) },
    ]
    const good = entry('good', 'v')
    for (const bad of wrong) {
      await refused(storage.get([good, bad]), 'InvalidArgument', 'LimitExceeded')
      await refused(storage.put([good, { ...bad, value: bytes('v') }]), 'InvalidArgument', 'LimitExceeded')
      await refused(storage.delete([good, bad]), 'InvalidArgument', 'LimitExceeded')
      await refused(storage.compareAndSwap(bad, undefined, bytes('v')), 'InvalidArgument', 'LimitExceeded')
    }
    await refused(storage.put([{ ...key('k'), value: 'text' as unknown as Uint8Array }]), 'InvalidArgument')
    await refused(ids(storage, 'Not A Bucket'), 'InvalidArgument')
    assert.deepEqual(await ids(storage, B), [])
    assert.deepEqual(
      await storage.compareAndSwap({ bucket: 'b'.repeat(64), id: 'x' }, undefined, bytes('v')),
      { swapped: true },
    )
  })

  check('a value over the limit is refused', async ({ storage }) => {
    const large = new Uint8Array(64 * 1024 * 1024 + 1)
    await refused(storage.put([{ ...key('k'), value: large }]), 'LimitExceeded')
    await refused(storage.compareAndSwap(key('k'), undefined, large), 'LimitExceeded')
    assert.equal(await one(storage, 'k'), undefined)
  })

  check('close: waits for what is under way, then everything is Closed', async ({ storage }) => {
    await storage.put([entry('k', 'v'), entry('l', 'v')])
    const listing = storage.list(B)[Symbol.asyncIterator]()
    await listing.next()
    const underWay = [
      storage.compareAndSwap(key('swap'), undefined, bytes('v')),
      storage.put([entry('put', 'v')]),
      storage.get([key('k')]),
    ]
    const closing = storage.close()
    for (const result of await Promise.allSettled(underWay)) assert.equal(result.status, 'fulfilled')
    await closing
    await refused(storage.get([key('k')]), 'Closed')
    await refused(storage.get([]), 'Closed')
    await refused(storage.put([entry('k', 'v')]), 'Closed')
    await refused(storage.compareAndSwap(key('k'), undefined, bytes('v')), 'Closed')
    await refused(storage.delete([key('k')]), 'Closed')
    await refused(ids(storage, B), 'Closed')
    await refused(listing.next(), 'Closed')
    await storage.close()
    await Promise.all([storage.close(), storage.close()])
  })

  check('durability: one line that says what a commit survives', async ({ storage }) => {
    assert.match(storage.durability, /^\S[^\n]{9,}$/)
  })
}
