/**
 * The contract of `Storage` (DESIGN.md, part 9) as tests that any engine can be put through, under any runner.
 *
 * ```ts
 * import { test } from 'vitest'
 * storageSuite({ test, fixture: async () => ({ storage: createMemoryStorage() }) })
 * ```
 */
import assert from 'node:assert/strict'
import { VirgaError } from '../errors.js'
import type { CompareAndSwapResult, Storage } from '../ports/storage.js'

export interface StorageFixture {
  /** Empty, and nobody else's. The suite closes it. */
  readonly storage: Storage
  /** Opens the same data once more, as another process would. The suite closes what it opens. */
  readonly another?: () => Promise<Storage>
  /** After everything was closed, also when the test failed. */
  readonly dispose?: () => Promise<void>
}

export interface StorageSuiteOptions {
  /** As of vitest, `node:test`, mocha. */
  readonly test: (name: string, run: () => Promise<void>) => unknown
  /** Called once for each test. */
  readonly fixture: () => Promise<StorageFixture>
  /** The fixture has `another`: adds the tests of two instances over one data. */
  readonly shared?: boolean
}

interface Context {
  readonly storage: Storage
  readonly another: () => Promise<Storage>
}

const B = 'decision/29384756/0'

export function storageSuite({ test, fixture, shared = false }: StorageSuiteOptions): void {
  const check = (name: string, run: (context: Context) => Promise<void>): void => {
    test(name, async () => {
      const made = await fixture()
      const opened: Storage[] = [made.storage]
      const another = async (): Promise<Storage> => {
        assert.ok(made.another, 'a shared fixture must have `another`')
        const storage = await made.another()
        opened.push(storage)
        return storage
      }
      try {
        await run({ storage: made.storage, another })
      } finally {
        await Promise.all(opened.map((storage) => storage.close()))
        await made.dispose?.()
      }
    })
  }

  readsAndWrites(check)
  compareAndSwap(check)
  nastyKeys(check)
  values(check)
  listing(check)
  refusals(check)
  if (shared) sharing(check)
}

type Check = (name: string, run: (context: Context) => Promise<void>) => void

function readsAndWrites(check: Check): void {
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

function compareAndSwap(check: Check): void {
  check('compareAndSwap: from absent, to another value, to absent', async ({ storage }) => {
    assert.deepEqual(await storage.compareAndSwap(key('k'), undefined, bytes('1')), { swapped: true })
    const refused = await storage.compareAndSwap(key('k'), undefined, bytes('2'))
    assert.equal(refused.swapped, false)
    assert.equal(text(standing(refused)), '1')
    assert.deepEqual(await storage.compareAndSwap(key('k'), bytes('1'), bytes('2')), { swapped: true })
    assert.equal(text(await one(storage, 'k')), '2')
    const stale = await storage.compareAndSwap(key('k'), bytes('1'), undefined)
    assert.equal(stale.swapped, false)
    assert.equal(text(standing(stale)), '2')
    assert.deepEqual(await storage.compareAndSwap(key('k'), bytes('2'), undefined), { swapped: true })
    assert.equal(await one(storage, 'k'), undefined)
    const gone = await storage.compareAndSwap(key('k'), bytes('2'), bytes('3'))
    assert.equal(gone.swapped, false)
    assert.equal(standing(gone), undefined)
    assert.deepEqual(await storage.compareAndSwap(key('k'), undefined, bytes('4')), { swapped: true })
  })

  check('compareAndSwap: from absent to absent tells what stands and writes nothing', async ({ storage }) => {
    assert.deepEqual(await storage.compareAndSwap(key('k'), undefined, undefined), { swapped: true })
    assert.deepEqual(await ids(storage, B), [])
    await storage.put([entry('k', 'here')])
    assert.equal(text(standing(await storage.compareAndSwap(key('k'), undefined, undefined))), 'here')
    assert.equal(text(await one(storage, 'k')), 'here')
  })

  check('compareAndSwap: compares all the bytes, and nothing but the bytes', async ({ storage }) => {
    const stored = new Uint8Array([0, 255, 0, 13, 10, 0])
    await storage.put([{ ...key('k'), value: stored }])
    const near = [
      [],
      [0],
      [0, 255, 0, 13, 10],
      [0, 255, 0, 13, 10, 0, 0],
      [0, 255, 0, 13, 10, 1],
      [1, 255, 0, 13, 10, 0],
    ]
    for (const wrong of near) {
      const result = await storage.compareAndSwap(key('k'), new Uint8Array(wrong), bytes('no'))
      assert.equal(result.swapped, false)
      assertBytes(standing(result), stored)
    }
    // A view into a larger array must count as its own bytes only.
    const view = new Uint8Array([9, 9, ...stored, 9]).subarray(2, 8)
    assert.deepEqual(await storage.compareAndSwap(key('k'), view, view), { swapped: true })
    assertBytes(await one(storage, 'k'), stored)
  })

  check(
    'compareAndSwap: of 100 from absent one wins, and all the others are told the winner',
    async ({ storage }) => {
      const racers = Array.from({ length: 100 }, (_, n) =>
        storage.compareAndSwap(key('race'), undefined, bytes(`racer ${n}`)),
      )
      await assertOneWinner(storage, racers)
    },
  )

  check('compareAndSwap: a counter that 20 raise 10 times each loses nothing', async ({ storage }) => {
    await storage.put([entry('counter', '0')])
    await Promise.all(Array.from({ length: 20 }, () => raise(storage, 'counter', 10)))
    assert.equal(text(await one(storage, 'counter')), '200')
  })

  check('compareAndSwap: many keys at once, each answer to its own request', async ({ storage }) => {
    const taken = new Set(Array.from({ length: 250 }, (_, n) => n * 2))
    await storage.put([...taken].map((n) => entry(`n${n}`, `old ${n}`)))
    const results = await Promise.all(
      Array.from({ length: 500 }, (_, n) =>
        storage.compareAndSwap(key(`n${n}`), undefined, bytes(`new ${n}`)),
      ),
    )
    for (const [n, result] of results.entries()) {
      assert.equal(result.swapped, !taken.has(n))
      assert.equal(text(standing(result)), taken.has(n) ? `old ${n}` : undefined)
      assert.equal(text(await one(storage, `n${n}`)), `${taken.has(n) ? 'old' : 'new'} ${n}`)
    }
  })
}

/** Ids that break engines which build names by gluing, escape too little, or think in UTF-16. */
export const NASTY_IDS: readonly string[] = [
  '\0',
  '\0\0',
  'a',
  'a\0',
  'a\0b',
  '\0a',
  ' ',
  '  ',
  'a ',
  '\t',
  '\n',
  '\r\n',
  '\x01',
  '\x1b[0m',
  '\x7f',
  '\x80',
  '\xff',
  ':',
  '::',
  'a:b',
  '/',
  '//',
  'a/b',
  '../..',
  '.',
  '{',
  '}',
  '{}',
  '{a}',
  '}{',
  '*',
  '?',
  '[a-z]',
  '\\',
  '"',
  "'",
  '`',
  '$',
  '%',
  '%00',
  '%2F',
  '#',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'null',
  'undefined',
  'NaN',
  '0',
  '-0',
  '00',
  '1e3',
  'é',
  'e\u0301',
  'ß',
  'İ',
  'ı',
  '\u200b',
  '\u2028',
  '\ufeff',
  '\ufffd',
  '\uffff',
  '\ue000',
  '漢字',
  '😀',
  '👩‍👩‍👧',
  '\u{10000}',
  '\u{1ffff}',
  '\u{20000}',
  '\u{30000}',
  '\u{e0001}',
  '\u{f0000}',
  '\u{10ffff}',
  'x'.repeat(1_200),
  'é'.repeat(600),
  '漢'.repeat(400),
  '😀'.repeat(300),
  '\0'.repeat(1_200),
  `${'x'.repeat(1_199)}y`,
]

function nastyKeys(check: Check): void {
  check('ids: every nasty string is an id of its own', async ({ storage }) => {
    await storage.put(NASTY_IDS.map((id, n) => entry(id, `put ${n}`)))
    const found = await storage.get(NASTY_IDS.map(key))
    assert.deepEqual(
      found.map(text),
      NASTY_IDS.map((_, n) => `put ${n}`),
    )
    assert.deepEqual(await ids(storage, B), [...NASTY_IDS].sort())

    const swaps = await Promise.all(
      NASTY_IDS.map((id, n) => storage.compareAndSwap(key(id), bytes(`put ${n}`), bytes(`swapped ${n}`))),
    )
    assert.ok(swaps.every((swap) => swap.swapped))
    const again = await storage.get(NASTY_IDS.map(key))
    assert.deepEqual(
      again.map(text),
      NASTY_IDS.map((_, n) => `swapped ${n}`),
    )
    for (const [n, id] of NASTY_IDS.entries()) {
      await storage.delete([key(id)])
      const left = await storage.get(NASTY_IDS.map(key))
      assert.deepEqual(
        left.map((value) => value !== undefined),
        NASTY_IDS.map((_, m) => m > n),
      )
    }
  })

  check('ids: one of every plane of Unicode, and every character of the first 1,024', async ({ storage }) => {
    const planes = Array.from(
      { length: 17 },
      (_, plane) => `p${String.fromCodePoint(plane * 0x10000 + 0xabc)}`,
    )
    const first = Array.from({ length: 1_024 }, (_, n) => String.fromCodePoint(n))
    const all = [...planes, ...first]
    for (const id of all) {
      assert.deepEqual(await storage.compareAndSwap(key(id), undefined, bytes(id)), { swapped: true })
    }
    assert.deepEqual((await storage.get(all.map(key))).map(text), all)
    assert.deepEqual(await ids(storage, B), [...all].sort())
  })
}

function values(check: Check): void {
  check('values: byte for byte, from 0 bytes to over a mebibyte', async ({ storage }) => {
    const mebi = 1024 * 1024
    const sizes = [
      0,
      1,
      2,
      7,
      8,
      63,
      64,
      255,
      256,
      300,
      4_095,
      4_096,
      4_097,
      32_768,
      65_535,
      65_536,
      mebi - 1,
      mebi,
      mebi + 1,
      3 * mebi,
    ]
    for (const [n, size] of sizes.entries()) {
      const value = pattern(size, n)
      const id = `size ${size}`
      await storage.put([{ ...key(id), value }])
      assertBytes(await one(storage, id), value)
      const swapped = pattern(size, n + 100)
      assert.deepEqual(await storage.compareAndSwap(key(id), value, swapped), { swapped: true })
      const refused = await storage.compareAndSwap(key(id), undefined, value)
      assertBytes(standing(refused), swapped)
    }
    const found = await storage.get(sizes.map((size) => key(`size ${size}`)))
    for (const [n, size] of sizes.entries()) assertBytes(found[n], pattern(size, n + 100))
    for await (const each of storage.list(B, { values: true })) {
      const size = Number(each.id.slice(5))
      assertBytes(each.value, pattern(size, sizes.indexOf(size) + 100))
    }
  })

  check('values: all 256 bytes, and bytes that are no UTF-8', async ({ storage }) => {
    const all = Uint8Array.from({ length: 256 }, (_, n) => n)
    for (const [n, value] of [
      all,
      all.slice().reverse(),
      new Uint8Array([0xc3]),
      new Uint8Array([0xed, 0xa0, 0x80]),
    ].entries()) {
      await storage.put([{ ...key(`v${n}`), value }])
      assertBytes(await one(storage, `v${n}`), value)
    }
  })

  check(
    'values: what was returned stays, and what was given may be changed after it settled',
    async ({ storage }) => {
      const given = bytes('first value')
      await storage.put([{ ...key('k'), value: given }])
      given.fill(0)
      const got = await one(storage, 'k')
      assert.equal(text(got), 'first value')
      const refused = standing(await storage.compareAndSwap(key('k'), undefined, bytes('x')))
      const listed: Uint8Array[] = []
      for await (const each of storage.list(B, { values: true })) listed.push(each.value!)

      const next = bytes('other value')
      await storage.compareAndSwap(key('k'), bytes('first value'), next)
      next.fill(0)
      await storage.put(Array.from({ length: 200 }, (_, n) => entry(`more ${n}`, 'x'.repeat(n * 20))))
      await storage.get(Array.from({ length: 200 }, (_, n) => key(`more ${n}`)))
      for (const kept of [got, refused, ...listed]) assert.equal(text(kept), 'first value')
      assert.equal(text(await one(storage, 'k')), 'other value')

      got!.fill(1)
      for (const kept of [refused, ...listed]) assert.equal(text(kept), 'first value')
      const mine = (await one(storage, 'k'))!
      mine.fill(1)
      assert.equal(text(await one(storage, 'k')), 'other value')
    },
  )
}

function listing(check: Check): void {
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

function refusals(check: Check): void {
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

function sharing(check: Check): void {
  check('two instances: each sees at once what the other was acknowledged', async ({ storage, another }) => {
    const other = await another()
    for (let n = 0; n < 50; n += 1) {
      assert.equal(await one(other, `n${n}`), undefined)
      assert.deepEqual(await storage.compareAndSwap(key(`n${n}`), undefined, bytes(`${n}`)), {
        swapped: true,
      })
      assert.equal(text(await one(other, `n${n}`)), `${n}`)
      assert.equal(text(standing(await other.compareAndSwap(key(`n${n}`), undefined, bytes('x')))), `${n}`)
      await other.put([entry(`n${n}`, 'over')])
      assert.equal(text(await one(storage, `n${n}`)), 'over')
    }
    assert.equal((await ids(storage, B)).length, 50)
    await other.delete(Array.from({ length: 50 }, (_, n) => key(`n${n}`)))
    assert.deepEqual(await ids(storage, B), [])
  })

  check('two instances: of 200 racers from absent one wins', async ({ storage, another }) => {
    const both = [storage, await another()]
    const racers = Array.from({ length: 200 }, (_, n) =>
      both[n % 2]!.compareAndSwap(key('race'), undefined, bytes(`racer ${n}`)),
    )
    await assertOneWinner(both[1]!, racers)
  })

  check('two instances: a counter that both raise loses nothing', async ({ storage, another }) => {
    const both = [storage, await another()]
    await storage.put([entry('counter', '0')])
    await Promise.all(Array.from({ length: 10 }, (_, n) => raise(both[n % 2]!, 'counter', 10)))
    assert.equal(text(await one(storage, 'counter')), '100')
  })

  check(
    'two instances: one that is closed leaves the data and the other alone',
    async ({ storage, another }) => {
      const other = await another()
      await other.put([entry('k', 'v')])
      await other.close()
      assert.equal(text(await one(storage, 'k')), 'v')
      assert.equal(text(await one(await another(), 'k')), 'v')
    },
  )
}

async function assertOneWinner(
  storage: Storage,
  racers: readonly Promise<CompareAndSwapResult>[],
): Promise<void> {
  const results = await Promise.all(racers)
  const winners = results.flatMap((result, n) => (result.swapped ? [n] : []))
  assert.equal(winners.length, 1, `one of the racers wins, not ${winners.length}`)
  const winner = `racer ${winners[0]}`
  for (const result of results) {
    if (!result.swapped) assert.equal(text(result.current), winner)
  }
  assert.equal(text(await one(storage, 'race')), winner)
}

/** Adds 1 `times` times, each time until it took. Every round some racer wins, so this ends. */
async function raise(storage: Storage, id: string, times: number): Promise<void> {
  let current = await one(storage, id)
  for (let done = 0; done < times; ) {
    const result = await storage.compareAndSwap(key(id), current, bytes(`${Number(text(current)) + 1}`))
    if (result.swapped) {
      done += 1
      current = await one(storage, id)
    } else {
      current = result.current
    }
  }
}

async function refused(promise: Promise<unknown>, ...codes: readonly string[]): Promise<void> {
  await assert.rejects(promise, (error: unknown) => {
    assert.ok(VirgaError.is(error), `a VirgaError, not ${error}`)
    assert.ok(codes.includes(error.code), `code ${codes.join(' or ')}, not ${error.code}: ${error.message}`)
    assert.equal(error.outcome, 'definite')
    return true
  })
}

function key(id: string): { bucket: string; id: string } {
  return { bucket: B, id }
}

function entry(id: string, value: string): { bucket: string; id: string; value: Uint8Array } {
  return { bucket: B, id, value: bytes(value) }
}

async function one(storage: Storage, id: string): Promise<Uint8Array | undefined> {
  return (await storage.get([key(id)]))[0]
}

async function ids(storage: Storage, bucket: string): Promise<string[]> {
  const found: string[] = []
  for await (const each of storage.list(bucket)) found.push(each.id)
  return found.sort()
}

function standing(result: CompareAndSwapResult): Uint8Array | undefined {
  return result.swapped ? undefined : result.current
}

function bytes(value: string): Uint8Array {
  return new TextEncoder().encode(value)
}

function text(value: Uint8Array | undefined): string | undefined {
  return value === undefined ? undefined : new TextDecoder('utf-8', { ignoreBOM: true }).decode(value)
}

/** Bytes that neither repeat with a power of two nor compress. */
function pattern(size: number, seed: number): Uint8Array {
  const value = new Uint8Array(size)
  let state = (seed + 1) * 2_654_435_761
  for (let n = 0; n < size; n += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    value[n] = state >>> 24
  }
  return value
}

function assertBytes(actual: Uint8Array | undefined, expected: Uint8Array): void {
  assert.ok(actual !== undefined, 'a value was expected')
  assert.equal(actual.byteLength, expected.byteLength)
  // Not deepEqual: it takes seconds on a mebibyte.
  assert.equal(Buffer.compare(actual, expected), 0, 'the bytes differ')
}
