import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { Virga } from '../../src/client/virga.js'
import { failure } from '../support/failures.js'
import { ENGINES, storageUrl, testNode } from '../support/nodes.js'

/** Commits entries as one transaction; undefined deletes. */
async function write(virga: Virga, entries: Readonly<Record<string, unknown>>): Promise<void> {
  await virga.transaction((tx) => {
    for (const [key, value] of Object.entries(entries)) {
      if (value === undefined) tx.delete(key)
      else tx.put(key, value)
    }
  })
}

describe.each(ENGINES)('on %s', (engine) => {
  test('scenario 1: a snapshot never mixes what was before a commit with what is after it', async () => {
    const node = await testNode({ storage: await storageUrl(engine) })
    const [reader, writer] = [await node.connect(), await node.connect()]
    await write(writer, { a: 'T1', b: 'T1', c: 'T1' })

    await using tx = await reader.begin()
    expect(await tx.get('c')).toBe('T1')
    await write(writer, { a: 'T2', b: 'T2' })
    await write(writer, { b: 'T3', c: 'T3' })
    // Warms the cache with the newest b, then with the older one.
    expect(await reader.get('b')).toBe('T3')
    expect(await tx.getMany(['a', 'b', 'c'])).toEqual(['T1', 'T1', 'T1'])

    await using later = await reader.begin()
    expect(await later.getMany(['a', 'b', 'c'])).toEqual(['T2', 'T3', 'T3'])
  })

  test('scenario 2: a version outside the snapshot comes back by no second path', async () => {
    // A cache that holds nothing for long: reads go to storage as well.
    const node = await testNode({ storage: await storageUrl(engine), cacheBytesMax: 1_024 })
    const [reader, writer] = [await node.connect(), await node.connect()]
    const old = { x: 'old '.repeat(100), y: 'old' }
    await write(writer, old)
    const step = await reader.step(undefined, (tx) => tx.get('x'))
    await using tx = await reader.begin()
    await tx.get('y')
    await write(writer, { x: 'new '.repeat(100), y: 'new' })
    await write(writer, { filler: new Uint8Array(900) })

    for (let i = 0; i < 3; i++) {
      expect(await tx.get('x')).toBe(old.x)
      expect(await tx.getMany(['filler', 'x', 'y', 'x'])).toEqual([undefined, old.x, 'old', old.x])
      await reader.get('x')
    }
    await using resumed = await writer.resume(step.context)
    expect(await resumed.getMany(['x', 'y'])).toEqual([old.x, 'old'])
    expect(node.count('cacheMisses')).toBeGreaterThan(0)
  })

  test('scenario 5: one missing key does not keep the others of a batch from being read', async () => {
    const node = await testNode({ storage: await storageUrl(engine), cacheBytesMax: 1_024 })
    const virga = await node.connect()
    await write(virga, { a: 1, c: 3, gone: 4, large: new Uint8Array(100_000).fill(7) })
    await write(virga, { gone: undefined })
    await using tx = await virga.begin()
    const keys = ['a', 'b', 'c', 'gone', 'large', 'z']
    expect(await tx.getMany(keys)).toEqual([
      1,
      undefined,
      3,
      undefined,
      new Uint8Array(100_000).fill(7),
      undefined,
    ])
    expect(await tx.getMany([])).toEqual([])
    expect(await tx.getMany(['b', 'z'])).toEqual([undefined, undefined])
  })

  test('scenario 6: absence is read from the snapshot like any value, and an empty value is not absence', async () => {
    const node = await testNode({ storage: await storageUrl(engine) })
    const [reader, writer] = [await node.connect(), await node.connect()]
    await write(writer, { b: 'before' })
    await using tx = await reader.begin()
    expect(await tx.get('a')).toBeUndefined()
    await write(writer, { a: 'T1', b: 'T1' })
    expect(await tx.get('b')).toBe('before')
    expect(await tx.get('a')).toBeUndefined()
    expect(await reader.get('a')).toBe('T1')

    await write(writer, { text: '', bytes: new Uint8Array(0), nil: null, list: [], zero: 0, no: false })
    await using empties = await reader.begin()
    expect(await empties.getMany(['text', 'bytes', 'nil', 'list', 'zero', 'no', 'absent'])).toEqual([
      '',
      new Uint8Array(0),
      null,
      [],
      0,
      false,
      undefined,
    ])
  })

  test('scenario 7: keys of every kind of text are kept apart', async () => {
    const storage = await storageUrl(engine)
    const node = await testNode({ storage })
    const virga = await node.connect()
    const keys = [
      ...[
        '/',
        ':',
        '\0',
        '\x01',
        'a/b',
        'a:b',
        'a\0b',
        'a\x01b',
        '{a}',
        'a b',
        ' ',
        '\n',
        '__proto__',
        'constructor',
      ],
      ...[
        'decision/1/1',
        'é',
        'e\u0301',
        'ß',
        'ſ',
        'K',
        '\u212a',
        '日本語',
        '😀',
        '\u{10FFFF}',
        '\u{1F468}\u200d\u{1F469}',
      ],
      ...Array.from({ length: 17 }, (_, plane) => String.fromCodePoint(plane * 0x10000 + 0x41)),
      ...['x'.repeat(1_024), '😀'.repeat(256), '\0'.repeat(1_024)],
    ]
    const unique = [...new Set(keys)]
    await virga.transaction((tx) => {
      for (const [i, key] of unique.entries()) tx.put(key, i)
    })
    await using tx = await virga.begin()
    expect(await tx.getMany(unique)).toEqual(unique.map((_, i) => i))

    for (const key of ['', 'x'.repeat(1_025), '😀'.repeat(257), '\ud800', 'a\udfffb']) {
      const { code, retryable } = await failure(virga.get(key))
      expect(['InvalidArgument', 'LimitExceeded'], JSON.stringify(key.slice(0, 9))).toContain(code)
      expect(retryable).toBe(false)
      expect(() => tx.put(key, 1)).toThrow()
    }
    await node.stop()

    const again = await testNode({ storage, socket: node.socket })
    const client = await again.connect()
    await using after = await client.begin()
    expect(await after.getMany(unique)).toEqual(unique.map((_, i) => i))
  })

  test('scenario 9: what began earlier and commits later is what stands', async () => {
    const node = await testNode({ storage: await storageUrl(engine) })
    const [early, late] = [await node.connect(), await node.connect()]
    await using first = await early.begin()
    await first.get('x')
    await new Promise((resolve) => setTimeout(resolve, 20))
    await write(late, { x: 'began later, committed earlier' })
    first.put('x', 'began earlier, committed later')
    await first.commit()
    expect(await late.get('x')).toBe('began earlier, committed later')
    expect(await early.get('x')).toBe('began earlier, committed later')
  })
})

test('scenario 8: a key with 100,000 versions', async () => {
  const versions = 100_000
  const inFlight = 500
  const storage = `${await storageUrl('lmdb')}?sync=false`
  const node = await testNode({ storage })
  const [reader, writer] = [await node.connect(), await node.connect()]
  await write(writer, { x: -1, other: 'kept' })
  await using old = await reader.begin()
  await old.get('other')

  for (let done = 0; done < versions; done += inFlight) {
    await Promise.all(Array.from({ length: inFlight }, (_, i) => write(writer, { x: done + i })))
    if (done % 10_000 === 0) await nextTurn()
  }
  // The open snapshot keeps all that came after it from being collected, and nothing of before.
  expect(node.count('versions')).toBeGreaterThanOrEqual(versions)
  const newest = await reader.get<number>('x')
  expect(newest).toBeGreaterThanOrEqual(versions - inFlight)
  expect(await old.getMany(['x', 'other'])).toEqual([-1, 'kept'])

  const start = performance.now()
  for (let i = 0; i < 100; i++) expect(await reader.get('x')).toBe(newest)
  // A read of the newest version must not walk over all the others.
  expect((performance.now() - start) / 100).toBeLessThan(20)
  await node.stop()

  const again = await testNode({ storage, socket: node.socket })
  const client = await again.connect()
  expect(await client.get('x')).toBe(newest)
  expect(await client.get('other')).toBe('kept')
})
