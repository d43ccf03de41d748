/** Ids and values of every kind. */
import assert from 'node:assert/strict'
import { assertBytes, B, bytes, type Check, entry, ids, key, one, pattern, standing, text } from './kit.js'

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

export function nastyKeys(check: Check): void {
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

export function values(check: Check): void {
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
