import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Cut, cutOf, departuresOf, EMPTY_CUT } from '../../../src/core/cut.js'
import { History, type HistoryState } from '../../../src/core/history.js'
import type { Hlc } from '../../../src/core/hlc.js'
import { makeTxnId, type Origin, type TxnId } from '../../../src/core/ids.js'
import type { Placed, SharedValue, SharedWrite } from '../../../src/core/publication.js'
import { publicationFrames } from '../../../src/wire/frames.js'
import { pack, unpack } from '../../../src/wire/msgpack.js'
import {
  type PackedStretch,
  packSharedWrite,
  packState,
  packStretch,
  unpackSharedWrite,
  unpackState,
  unpackStretch,
} from '../../../src/wire/publications.js'
import { KEYS, World } from '../core/cluster-model.js'
import { Tape } from '../core/tape.js'
import { normal } from './normal.js'

const ORIGINS = Array.from({ length: 5 }, (_, i) => `node-${i}@${`0${i}`.padStart(24, '0')}` as Origin)
const HERE = 'here@0640e0c2e7b000f0e1d2c3b4' as Origin

const txnId = (n: number): TxnId => makeTxnId(1_763_000_000_000 + n, new Uint8Array(10))
const txns = fc.nat(1_000).map(txnId)
const hlcs = fc.maxSafeNat().map((n) => n as Hlc)
const cuts: fc.Arbitrary<Cut> = fc
  .tuple(
    fc.uniqueArray(fc.tuple(fc.constantFrom(...ORIGINS), fc.maxSafeNat()), {
      selector: ([origin]) => origin,
    }),
    fc.nat(3),
  )
  .map(([pairs, departures]) => cutOf(pairs, departures))
const values: fc.Arbitrary<SharedValue> = fc.oneof(
  fc.uint8Array({ maxLength: 40 }).map((bytes) => ({ kind: 'inline' as const, bytes })),
  fc.constant({ kind: 'recorded' as const }),
  fc.constant({ kind: 'tombstone' as const }),
  fc.record({ kind: fc.constant('blob' as const), blob: fc.string(), size: fc.maxSafeNat() }),
)
const writes: fc.Arbitrary<SharedWrite> = fc.record({ key: fc.string(), value: values })
const placed: fc.Arbitrary<Placed> = fc.oneof(
  fc.record({ txn: txns, kind: fc.constant('compacted' as const), hlc: hlcs }),
  fc.record({
    txn: txns,
    kind: fc.constant('decided' as const),
    publication: fc.record({ hlc: hlcs, cut: cuts, writes: fc.array(writes, { maxLength: 5 }) }),
  }),
)

const departuresTold = (one: Placed): number =>
  one.kind === 'decided' ? departuresOf(one.publication.cut) : 0

/** As a peer gets it: through bytes. */
function sent(stretch: PackedStretch): PackedStretch {
  const [message] = publicationFrames.decode(
    publicationFrames.encode([{ type: 'published', request: 0, ...stretch, ended: [] }]),
  )
  if (message?.type !== 'published') throw new Error('another message came')
  return message
}

const malformed = expect.objectContaining({ code: 'Malformed' })

describe('a stretch', () => {
  test('comes back as it was', () => {
    fc.assert(
      fc.property(fc.array(placed, { maxLength: 12 }), fc.integer({ min: 1, max: 2 ** 40 }), (all, first) => {
        const { origin, ...back } = unpackStretch(sent(packStretch(HERE, first, all)))
        expect(origin).toBe(HERE)
        expect(normal(back)).toEqual({ first, placed: all })
        expect(back.placed.map(departuresTold)).toEqual(all.map(departuresTold))
      }),
    )
  })

  test('names each origin once, and shares equal cuts that follow each other', () => {
    const cut = (seq: number): Cut => new Map([...ORIGINS].map((origin) => [origin, seq]))
    const at = (seq: number, n: number): Placed => ({
      txn: txnId(n),
      kind: 'decided',
      publication: { hlc: 1 as Hlc, cut: cut(seq), writes: [] },
    })
    const compacted: Placed = { txn: txnId(9), kind: 'compacted', hlc: 2 as Hlc }
    const packed = packStretch(HERE, 7, [at(1, 1), at(1, 2), compacted, at(1, 3), at(2, 4), at(1, 5)])
    expect(packed.origins).toEqual(ORIGINS)
    const back = unpackStretch(sent(packed)).placed.flatMap((one) =>
      one.kind === 'decided' ? [one.publication.cut] : [],
    )
    expect(back.map((one) => back.indexOf(one))).toEqual([0, 0, 0, 3, 4])
    expect(back[4]).toEqual(back[0])
  })

  test('holds views into the frame', () => {
    const write: SharedWrite = { key: 'k', value: { kind: 'inline', bytes: new Uint8Array([1, 2, 3]) } }
    const publication = { hlc: 1 as Hlc, cut: EMPTY_CUT, writes: [write] }
    const stretch = packStretch(HERE, 1, [{ txn: txnId(1), kind: 'decided', publication }])
    const frame = publicationFrames.encode([{ type: 'published', request: 0, ...stretch, ended: [] }])
    const [message] = publicationFrames.decode(frame)
    const [back] = unpackStretch(message as unknown as PackedStretch).placed
    const value = back?.kind === 'decided' ? back.publication.writes[0]?.value : undefined
    if (value?.kind !== 'inline') throw new Error('no inline value came')
    expect(value.bytes.buffer).toBe(frame.buffer)
  })

  const good = packStretch(HERE, 3, [
    {
      txn: txnId(1),
      kind: 'decided',
      publication: { hlc: 1 as Hlc, cut: new Map([[HERE, 2]]), writes: [] },
    },
  ])
  const decided = (cut: readonly (readonly [number, number])[]): PackedStretch => ({
    ...good,
    placed: [[txnId(1), 'decided', 1 as Hlc, 0, cut, []]],
  })
  const written = (...write: readonly unknown[]): PackedStretch =>
    ({ ...good, placed: [[txnId(1), 'decided', 1, 0, [], [['k', ...write]]]] }) as unknown as PackedStretch

  test.each<readonly [string, PackedStretch]>([
    ['an index that is not in the table', decided([[1, 1]])],
    ['an index of an empty table', { ...decided([[0, 1]]), origins: [] }],
    [
      'a cut with two places of one origin',
      decided([
        [0, 1],
        [0, 2],
      ]),
    ],
    ['an origin that is named twice', { ...good, origins: [HERE, HERE] }],
    ['a decision that sees its own place', decided([[0, 3]])],
    ['a decision that sees what comes after it', decided([[0, 4]])],
    ['a first place of 0', { ...good, first: 0 }],
    ['places beyond the last number', { ...good, first: Number.MAX_SAFE_INTEGER }],
    [
      'a compacted place with a cut',
      { ...good, placed: [[txnId(1), 'compacted', 1 as Hlc, 0, [[0, 1]], []]] },
    ],
    [
      'a compacted place with departures',
      { ...good, placed: [[txnId(1), 'compacted', 1 as Hlc, 1, [], []]] },
    ],
    [
      'a compacted place with writes',
      { ...good, placed: [[txnId(1), 'compacted', 1 as Hlc, 0, [], [['k', 'recorded', null, null, 0]]]] },
    ],
    ['an inline value without bytes', written('inline', null, null, 0)],
    ['a large value without its name', written('blob', null, null, 5)],
  ])('with %s is refused', (_, stretch) => {
    expect(() => unpackStretch(good)).not.toThrow()
    expect(() => unpackStretch(sent(stretch))).toThrow(malformed)
  })
})

test('a shared write comes back as it was', () => {
  fc.assert(
    fc.property(writes, (write) => {
      expect(unpackSharedWrite(packSharedWrite(write))).toEqual(write)
    }),
  )
})

/** States as histories have them: of random runs of a cluster. Its names are short; here they must be real ones. */
function statesOf(numbers: readonly number[]): readonly HistoryState[] {
  const world = new World(new Tape(numbers))
  while (!world.isOver) world.step()
  const names = new Map(
    [...world.places.keys()].map((name, i) => [name, `${name}@${String(i).padStart(24, '0')}`]),
  )
  const originOf = (name: Origin): Origin => names.get(name) as Origin
  const renamed = (cut: Cut): Cut =>
    cutOf(
      [...cut].map(([name, seq]) => [originOf(name), seq] as const),
      departuresOf(cut),
    )
  const txnOf = (name: TxnId): TxnId => txnId(Number(name.slice(1)))
  return world.nodes.map(({ history }) => {
    const { vector, compacted, horizon, orders, applied } = history.state()
    return {
      vector: renamed(vector),
      compacted: renamed(compacted),
      horizon,
      orders: orders.map(({ origin, first, txns }) => ({
        origin: originOf(origin),
        first,
        txns: txns.map(txnOf),
      })),
      applied: applied.map(({ txn, coordinates, publication }) => ({
        txn: txnOf(txn),
        coordinates: coordinates.map(({ origin, seq }) => ({ origin: originOf(origin), seq })),
        publication: { ...publication, cut: renamed(publication.cut) },
      })),
    }
  })
}

const departuresIn = ({ vector, applied }: HistoryState): readonly number[] => [
  departuresOf(vector),
  ...applied.map(({ publication }) => departuresOf(publication.cut)),
]

const tapes = fc.array(fc.nat(5039), { maxLength: 1_000, size: 'max' })

describe('a state', () => {
  test('of any history comes back as it was, and makes the same history', () => {
    fc.assert(
      fc.property(tapes, (numbers) => {
        for (const state of statesOf(numbers)) {
          const back = unpackState(packState(state))
          expect(back).toEqual(state)
          expect(departuresIn(back)).toEqual(departuresIn(state))
          const [direct, told] = [new History(), new History()]
          direct.install(state)
          told.install(back)
          for (const key of KEYS)
            expect(told.read(key, told.cut())?.applied.txn).toBe(direct.read(key, direct.cut())?.applied.txn)
        }
      }),
    )
  })

  test('names what it tells of once', () => {
    const txn = txnId(1)
    const key = 'a key that is long enough to be found'
    const history = new History()
    const publication = {
      hlc: 5 as Hlc,
      cut: new Map([[ORIGINS[0]!, 0]]),
      writes: [{ key, value: { kind: 'recorded' } as const }],
    }
    for (const origin of ORIGINS) history.apply(txn, publication, { origin, seq: 1 })
    history.apply(txnId(2), publication, { origin: HERE, seq: 1 })
    const text = Buffer.from(packState(history.state())).toString('latin1')
    for (const name of [txn, key, ...ORIGINS]) expect(text.split(name).length - 1, name).toBe(1)
    const { applied } = unpackState(packState(history.state()))
    expect(applied[0]!.publication.cut).toBe(applied[1]!.publication.cut)
  })

  const STATE = {
    origins: 0,
    txns: 1,
    keys: 2,
    cuts: 3,
    vector: 4,
    compacted: 5,
    horizon: 6,
    orders: 7,
    decisions: 8,
  }
  const history = new History()
  for (let seq = 1; seq <= 3; seq++) {
    const writes = [{ key: 'k', value: { kind: 'blob', blob: `b${seq}`, size: 9 } as const }]
    const cut = new Map([[HERE, seq - 1]])
    history.apply(txnId(seq), { hlc: seq as Hlc, cut, writes }, { origin: HERE, seq })
  }
  history.compact(HERE, 1)
  const good = packState(history.state())
  const changed = (field: keyof typeof STATE, value: unknown): Uint8Array => {
    const items = [...(unpack(good) as unknown[])]
    items[STATE[field]] = value
    return pack(items)
  }
  const decision = (...parts: readonly unknown[]): unknown => {
    const usual = [0, [[0, 2]], 2, 0, []]
    return [usual.map((part, i) => (parts[i] === undefined ? part : parts[i]))]
  }

  test('that was changed as below can be read without the change', () => {
    expect(unpackState(good)).toEqual(history.state())
    expect(unpackState(changed('decisions', decision())).applied).toHaveLength(1)
  })

  test.each<readonly [string, Uint8Array]>([
    ['no array', pack(7)],
    ['too few fields', pack([[], []])],
    ['an origin that is named twice', changed('origins', [HERE, HERE])],
    ['a transaction that is named twice', changed('txns', [txnId(2), txnId(2)])],
    ['a vector without orders', changed('orders', [])],
    ['an order of an index that is not there', changed('orders', [[1, 2, [0, 1]]])],
    ['an order of a transaction that is not there', changed('orders', [[0, 2, [0, 5]]])],
    ['an order that ends too early', changed('orders', [[0, 2, [0]]])],
    ['an order that goes on too long', changed('orders', [[0, 2, [0, 1, 1]]])],
    ['an order that begins too late', changed('orders', [[0, 3, [1]]])],
    [
      'two orders of one origin',
      changed('orders', [
        [0, 2, [0, 1]],
        [0, 2, [0, 1]],
      ]),
    ],
    ['what is compacted and was not applied', changed('compacted', [[0, 9]])],
    [
      'a vector of two places of one origin',
      changed('vector', [
        0,
        [
          [0, 3],
          [0, 4],
        ],
      ]),
    ],
    ['a decision that is not there', changed('decisions', decision(9))],
    ['a decision that stands nowhere', changed('decisions', decision(0, []))],
    ['a decision at a place that is not applied', changed('decisions', decision(0, [[0, 4]]))],
    ['a decision at place 0', changed('decisions', decision(0, [[0, 0]]))],
    ['a decision with a cut that is not there', changed('decisions', decision(0, [[0, 2]], 2, 77))],
    [
      'a write of a key that is not there',
      changed('decisions', decision(0, [[0, 2]], 2, 0, [[7, ['recorded', null, null, 0]]])),
    ],
    [
      'a write without its value',
      changed('decisions', decision(0, [[0, 2]], 2, 0, [[0, ['inline', null, null, 0]]])),
    ],
    ['a decision that is told twice', changed('decisions', [decision(), decision()].flat())],
  ])('with %s is refused', (_, packed) => {
    expect(() => unpackState(packed)).toThrow(malformed)
  })
})
