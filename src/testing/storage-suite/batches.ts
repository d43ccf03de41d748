/** Reading, writing and deleting batches. */
import assert from 'node:assert/strict'
import { B, bytes, type Check, entry, ids, key, one, standing, text } from './kit.js'

export function readsAndWrites(check: Check): void {
  check('get: values in the order of the keys, duplicates and absent ones included', async ({ storage }) => {
    await storage.put([entry('a', 'A'), entry('b', 'B'), entry('c', 'C')])
    const found = await storage.get(['c', 'nothing', 'a', 'c', 'b', 'a'].map((id) => ({ bucket: B, id })))
    assert.deepEqual(found.map(text), ['C', undefined, 'A', 'C', 'B', 'A'])
  })

  check('get, put and delete of nothing', async ({ storage }) => {
    assert.deepEqual(await storage.get([]), [])
    await storage.put([])
    await storage.delete([])
  })

  check('put replaces, delete removes, and deleting what is absent is no error', async ({ storage }) => {
    await storage.put([entry('a', 'one')])
    await storage.put([entry('a', 'two')])
    assert.equal(text(await one(storage, 'a')), 'two')
    await storage.delete([key('a'), key('never was'), key('a')])
    assert.equal(await one(storage, 'a'), undefined)
    await storage.delete([key('a')])
  })

  check('an empty value is not an absent one', async ({ storage }) => {
    await storage.put([entry('put', '')])
    assert.equal((await one(storage, 'put'))?.byteLength, 0)
    assert.deepEqual(await storage.compareAndSwap(key('swapped'), undefined, bytes('')), { swapped: true })
    assert.equal((await one(storage, 'swapped'))?.byteLength, 0)

    const empty = await storage.compareAndSwap(key('swapped'), undefined, bytes('x'))
    assert.equal(empty.swapped, false)
    assert.equal(standing(empty)?.byteLength, 0)
    const absent = await storage.compareAndSwap(key('absent'), bytes(''), bytes('x'))
    assert.equal(absent.swapped, false)
    assert.equal(standing(absent), undefined)
    assert.equal(await one(storage, 'absent'), undefined)
    assert.deepEqual(await storage.compareAndSwap(key('put'), bytes(''), bytes('full')), { swapped: true })
    assert.equal(text(await one(storage, 'put')), 'full')
    assert.deepEqual(await storage.compareAndSwap(key('put'), bytes('full'), bytes('')), { swapped: true })
    assert.deepEqual(await storage.compareAndSwap(key('put'), bytes(''), undefined), { swapped: true })
    assert.equal(await one(storage, 'put'), undefined)
  })

  check('a batch of thousands over many buckets', async ({ storage }) => {
    const entries = Array.from({ length: 6_000 }, (_, n) => ({
      bucket: `base/${n % 48}`,
      id: `key ${n}`,
      value: bytes(`value ${n}`),
    }))
    await storage.put(entries)
    const found = await storage.get(entries)
    assert.deepEqual(
      found.map(text),
      entries.map((each) => text(each.value)),
    )
    await storage.delete(entries.filter((_, n) => n % 2 === 0))
    const left = await storage.get(entries)
    assert.deepEqual(
      left.map(text),
      entries.map((each, n) => (n % 2 === 0 ? undefined : text(each.value))),
    )
  })

  check(
    'a write that was acknowledged is seen by the next read, 500 of them at once',
    async ({ storage }) => {
      const runs = Array.from({ length: 500 }, async (_, n) => {
        const id = `n${n}`
        await storage.compareAndSwap(key(id), undefined, bytes(`${n}`))
        assert.equal(text(await one(storage, id)), `${n}`)
        await storage.put([entry(id, `${n} again`)])
        assert.equal(text(await one(storage, id)), `${n} again`)
        await storage.delete([key(id)])
        assert.equal(await one(storage, id), undefined)
      })
      await Promise.all(runs)
    },
  )

  check('buckets are apart, also where one is the beginning of another', async ({ storage }) => {
    const buckets = ['base', 'base/', 'base/1', 'base/10', 'base-1', 'bas', 'b', 'base/1/0']
    await storage.put(buckets.map((bucket) => ({ bucket, id: 'same', value: bytes(bucket) })))
    await storage.put(buckets.map((bucket) => ({ bucket, id: `/${bucket}`, value: bytes('x') })))
    for (const bucket of buckets) {
      assert.equal(text((await storage.get([{ bucket, id: 'same' }]))[0]), bucket)
      assert.deepEqual(await ids(storage, bucket), [`/${bucket}`, 'same'])
    }
    await storage.delete([{ bucket: 'base/1', id: 'same' }])
    assert.equal(text((await storage.get([{ bucket: 'base/10', id: 'same' }]))[0]), 'base/10')
    assert.deepEqual(await ids(storage, 'base/1'), ['/base/1'])
  })
}
