import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Hlc } from '../../../src/core/hlc.js'
import type { Origin } from '../../../src/core/ids.js'
import { VirgaError } from '../../../src/errors.js'
import {
  decodeOrigins,
  decodeSnapshot,
  decodeVector,
  encodeMeta,
  encodeOrigins,
  encodeSnapshot,
  encodeVector,
  MetaCursor,
  type Vector,
  type ViewMeta,
} from '../../../src/wire/view.js'
import {
  EntryCursor,
  EntryWriter,
  FOUND,
  FOUND_ABSENT,
  FOUND_APART,
  ITEM_ABSENT,
  ITEM_APART,
  ITEM_ELSEWHERE,
  ITEM_INLINE,
  KeptEntry,
  NOT_FOUND,
} from '../../../src/wire/view-entry.js'
import { readProtocolFile } from '../../support/protocol-files.js'
import { encodeEntry, type ViewEntry, type ViewItem } from '../../support/view-entry.js'

const seqs = fc.maxSafeNat()
const vectors: fc.Arbitrary<Vector> = fc
  .uniqueArray(fc.tuple(fc.nat(0xffff_ffff), seqs), { selector: ([origin]) => origin, maxLength: 6 })
  .map((pairs) => new Map(pairs))
const metas: fc.Arbitrary<ViewMeta> = fc.record({
  isLive: fc.boolean(),
  floorMoment: seqs,
  floorVersion: seqs,
  horizon: seqs as fc.Arbitrary<Hlc>,
  beatMs: seqs,
  moment: seqs,
  epoch: seqs,
  vector: vectors,
})
/** Few moments, clocks and places, so that they meet. */
const items: fc.Arbitrary<ViewItem> = fc.record({
  moment: fc.nat(6),
  hlc: fc.nat(6) as fc.Arbitrary<Hlc>,
  places: fc.array(fc.tuple(fc.nat(2), fc.nat(4)), { maxLength: 3 }),
  value: fc.oneof(
    fc.constant({ kind: ITEM_ABSENT } as const),
    fc.constant({ kind: ITEM_ELSEWHERE } as const),
    fc.record({ kind: fc.constant(ITEM_INLINE), bytes: fc.uint8Array({ maxLength: 20 }) }),
    fc.record({ kind: fc.constant(ITEM_APART), number: seqs }),
  ),
})
const entries: fc.Arbitrary<ViewEntry> = fc
  .record({ items: fc.array(items, { maxLength: 5 }), endsWithBase: fc.boolean() })
  .map((entry) => (entry.items.length === 0 ? { ...entry, endsWithBase: false } : entry))
const fewPlaces: fc.Arbitrary<Vector> = fc
  .uniqueArray(fc.tuple(fc.nat(2), fc.nat(4)), { selector: ([origin]) => origin })
  .map((pairs) => new Map(pairs))

const dataOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
const snapshotOf = (bytes: Uint8Array): Uint8Array => MetaCursor.snapshotOf(bytes, bytes.length)

interface Look {
  readonly found: number
  readonly bytes?: Uint8Array
  readonly number?: number
}

function look(bytes: Uint8Array, moment: number, places: Vector | undefined, horizon: number): Look {
  const cursor = new EntryCursor()
  const found = cursor.find(dataOf(bytes), bytes.length, moment, places, horizon)
  if (found === FOUND) return { found, bytes: new Uint8Array(bytes.subarray(cursor.start, cursor.end)) }
  return found === FOUND_APART ? { found, number: cursor.number } : { found }
}

/** protocol/view.md, step by step. */
function naive(entry: ViewEntry, moment: number, places: Vector | undefined, horizon: number): Look {
  const { items: all, endsWithBase } = entry
  const seen = all.find((item, i) => {
    if (endsWithBase && i === all.length - 1) return true
    if (places === undefined) return item.moment <= moment
    return item.places.some(([origin, seq]) => seq <= (places.get(origin) ?? -1))
  })
  if (seen === undefined || (!endsWithBase && seen.hlc <= horizon)) return { found: NOT_FOUND }
  switch (seen.value.kind) {
    case ITEM_ABSENT:
      return { found: FOUND_ABSENT }
    case ITEM_INLINE:
      return { found: FOUND, bytes: seen.value.bytes }
    case ITEM_APART:
      return { found: FOUND_APART, number: seen.value.number }
    default:
      return { found: NOT_FOUND }
  }
}

/** Runs it; undefined if it refused the bytes in one of the two ways that a reader of the view knows. */
function refused<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch (error) {
    if (error instanceof RangeError || (VirgaError.is(error) && error.code === 'Malformed')) return undefined
    throw error
  }
}

describe('the head', () => {
  test('comes back as it was, and ends with its snapshot', () => {
    const cursor = new MetaCursor()
    fc.assert(
      fc.property(metas, (meta) => {
        const bytes = encodeMeta(meta)
        cursor.read(dataOf(bytes), bytes.length)
        const { vector, ...rest } = meta
        expect({ ...cursor }).toEqual(rest)
        const { moment, epoch } = meta
        expect(decodeSnapshot(snapshotOf(bytes))).toEqual({ moment, epoch, vector })
        expect(encodeSnapshot({ moment, epoch, vector })).toEqual(snapshotOf(bytes))
      }),
    )
  })

  test('cut off anywhere, it gives no snapshot', () => {
    fc.assert(
      fc.property(metas, fc.nat(), (meta, cut) => {
        const bytes = encodeMeta(meta)
        const short = bytes.subarray(0, cut % bytes.length)
        const read = refused(() => {
          new MetaCursor().read(dataOf(short), short.length)
          return decodeSnapshot(snapshotOf(short))
        })
        expect(read).toBeUndefined()
      }),
    )
  })

  test('of another format it is refused', () => {
    fc.assert(
      fc.property(metas, fc.nat(0xffff_ffff), (meta, format) => {
        fc.pre(format !== 1)
        const bytes = encodeMeta(meta)
        new DataView(bytes.buffer).setUint32(0, format, true)
        expect(() => new MetaCursor().read(dataOf(bytes), bytes.length)).toThrow(
          expect.objectContaining({ code: 'Malformed' }),
        )
      }),
    )
  })
})

describe('a vector', () => {
  test('comes back as it was', () => {
    fc.assert(
      fc.property(vectors, (vector) => {
        expect(decodeVector(encodeVector(vector))).toEqual(vector)
      }),
    )
  })

  test('of other bytes it is Malformed, or says the same when it is written again', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const vector = refused(() => decodeVector(bytes))
        if (vector === undefined) return
        for (const seq of vector.values()) expect(Number.isSafeInteger(seq) && seq >= 0).toBe(true)
      }),
    )
  })

  test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])('a place of %d is Malformed', (seq) => {
    expect(refused(() => decodeVector(encodeVector(new Map([[0, seq]]))))).toBeUndefined()
    const record = encodeSnapshot({ moment: seq, epoch: 0, vector: new Map() })
    expect(refused(() => decodeSnapshot(record))).toBeUndefined()
  })
})

describe('an entry', () => {
  test('answers as the protocol says, by moment and by places', () => {
    fc.assert(
      fc.property(
        entries,
        fc.nat(7),
        fc.option(fewPlaces, { nil: undefined }),
        fc.nat(7),
        (entry, moment, places, horizon) => {
          expect(look(encodeEntry(entry), moment, places, horizon)).toEqual(
            naive(entry, moment, places, horizon),
          )
        },
      ),
      { numRuns: 2_000 },
    )
  })

  test('cut off anywhere, it answers as the whole one does, or is refused: never anything else', () => {
    fc.assert(
      fc.property(entries, fc.nat(7), fc.nat(7), fc.nat(), (entry, moment, horizon, cut) => {
        const bytes = encodeEntry(entry)
        const whole = look(bytes, moment, undefined, horizon)
        const short = refused(() => look(bytes.slice(0, cut % bytes.length), moment, undefined, horizon))
        if (short !== undefined) expect(short).toEqual(whole)
      }),
      { numRuns: 2_000 },
    )
  })

  test('of any bytes, a look ends, within them, or is refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(7), fc.nat(7), (bytes, moment, horizon) => {
        const found = refused(() => look(bytes, moment, undefined, horizon))
        if (found?.bytes !== undefined) expect(found.bytes.length).toBeLessThanOrEqual(bytes.length)
      }),
      { numRuns: 2_000 },
    )
  })

  test('where its bytes begin within a larger buffer makes no difference', () => {
    fc.assert(
      fc.property(entries, fc.nat(7), fc.nat(20), (entry, moment, offset) => {
        const bytes = encodeEntry(entry)
        const larger = new Uint8Array(offset + bytes.length + 9).fill(0xee)
        larger.set(bytes, offset)
        const within = larger.subarray(offset, offset + bytes.length)
        expect(look(within, moment, undefined, 0)).toEqual(look(bytes, moment, undefined, 0))
      }),
    )
  })

  test('is the same, whatever its writer wrote before, and however large it is', () => {
    const many = fc.array(fc.tuple(entries, fc.nat(9_000)), { minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(many, (all) => {
        const writer = new EntryWriter()
        for (const [{ items, endsWithBase }, size] of all) {
          const bytes = new Uint8Array(size).fill(size)
          const large = { moment: 9, hlc: 9 as Hlc, places: [], value: { kind: ITEM_INLINE, bytes } } as const
          const entry = { items: [large, ...items], endsWithBase }
          const encoded = encodeEntry(entry, writer)
          expect(encoded).toEqual(encodeEntry(entry))
          expect(look(encoded, 9, undefined, 0)).toEqual(naive(entry, 9, undefined, 0))
        }
      }),
    )
  })

  test('is lent until the writer is told that nobody looks any more', () => {
    const sizes = fc.array(fc.nat(9_000), { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(fc.array(sizes, { minLength: 1, maxLength: 4 }), (rounds) => {
        const writer = new EntryWriter()
        for (const round of rounds) {
          const entries = round.map((size, i): ViewEntry => {
            const value = { kind: ITEM_INLINE, bytes: new Uint8Array(size).fill(i + 1) } as const
            return { items: [{ moment: i, hlc: 9 as Hlc, places: [], value }], endsWithBase: i % 2 === 0 }
          })
          const lent = entries.map((entry) => encodeEntry(entry, writer))
          expect(lent.map((bytes) => Buffer.from(bytes))).toEqual(entries.map((entry) => encodeEntry(entry)))
          writer.reset()
        }
      }),
    )
  })

  test('that is kept is as one that is made of its items', () => {
    const few = fc.array(items, { minLength: 1, maxLength: 4 })
    const steps = fc.array(fc.oneof(few, fc.constant('drop' as const)), { maxLength: 40 })
    fc.assert(
      fc.property(few, fc.boolean(), steps, (first, endsWithBase, all) => {
        const writer = new EntryWriter()
        let entry: ViewEntry = { items: first, endsWithBase }
        const kept = new KeptEntry(encodeEntry(entry, writer), writer.lengths)
        for (const step of all) {
          if (step !== 'drop') {
            kept.prepend(encodeEntry({ items: step, endsWithBase: false }, writer), writer.lengths)
            entry = { ...entry, items: [...step, ...entry.items] }
          } else if (kept.items > 0) {
            expect(kept.drop()).toBe(entry.items.at(-1)!.value.kind === ITEM_APART)
            entry = { items: entry.items.slice(0, -1), endsWithBase: false }
          }
          expect(kept.items).toBe(entry.items.length)
          expect(kept.endsWithBase).toBe(entry.endsWithBase)
          expect(kept.oldestSuperseded).toBe(entry.items.at(-2)?.hlc)
          if (kept.items > 0) expect(kept.oldestHlc).toBe(entry.items.at(-1)!.hlc)
          expect(Buffer.from(kept.bytes)).toEqual(encodeEntry(entry))
        }
      }),
    )
  })

  test('of more than 255 items is a fault of ours', () => {
    const item: ViewItem = { moment: 1, hlc: 1 as Hlc, places: [], value: { kind: ITEM_ABSENT } }
    expect(() => encodeEntry({ items: new Array(256).fill(item), endsWithBase: false })).toThrow(VirgaError)
  })
})

describe('what the numbers of origins stand for', () => {
  const origins = fc.array(
    fc
      .tuple(fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/), fc.stringMatching(/^[01][0-9a-f]{23}$/))
      .map(([node, stamp]) => `${node}@${stamp}` as Origin),
    { maxLength: 5 },
  )

  test('comes back as it went', () => {
    fc.assert(
      fc.property(origins, (all) => {
        expect(decodeOrigins(encodeOrigins(all))).toEqual(all)
      }),
    )
  })

  test('cut short, extended, or of other names is malformed', () => {
    const malformed = expect.objectContaining({ code: 'Malformed' })
    fc.assert(
      fc.property(origins, fc.nat(), (all, at) => {
        const bytes = encodeOrigins(all)
        expect(() => decodeOrigins(bytes.subarray(0, at % bytes.length))).toThrow(malformed)
        expect(() => decodeOrigins(Buffer.concat([bytes, Buffer.of(0)]))).toThrow(malformed)
        const more = encodeOrigins([...all, 'no origin' as Origin])
        expect(() => decodeOrigins(more)).toThrow(malformed)
      }),
    )
  })
})

describe('golden bytes', () => {
  interface Vectors {
    readonly format: number
    readonly vectors: readonly {
      readonly name: string
      readonly kind: 'head' | 'floor' | 'origins' | 'entry'
      readonly record: never
      readonly hex: string
    }[]
  }
  const file = JSON.parse(readProtocolFile('vectors/view.json')!) as Vectors
  const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))
  const encoders = {
    head: (record: { vector: [number, number][] }) =>
      encodeMeta({ ...record, vector: new Map(record.vector) } as unknown as ViewMeta),
    floor: (record: [number, number][]) => encodeVector(new Map(record)),
    origins: (record: Origin[]) => encodeOrigins(record),
    entry: ({ items: all, ...rest }: { items: { value: { kind: number; hex?: string } }[] }) =>
      encodeEntry({
        ...rest,
        items: all.map(({ value: { hex, ...value }, ...item }) => ({
          ...item,
          value: hex === undefined ? value : { ...value, bytes: bytesOf(hex) },
        })),
      } as unknown as ViewEntry),
  }

  test('show every kind', () => {
    expect(new Set(file.vectors.map(({ kind }) => kind))).toEqual(new Set(Object.keys(encoders)))
    expect(file.format).toBe(1)
  })

  test.each(file.vectors)('$name', ({ kind, record, hex }) => {
    expect(Buffer.from(encoders[kind](record)).toString('hex')).toBe(hex)
  })
})
