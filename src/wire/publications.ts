import { type Coordinates, type Cut, cutOf, departuresOf, EMPTY_CUT } from '../core/cut.js'
import type { HistoryState, StatedDecision } from '../core/history.js'
import type { Origin, TxnId } from '../core/ids.js'
import type { Placed, SharedValue, SharedWrite } from '../core/publication.js'
import { VirgaError } from '../errors.js'
import { pack, unpack } from './msgpack.js'
import { sameText } from './origins.js'
import type { PeerReplyOf } from './peer-messages.js'
import { bytes, type Infer, list, nullable, oneOf, Struct, text, tuple, uint } from './schema.js'
import { hlc, origin, txnId } from './types.js'

/**
 * Publications, and a whole history, as nodes tell them to each other. Nothing here is told twice in one message: origins
 * and transactions stand in a table, and are named by their index there.
 */

/** The fields of a stretch, in `published` and `fetched`. */
export type PackedStretch = Pick<PeerReplyOf<'fetched'>, 'origin' | 'first' | 'origins' | 'placed'>
type PackedPlaced = PackedStretch['placed'][number]
/** A write in `published`, `fetched` and `prepared`. */
export type PackedSharedWrite = PackedPlaced[5][number]
/** (index into the table of origins, seq). */
type PackedPairs = PackedPlaced[4]

/** Places of an origin in order, from `first` on. */
export interface Stretch {
  readonly origin: Origin
  readonly first: number
  readonly placed: readonly Placed[]
}

export function packStretch(origin: Origin, first: number, placed: readonly Placed[]): PackedStretch {
  const origins = new Table<Origin>()
  const cuts = new CutPacker(origins)
  return {
    origin,
    first,
    placed: placed.map((at): PackedPlaced => {
      if (at.kind === 'compacted') return [at.txn, 'compacted', at.hlc, 0, [], []]
      const { hlc, cut, writes } = at.publication
      return [at.txn, 'decided', hlc, departuresOf(cut), cuts.pack(cut), writes.map(packSharedWrite)]
    }),
    origins: origins.items,
  }
}

/** Throws `Malformed`. Byte strings stay views into the frame. Equal cuts that follow each other become one. */
export function unpackStretch({ origin, first, origins, placed }: PackedStretch): Stretch {
  if (first < 1 || !Number.isSafeInteger(first + placed.length)) {
    throw malformed(`a stretch of ${placed.length} places from ${first} on`)
  }
  const cuts = new CutUnpacker(origins)
  return {
    origin: sameText(origin),
    first,
    placed: placed.map(([txn, kind, hlc, departures, pairs, writes], i): Placed => {
      if (kind === 'compacted') {
        if (departures > 0 || pairs.length > 0 || writes.length > 0)
          throw malformed('a compacted place with a cut or writes')
        return { txn, kind, hlc }
      }
      const cut = cuts.unpack(departures, pairs)
      // It would be waited for by itself, for ever.
      if ((cut.get(origin) ?? 0) >= first + i) throw malformed('a decision whose cut sees its own place')
      return { txn, kind, publication: { hlc, cut, writes: writes.map(unpackSharedWrite) } }
    }),
  }
}

export function packSharedWrite({ key, value }: SharedWrite): PackedSharedWrite {
  return [key, ...packSharedValue(value)]
}

/** Throws `Malformed`. */
export function unpackSharedWrite([key, ...value]: PackedSharedWrite): SharedWrite {
  return { key, value: unpackSharedValue(value) }
}

/** Kind, bytes of an inline value, name of a blob, size in bytes. */
const sharedValue = tuple(
  oneOf('inline', 'recorded', 'blob', 'tombstone'),
  nullable(bytes),
  nullable(text),
  uint,
)

function packSharedValue(value: SharedValue): Infer<typeof sharedValue> {
  switch (value.kind) {
    case 'inline':
      return ['inline', value.bytes, null, value.bytes.length]
    case 'recorded':
      return ['recorded', null, null, 0]
    case 'blob':
      return ['blob', null, value.blob, value.size]
    case 'tombstone':
      return ['tombstone', null, null, 0]
  }
}

function unpackSharedValue([kind, inline, blob, size]: Infer<typeof sharedValue>): SharedValue {
  if (kind === 'inline' && inline !== null) return { kind, bytes: inline }
  if (kind === 'blob' && blob !== null) return { kind, blob, size }
  if (kind === 'recorded' || kind === 'tombstone') return { kind }
  throw malformed(`a write of kind ${kind} without its value`)
}

/** (index into `origins`, seq). */
const pairs = list(tuple(uint, uint))

/**
 * A history as one MessagePack array. `orders` and `decisions` name transactions by their index into `txns`, keys by
 * theirs into `keys`, and cuts by theirs into `cuts`.
 */
export const STATE = new Struct({
  origins: list(origin),
  txns: list(txnId),
  keys: list(text),
  /** The number up to which departed origins are not named, and those that are. */
  cuts: list(tuple(uint, pairs)),
  vector: tuple(uint, pairs),
  compacted: pairs,
  horizon: hlc,
  /** Origin, the first place that is remembered, and the transactions from there on. */
  orders: list(tuple(uint, uint, list(uint))),
  /** Transaction, coordinates, hlc, cut, and per write its key and value. */
  decisions: list(tuple(uint, pairs, hlc, uint, list(tuple(uint, sharedValue)))),
})
type PackedDecision = ReturnType<(typeof STATE)['read']>['decisions'][number]

/** MessagePack values in a state, arrays included. A decision of one write takes about 20. */
const STATE_VALUES_MAX = 134_217_728

export function packState(state: HistoryState): Uint8Array {
  const origins = new Table<Origin>()
  const txns = new Table<TxnId>()
  const keys = new Table<string>()
  const cuts = new Table<Cut>()
  const packer = new CutPacker(origins)
  const decisions = state.applied.map(
    ({ txn, coordinates, publication: { hlc, cut, writes } }): PackedDecision => [
      txns.indexOf(txn),
      coordinates.map(({ origin, seq }) => [origins.indexOf(origin), seq] as const),
      hlc,
      cuts.indexOf(cut),
      writes.map(({ key, value }) => [keys.indexOf(key), packSharedValue(value)] as const),
    ],
  )
  const fields = {
    cuts: cuts.items.map((cut) => [departuresOf(cut), packer.pack(cut)] as const),
    vector: [departuresOf(state.vector), packer.pack(state.vector)] as const,
    compacted: packer.pack(state.compacted),
    horizon: state.horizon,
    orders: state.orders.map(
      (order) =>
        [origins.indexOf(order.origin), order.first, order.txns.map((txn) => txns.indexOf(txn))] as const,
    ),
    decisions,
  }
  const items: unknown[] = []
  STATE.write({ ...fields, origins: origins.items, txns: txns.items, keys: keys.items }, items)
  return pack(items)
}

/** Throws `Malformed` or `LimitExceeded`. Byte strings are views into `packed`. */
export function unpackState(packed: Uint8Array): HistoryState {
  const items = unpack(packed, STATE_VALUES_MAX)
  if (!Array.isArray(items)) throw malformed('a state that is no array')
  const { txns, keys, horizon, ...fields } = STATE.read(items, 0)
  const origins = fields.origins.map(sameText)
  if (new Set(txns).size !== txns.length) throw malformed('a transaction that is told of twice')
  const unpacker = new CutUnpacker(origins)
  const cuts = fields.cuts.map((cut) => unpacker.unpack(...cut))
  const vector = unpacker.unpack(...fields.vector)
  const compacted = unpacker.unpack(0, fields.compacted)
  const orders = fields.orders.map(([index, first, order]) => ({
    origin: at(origins, index),
    first,
    txns: order.map((txn) => at(txns, txn)),
  }))
  const applied = fields.decisions.map(
    ([txn, coordinates, hlc, cut, writes]): StatedDecision => ({
      txn: at(txns, txn),
      coordinates: coordinates.map(([index, seq]): Coordinates => ({ origin: at(origins, index), seq })),
      publication: {
        hlc,
        cut: at(cuts, cut),
        writes: writes.map(([key, value]) => ({ key: at(keys, key), value: unpackSharedValue(value) })),
      },
    }),
  )
  const state: HistoryState = { vector, compacted, horizon, orders, applied }
  assertWhole(state)
  return state
}

/**
 * Refuses a state that is not one history's: an order that doesn't go from what is compacted to what is applied, or a
 * decision that stands nowhere. Installed, it would leave a gap in an order, which a cut would then promise to see.
 */
function assertWhole({ vector, compacted, orders, applied }: HistoryState): void {
  const ordered = new Map(orders.map((order) => [order.origin, order]))
  if (ordered.size !== orders.length) throw malformed('two orders of one origin')
  for (const [origin, seq] of vector) {
    const order = ordered.get(origin)
    if (order === undefined) throw malformed('an origin without its order')
    const { first, txns } = order
    if (first !== (compacted.get(origin) ?? 0) + 1 || first + txns.length - 1 !== seq) {
      throw malformed(`an order of places ${first} to ${first + txns.length - 1} where ${seq} is applied`)
    }
  }
  for (const origin of [...ordered.keys(), ...compacted.keys()])
    if (!vector.has(origin)) throw malformed('an order of an origin of which nothing is applied')
  const told = new Set<TxnId>()
  for (const { txn, coordinates } of applied) {
    if (told.has(txn)) throw malformed('a decision that is told of twice')
    told.add(txn)
    if (coordinates.length === 0) throw malformed('a decision that stands nowhere')
    for (const { origin, seq } of coordinates) {
      if (seq < 1 || seq > (vector.get(origin) ?? 0))
        throw malformed('a decision at a place that is not applied')
    }
  }
}

/** Values by index, each once. */
class Table<T> {
  readonly items: T[] = []
  readonly #indexes = new Map<T, number>()

  indexOf(item: T): number {
    let index = this.#indexes.get(item)
    if (index === undefined) {
      index = this.items.push(item) - 1
      this.#indexes.set(item, index)
    }
    return index
  }
}

class CutPacker {
  readonly #origins: Table<Origin>
  #last: Cut = EMPTY_CUT
  #packed: PackedPairs = []

  constructor(origins: Table<Origin>) {
    this.#origins = origins
  }

  pack(cut: Cut): PackedPairs {
    // Decisions that began at one moment share their cut.
    if (cut !== this.#last) {
      this.#last = cut
      this.#packed = Array.from(cut, ([origin, seq]) => [this.#origins.indexOf(origin), seq] as const)
    }
    return this.#packed
  }
}

class CutUnpacker {
  readonly #origins: readonly Origin[]
  #last: Cut = EMPTY_CUT
  #packed: PackedPairs = []

  /** Throws `Malformed`. */
  constructor(origins: readonly Origin[]) {
    if (new Set(origins).size !== origins.length) throw malformed('an origin that is named twice')
    this.#origins = origins.map(sameText)
  }

  unpack(departures: number, packed: PackedPairs): Cut {
    if (departures !== departuresOf(this.#last) || !samePairs(packed, this.#packed)) {
      const places = packed.map(([index, seq]) => [at(this.#origins, index), seq] as const)
      this.#last = cutOf(places, departures)
      this.#packed = packed
      if (this.#last.size !== packed.length) throw malformed('a cut with two places of one origin')
    }
    return this.#last
  }
}

function samePairs(a: PackedPairs, b: PackedPairs): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i]![0] !== b[i]![0] || a[i]![1] !== b[i]![1]) return false
  return true
}

function at<T>(table: readonly T[], index: number): T {
  const item = table[index]
  if (item === undefined) throw malformed(`index ${index} into a table of ${table.length}`)
  return item
}

function malformed(what: string): VirgaError {
  return new VirgaError('Malformed', `a peer tells of ${what}`)
}
