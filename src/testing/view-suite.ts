/**
 * The contract of `Views` and `ViewOpener` as tests that any pair of adapters can be put through, under any runner. Where a
 * process can't have both ends, the reader is one in another process.
 */
import assert from 'node:assert/strict'
import { VirgaError } from '../errors.js'
import type { ViewBatch, ViewWriter } from '../ports/view.js'

/** An executor's end, wherever it is. */
export interface RemoteReader {
  /** The records of some keys as of one batch, the newest. */
  read(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]>
  /** Resolves when the reader has heard that it must not be used any more. */
  readonly damaged: Promise<void>
  close(): Promise<void>
}

export interface ViewFixture {
  create(onDamaged: () => void): ViewWriter
  /** Rejects as `ViewOpener.open` does. */
  open(path: string): Promise<RemoteReader>
  /** Somebody else changes or removes what belongs to a view. */
  damage(path: string): void
  /** Lets some time pass. */
  pause(): Promise<void>
  /** After everything was closed, also when the test failed. */
  dispose(): Promise<void>
}

export interface ViewSuiteOptions {
  /** As of vitest, `node:test`, mocha. */
  readonly test: (name: string, run: () => Promise<void>) => unknown
  /** Called once for each test. Room for at least 1 MiB. */
  readonly fixture: () => Promise<ViewFixture>
}

interface Kit {
  readonly fixture: ViewFixture
  readonly writer: ViewWriter
  /** Reads the newest batch. */
  read(...keys: string[]): Promise<readonly (string | undefined)[]>
  readonly reader: RemoteReader
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const batchOf = (entries: Readonly<Record<string, string | null>>): ViewBatch =>
  new Map(Object.entries(entries).map(([key, value]) => [key, value === null ? null : text(value)]))
const codeOf = (code: string) => (error: unknown) => VirgaError.is(error) && error.code === code

/** Registers the tests of the view port with the runner whose `test` is given. */
export function viewSuite({ test, fixture }: ViewSuiteOptions): void {
  const check = (name: string, run: (kit: Kit) => Promise<void>): void => {
    test(name, async () => {
      const made = await fixture()
      const writer = made.create(() => undefined)
      try {
        writer.write(batchOf({ m: 'head' }))
        const reader = await made.open(writer.path)
        await run({
          fixture: made,
          writer,
          reader,
          read: async (...keys) => {
            const found = await reader.read(keys)
            return found.map((bytes) => bytes && new TextDecoder().decode(bytes))
          },
        })
        await reader.close()
      } finally {
        writer.close()
        await made.dispose()
      }
    })
  }
  batches(check)
  records(check)
  endings(check)
}

type Check = (name: string, run: (kit: Kit) => Promise<void>) => void

function batches(check: Check): void {
  check('what was written is read, what was not is absent', async ({ writer, read }) => {
    writer.write(batchOf({ a: '1', b: '2' }))
    assert.deepEqual(await read('a', 'b', 'c', 'm'), ['1', '2', undefined, 'head'])
  })
  check('what was written is not looked at again: its bytes may change', async ({ writer, read }) => {
    const lent = [text('small'), text('large'.padEnd(9_000, '.'))] as const
    writer.write(
      new Map([
        ['a', lent[0]],
        ['b', lent[1]],
      ]),
    )
    for (const bytes of lent) bytes.fill(0x58)
    assert.deepEqual(await read('a', 'b'), ['small', 'large'.padEnd(9_000, '.')])
  })
  check('a removal removes one record; one that is not there may be removed', async ({ writer, read }) => {
    writer.write(batchOf({ a: '1', b: '2' }))
    writer.write(batchOf({ a: null, never: null }))
    assert.deepEqual(await read('a', 'b', 'never'), [undefined, '2', undefined])
  })
  check('a reader sees each batch whole, while others are written', async ({ fixture, writer, reader }) => {
    const keys = Array.from({ length: 40 }, (_, i) => `k${i}`)
    let isDone = false
    const write = (async () => {
      for (let n = 0; !isDone; n++) {
        writer.write(new Map(keys.map((key) => [key, text(String(n).padEnd(300, '.'))])))
        if (n % 2 === 0) await fixture.pause()
      }
    })()
    try {
      let last = -1
      for (let i = 0; i < 60; i++) {
        await fixture.pause()
        const seen = new Set(
          (await reader.read(keys)).map((bytes) => bytes && new TextDecoder().decode(bytes)),
        )
        assert.equal(seen.size, 1, `one read saw ${[...seen].map((value) => value?.slice(0, 8))}`)
        const [value] = seen
        if (value === undefined) continue
        const n = Number.parseInt(value, 10)
        assert.ok(n >= last, `batch ${n} was seen after ${last}`)
        last = n
      }
      assert.ok(last > 0)
    } finally {
      isDone = true
      await write
    }
  })
  check('a read sees what was written before it', async ({ writer, read }) => {
    for (let n = 0; n < 50; n++) {
      writer.write(batchOf({ m: String(n) }))
      assert.deepEqual(await read('m'), [String(n)])
    }
  })
  check(
    'full: LimitExceeded, nothing of the batch is visible, and the writer goes on',
    async ({ writer, read }) => {
      writer.write(batchOf({ a: '1' }))
      const large = new Map<string, Uint8Array | null>([['a', text('2')]])
      for (let i = 0; i * 64 * 1024 <= writer.capacityBytes * 8; i++)
        large.set(`l${i}`, new Uint8Array(64 * 1024))
      assert.throws(() => writer.write(large), codeOf('LimitExceeded'))
      assert.deepEqual(await read('a', 'l0', 'l1'), ['1', undefined, undefined])
      writer.write(batchOf({ a: '3' }))
      assert.deepEqual(await read('a'), ['3'])
    },
  )
  check('what is replaced makes room: the view holds its capacity for ever', async ({ writer, read }) => {
    const bytes = new Uint8Array(1_500)
    const count = Math.floor(writer.capacityBytes / 2 / 2_048)
    for (let round = 0; round < 20; round++)
      for (let i = 0; i < count; i += 10)
        writer.write(new Map(Array.from({ length: 10 }, (_, j) => [`k${i + j}`, bytes] as const)))
    writer.write(batchOf({ a: 'still' }))
    assert.deepEqual(await read('a'), ['still'])
  })
}

function records(check: Check): void {
  const samples = ['é', '߿', '中', '\uffff', '😀', '\u{10ffff}', '\u0000', ' ', 'k/:*?"']
  check('keys of every plane of Unicode, and of 1,024 bytes, are kept apart', async ({ writer, reader }) => {
    const long = 'x'.repeat(1_023)
    const keys = [...samples, ...samples.map((c) => c.repeat(Math.floor(1_024 / Buffer.byteLength(c))))]
    keys.push(`${long}a`, `${long}b`, long)
    const all = [...new Set(keys)].map((key) => `k${key}`)
    for (const [i, key] of all.entries()) writer.write(batchOf({ [key]: String(i) }))
    const found = await reader.read(all)
    assert.deepEqual(
      found.map((bytes) => bytes && new TextDecoder().decode(bytes)),
      all.map((_, i) => String(i)),
    )
  })
  for (const bytes of [0, 1, 2_000, 4_096, 64 * 1024])
    check(`a record of ${bytes} bytes is read byte for byte`, async ({ writer, reader }) => {
      const value = Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + (i >> 8)) & 255)
      writer.write(new Map([['k', value]]))
      const [found, head] = await reader.read(['k', 'm'])
      assert.ok(found !== undefined && Buffer.from(found).equals(Buffer.from(value)))
      assert.deepEqual(head, text('head'))
    })
}

function endings(check: Check): void {
  check(
    'close removes it: nobody can open it any more, and it can be closed twice',
    async ({ writer, fixture }) => {
      writer.close()
      writer.close()
      assert.throws(() => writer.write(batchOf({ a: '1' })), codeOf('Closed'))
      await assert.rejects(fixture.open(writer.path), codeOf('StorageUnavailable'))
    },
  )
  check('who has it open sees the last batch after it was closed', async ({ writer, read }) => {
    writer.write(batchOf({ a: '1' }))
    writer.close(batchOf({ m: 'over' }))
    assert.deepEqual(await read('a', 'm'), ['1', 'over'])
  })
  check('the last batch finds room where the view is full', async ({ writer, read }) => {
    const bytes = new Uint8Array(900)
    assert.throws(() => {
      for (let i = 0; ; i++) writer.write(new Map([[`k${i}`, bytes]]))
    }, codeOf('LimitExceeded'))
    writer.close(batchOf({ m: 'over' }))
    assert.deepEqual(await read('m'), ['over'])
  })
  check('each view is a new one, empty, of another name', async ({ fixture, writer }) => {
    writer.write(batchOf({ a: '1' }))
    const other = fixture.create(() => undefined)
    try {
      assert.notEqual(other.path, writer.path)
      const reader = await fixture.open(other.path)
      assert.deepEqual(await reader.read(['a', 'm']), [undefined, undefined])
      await reader.close()
    } finally {
      other.close()
    }
  })
  check(
    'two readers read at once, and one goes on when the other has closed',
    async ({ fixture, writer, read }) => {
      const other = await fixture.open(writer.path)
      writer.write(batchOf({ a: '1' }))
      assert.deepEqual(await other.read(['a']), [text('1')])
      await other.close()
      writer.write(batchOf({ a: '2' }))
      assert.deepEqual(await read('a'), ['2'])
    },
  )
  check('where there is none, opening rejects with StorageUnavailable', async ({ fixture, writer }) => {
    await assert.rejects(fixture.open(`${writer.path}-none`), codeOf('StorageUnavailable'))
  })
  check('damage is told to both ends', async ({ fixture }) => {
    let tell = (): void => undefined
    const told = new Promise<void>((resolve) => {
      tell = resolve
    })
    const writer = fixture.create(() => tell())
    try {
      const reader = await fixture.open(writer.path)
      fixture.damage(writer.path)
      await Promise.all([told, reader.damaged])
      await reader.close()
    } finally {
      writer.close()
    }
  })
}
