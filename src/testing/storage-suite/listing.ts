/** Listings, also of buckets that change meanwhile. */
import assert from 'node:assert/strict'
import { B, type Check, entry, ids, key, text } from './kit.js'

export function listing(check: Check): void {
  check('list: nothing in a bucket that never was', async ({ storage }) => {
    await storage.put([entry('k', 'v')])
    assert.deepEqual(await ids(storage, 'nothing/here'), [])
  })

  check('list: 6,000 entries, each once, with and without values', async ({ storage }) => {
    const entries = Array.from({ length: 6_000 }, (_, n) => entry(`entry ${n}`, `value ${n}`))
    await storage.put(entries)
    const seen = new Map<string, string | undefined>()
    for await (const each of storage.list(B, { values: true })) {
      assert.ok(!seen.has(each.id), `${each.id} came twice`)
      seen.set(each.id, text(each.value))
    }
    assert.equal(seen.size, entries.length)
    for (const each of entries) assert.equal(seen.get(each.id), text(each.value))

    const bare = new Set<string>()
    for await (const each of storage.list(B)) {
      assert.ok(!bare.has(each.id), `${each.id} came twice`)
      assert.ok(!('value' in each), 'values were not asked for')
      bare.add(each.id)
    }
    assert.equal(bare.size, entries.length)
  })

  check('list: what is deleted and added meanwhile hides nothing that stays', async ({ storage }) => {
    const stay = Array.from({ length: 3_000 }, (_, n) => `stay ${n}`)
    const go = Array.from({ length: 3_000 }, (_, n) => `go ${n}`)
    await storage.put([...stay, ...go].map((id) => entry(id, id)))
    const seen = new Set<string>()
    let changes: Promise<void>[] = []
    let n = 0
    for await (const each of storage.list(B, { values: true })) {
      assert.ok(!seen.has(each.id), `${each.id} came twice`)
      assert.equal(text(each.value), each.id)
      seen.add(each.id)
      n += 1
      if (n % 10 !== 0) continue
      const from = (n / 10) * 5
      changes.push(
        storage.delete(go.slice(from, from + 5).map(key)),
        storage.put([entry(`new ${n}`, `new ${n}`)]),
      )
      if (n % 500 === 0) {
        await Promise.all(changes)
        changes = []
      }
    }
    await Promise.all(changes)
    for (const id of stay) assert.ok(seen.has(id), `${id} was there all the time and was not listed`)
  })

  check('list: may be left in the middle, and begun again', async ({ storage }) => {
    await storage.put(Array.from({ length: 2_500 }, (_, n) => entry(`entry ${n}`, 'v')))
    for await (const each of storage.list(B)) {
      assert.ok(each.id.startsWith('entry'))
      break
    }
    assert.equal((await ids(storage, B)).length, 2_500)
  })

  check('list: two listings of one bucket do not disturb each other', async ({ storage }) => {
    await storage.put(Array.from({ length: 2_500 }, (_, n) => entry(`entry ${n}`, 'v')))
    const [a, b] = await Promise.all([ids(storage, B), ids(storage, B)])
    assert.equal(a.length, 2_500)
    assert.deepEqual(a, b)
  })
}
