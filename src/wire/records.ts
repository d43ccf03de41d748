import type { Guard } from '../core/claim.js'
import type { Cut } from '../core/cut.js'
import type { Decision, Standing, StoredValue, StoredWrite } from '../core/decision.js'
import type { Hlc } from '../core/hlc.js'
import type { Origin, TxnId } from '../core/ids.js'
import type { Stamp } from '../core/version.js'
import type { Writes } from '../core/write-set.js'
import { VirgaError } from '../errors.js'
import type { Rooms } from '../rooms.js'
import { pack, packOnLoan, unpack } from './msgpack.js'
import {
  bool,
  bytes,
  type Fields,
  type Infer,
  list,
  nullable,
  oneOf,
  type Shape,
  Struct,
  text,
  tuple,
  uint,
} from './schema.js'
import { attempt, cut, hlc, origin, packCut, txnId, unpackCut, writes } from './types.js'

/**
 * Records in storage. Each is a MessagePack array: the record version, what it is, its fields. Whatever can't be read is
 * `StorageCorrupt`: storage is the root of trust, and nothing is made up for it.
 */
const RECORD_VERSION = 1

const inlineOrBlob = tuple(text, oneOf('inline', 'blob', 'tombstone'), nullable(bytes), nullable(text), uint)

const COMMITTED = new Struct({
  attempt,
  hlc,
  cut,
  writes: list(inlineOrBlob),
  claimed: bool,
  result: nullable(bytes),
})
const COMPACTED = new Struct({ attempt, hlc, result: nullable(bytes), blobs: list(text) })
const FENCED = new Struct({ upTo: attempt })
const ABORTED = new Struct({})
const PIN = new Struct({ attempt, deadlineMs: uint, cut })
const ORDER = new Struct({ first: uint, txns: list(txnId) })
const WRITE_SET = new Struct({ writes })
const BASE = new Struct({
  hlc,
  txn: txnId,
  value: tuple(oneOf('inline', 'blob', 'tombstone'), nullable(bytes), nullable(text), uint),
  stale: nullable(tuple(txnId, text)),
})
const GUARD = new Struct({ last: nullable(txnId), claimant: nullable(tuple(txnId, attempt)) })
const LEASE = new Struct({
  origin,
  renewal: uint,
  address: nullable(tuple(text, text, nullable(text))),
  serving: bool,
  ttlMs: uint,
  low: cut,
  applied: cut,
  nowMs: uint,
  departed: uint,
})
const WATERMARK = new Struct({ cut, joins: uint, restored: list(cut) })
const COMPACTED_VECTOR = new Struct({ cut, horizon: hlc })
const DEPARTED = new Struct({ last: uint, origins: list(tuple(origin, uint, uint, uint)) })
const FORMAT = new Struct({ layout: uint })
const MINUTE = new Struct({ minute: uint })

function encode<F extends Fields>(name: string, struct: Struct<F>, value: Shape<F>): Uint8Array {
  return pack(itemsOf(name, struct, value))
}

function itemsOf<F extends Fields>(name: string, struct: Struct<F>, value: Shape<F>): unknown[] {
  const items: unknown[] = [RECORD_VERSION, name]
  struct.write(value, items)
  return items
}

function parse(record: Uint8Array): { readonly name: unknown; readonly items: readonly unknown[] } {
  return guarded(() => {
    const items = unpack(record)
    if (!Array.isArray(items) || items[0] !== RECORD_VERSION) {
      throw new VirgaError('StorageCorrupt', 'a record of a version that this node does not know')
    }
    return { name: items[1], items }
  })
}

function guarded<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (VirgaError.is(cause) && cause.code === 'StorageCorrupt') throw cause
    throw new VirgaError('StorageCorrupt', 'a record that can not be read', { cause })
  }
}

function decode<F extends Fields>(name: string, struct: Struct<F>, record: Uint8Array): Shape<F> {
  const parsed = parse(record)
  if (parsed.name !== name)
    throw new VirgaError('StorageCorrupt', `a record of kind ${String(parsed.name)} where ${name} is due`)
  return guarded(() => struct.read(parsed.items, 2))
}

/** The record of a decision, in a room that the caller gives back. */
export function encodeDecision(decision: Decision, rooms: Rooms): Buffer {
  const bytes = packOnLoan(itemsOf('committed', COMMITTED, fieldsOf(decision)))
  const record = rooms.take(bytes.length)
  record.set(bytes)
  return record
}

export function encodeStanding(standing: Standing): Uint8Array {
  switch (standing.status) {
    case 'committed':
      return encode('committed', COMMITTED, fieldsOf(standing))
    case 'compacted':
      return encode('compacted', COMPACTED, { ...standing, result: standing.result ?? null })
    case 'fenced':
      return encode('fenced', FENCED, { upTo: standing.upTo })
    case 'aborted':
      return encode('aborted', ABORTED, {})
  }
}

export function decodeStanding(record: Uint8Array): Standing {
  const { name, items } = parse(record)
  return guarded(() => {
    switch (name) {
      case 'committed':
        return decision(COMMITTED.read(items, 2))
      case 'compacted': {
        const { attempt, hlc, result, blobs } = COMPACTED.read(items, 2)
        return { status: 'compacted', attempt, hlc, result: result ?? undefined, blobs }
      }
      case 'fenced':
        return { status: 'fenced', upTo: FENCED.read(items, 2).upTo }
      case 'aborted':
        ABORTED.read(items, 2)
        return { status: 'aborted' }
      default:
        throw new VirgaError('StorageCorrupt', `a record of kind ${String(name)} where a decision is due`)
    }
  })
}

function fieldsOf({ attempt, hlc, cut, writes, claimed, result }: Decision) {
  return { attempt, hlc, cut: packCut(cut), writes: writes.map(packWrite), claimed, result: result ?? null }
}

function decision(fields: ReturnType<(typeof COMMITTED)['read']>): Decision {
  return {
    status: 'committed',
    attempt: fields.attempt,
    hlc: fields.hlc,
    cut: unpackCut(fields.cut),
    writes: fields.writes.map(unpackWrite),
    claimed: fields.claimed,
    result: fields.result ?? undefined,
  }
}

function packWrite({ key, value }: StoredWrite): Infer<typeof inlineOrBlob> {
  switch (value.kind) {
    case 'inline':
      return [key, 'inline', value.bytes, null, value.bytes.length]
    case 'blob':
      return [key, 'blob', null, value.blob, value.size]
    case 'tombstone':
      return [key, 'tombstone', null, null, 0]
  }
}

function unpackWrite([key, kind, inline, blob, size]: Infer<typeof inlineOrBlob>): StoredWrite {
  return { key, value: unpackValue(kind, inline, blob, size) }
}

function unpackValue(
  kind: StoredValue['kind'],
  inline: Uint8Array | null,
  blob: string | null,
  size: number,
): StoredValue {
  if (kind === 'inline' && inline !== null) return { kind, bytes: inline }
  if (kind === 'blob' && blob !== null) return { kind, blob, size }
  if (kind === 'tombstone') return { kind }
  throw new VirgaError('StorageCorrupt', `a write of kind ${kind} without its value`)
}

/** A key's newest version at or below the watermark, with its value. */
export interface Base extends Stamp {
  readonly value: StoredValue
  /** The large value that the base before this one had: it is deleted once this one stands. */
  readonly stale: { readonly txn: TxnId; readonly blob: string } | undefined
}

export function encodeBase({ hlc, txn, value, stale }: Base): Uint8Array {
  const [, kind, bytes, blob, size] = packWrite({ key: '', value })
  return encode('base', BASE, {
    hlc,
    txn,
    value: [kind, bytes, blob, size],
    stale: stale ? [stale.txn, stale.blob] : null,
  })
}

export function decodeBase(record: Uint8Array): Base {
  const { hlc, txn, value, stale } = decode('base', BASE, record)
  return guarded(() => ({
    hlc,
    txn,
    value: unpackValue(...value),
    stale: stale === null ? undefined : { txn: stale[0], blob: stale[1] },
  }))
}

export function encodeGuard({ last, claimant }: Guard): Uint8Array {
  return encode('guard', GUARD, {
    last: last ?? null,
    claimant: claimant === undefined ? null : [claimant.txn, claimant.attempt],
  })
}

export function decodeGuard(record: Uint8Array): Guard {
  const { last, claimant } = decode('guard', GUARD, record)
  return {
    last: last ?? undefined,
    claimant: claimant === null ? undefined : { txn: claimant[0], attempt: claimant[1] },
  }
}

/** Where other nodes reach a node: its requests, its publications, and what it proves to own; null: it speaks in plain text. */
export interface LeasedAddress {
  readonly requests: string
  readonly publications: string
  readonly publicKey: string | null
}

/** What a member tells of itself, renewed every few seconds. */
export interface Lease {
  readonly origin: Origin
  /** Grows with each renewal. */
  readonly renewal: number
  /** Without one the node can't be reached, or is not up yet. */
  readonly address: LeasedAddress | undefined
  readonly serving: boolean
  readonly ttlMs: number
  /** What every snapshot of this node includes. */
  readonly low: Cut
  readonly applied: Cut
  /** The wall clock of the node, in milliseconds since the Unix epoch. */
  readonly nowMs: number
  /** Departures up to this number are known there: nothing of those origins is in its chains. */
  readonly departed: number
}

export function encodeLease({ address, low, applied, ...lease }: Lease): Uint8Array {
  return encode('lease', LEASE, {
    ...lease,
    address: address === undefined ? null : [address.requests, address.publications, address.publicKey],
    low: packCut(low),
    applied: packCut(applied),
  })
}

export function decodeLease(record: Uint8Array): Lease {
  const { address, low, applied, ...lease } = decode('lease', LEASE, record)
  return {
    ...lease,
    address:
      address === null
        ? undefined
        : { requests: address[0], publications: address[1], publicKey: address[2] },
    low: unpackCut(low),
    applied: unpackCut(applied),
  }
}

/** The watermark in force. */
export interface Watermark {
  readonly cut: Cut
  /** Grows whenever a node joins or returns, so that whoever computed a watermark without it fails to raise it. */
  readonly joins: number
  /**
   * Whoever sees all of one of these sees all that `cut` sees, by other places: nodes that were restored from storage alone,
   * where nobody could tell any more what stood at the places of the dead, gave all that they found places of their own.
   */
  readonly restored: readonly Cut[]
}

export function encodeWatermark({ cut, joins, restored }: Watermark): Uint8Array {
  return encode('watermark', WATERMARK, { cut: packCut(cut), joins, restored: restored.map(packCut) })
}

export function decodeWatermark(record: Uint8Array): Watermark {
  const { cut, joins, restored } = decode('watermark', WATERMARK, record)
  return { cut: unpackCut(cut), joins, restored: restored.map(unpackCut) }
}

/** How far collection has come. */
export interface Compacted {
  readonly cut: Cut
  /** No clock of what was compacted is above it. */
  readonly horizon: Hlc
}

export function encodeCompacted({ cut, horizon }: Compacted): Uint8Array {
  return encode('compacted vector', COMPACTED_VECTOR, { cut: packCut(cut), horizon })
}

export function decodeCompacted(record: Uint8Array): Compacted {
  const { cut, horizon } = decode('compacted vector', COMPACTED_VECTOR, record)
  return { cut: unpackCut(cut), horizon }
}

/** An origin that is dead, and of which everything, up to `seq`, is compacted. */
export interface Departure {
  readonly origin: Origin
  readonly seq: number
  /** Departures are numbered in their order. */
  readonly number: number
  /** When it was written down, in milliseconds since the Unix epoch. */
  readonly atMs: number
}

export interface Departed {
  /** The highest number ever given out. */
  readonly last: number
  readonly departures: readonly Departure[]
}

export function encodeDeparted({ last, departures }: Departed): Uint8Array {
  const origins = departures.map(({ origin, seq, number, atMs }) => [origin, seq, number, atMs] as const)
  return encode('departed', DEPARTED, { last, origins })
}

export function decodeDeparted(record: Uint8Array): Departed {
  const { last, origins } = decode('departed', DEPARTED, record)
  return { last, departures: origins.map(([origin, seq, number, atMs]) => ({ origin, seq, number, atMs })) }
}

/** A pinned cut: a durable context reads it until `deadlineMs`. */
export interface Pin {
  readonly attempt: Infer<typeof attempt>
  readonly deadlineMs: number
  readonly cut: Cut
}

export function encodePin(pin: Pin): Uint8Array {
  return encode('pin', PIN, { ...pin, cut: packCut(pin.cut) })
}

export function decodePin(record: Uint8Array): Pin {
  const pin = decode('pin', PIN, record)
  return { ...pin, cut: unpackCut(pin.cut) }
}

/** A stretch of an origin's publication order: `txns[i]` is at place `first + i`. */
export interface OrderStretch {
  readonly first: number
  readonly txns: readonly TxnId[]
}

export function encodeOrder(stretch: OrderStretch): Uint8Array {
  return encode('order', ORDER, stretch)
}

export function decodeOrder(record: Uint8Array): OrderStretch {
  return decode('order', ORDER, record)
}

export function encodeWriteSet(of: Writes): Uint8Array {
  return encode('write set', WRITE_SET, { writes: [...of] })
}

export function decodeWriteSet(record: Uint8Array): Writes {
  return new Map(decode('write set', WRITE_SET, record).writes)
}

export function encodeFormat(layout: number): Uint8Array {
  return encode('format', FORMAT, { layout })
}

export function decodeFormat(record: Uint8Array): number {
  return decode('format', FORMAT, record).layout
}

/** The checkpoint, and the ceiling: minutes since the Unix epoch. */
export function encodeMinute(minute: number): Uint8Array {
  return encode('minute', MINUTE, { minute })
}

export function decodeMinute(record: Uint8Array): number {
  return decode('minute', MINUTE, record).minute
}
