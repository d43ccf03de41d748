import type { Cut } from '../core/cut.js'
import type { Decision, Standing, StoredValue, StoredWrite } from '../core/decision.js'
import type { TxnId } from '../core/ids.js'
import type { Writes } from '../core/write-set.js'
import { VirgaError } from '../errors.js'
import { pack, unpack } from './msgpack.js'
import {
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
import { attempt, cut, hlc, packCut, txnId, unpackCut, writes } from './types.js'

/**
 * Records in storage. Each is a MessagePack array: the record version, what it is, its fields. Whatever can't be read is
 * `StorageCorrupt`: storage is the root of trust, and nothing is made up for it.
 */
const RECORD_VERSION = 1

const inlineOrBlob = tuple(text, oneOf('inline', 'blob', 'tombstone'), nullable(bytes), nullable(text), uint)

const COMMITTED = new Struct({ attempt, hlc, cut, writes: list(inlineOrBlob), result: nullable(bytes) })
const FENCED = new Struct({ upTo: attempt })
const ABORTED = new Struct({})
const PIN = new Struct({ attempt, deadlineMs: uint, cut })
const ORDER = new Struct({ first: uint, txns: list(txnId) })
const WRITE_SET = new Struct({ writes })
const FORMAT = new Struct({ layout: uint })
const MINUTE = new Struct({ minute: uint })

function encode<F extends Fields>(name: string, struct: Struct<F>, value: Shape<F>): Uint8Array {
  const items: unknown[] = [RECORD_VERSION, name]
  struct.write(value, items)
  return pack(items)
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

export function encodeStanding(standing: Standing): Uint8Array {
  switch (standing.status) {
    case 'committed':
      return encode('committed', COMMITTED, {
        attempt: standing.attempt,
        hlc: standing.hlc,
        cut: packCut(standing.cut),
        writes: standing.writes.map(packWrite),
        result: standing.result ?? null,
      })
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

function decision(fields: ReturnType<(typeof COMMITTED)['read']>): Decision {
  return {
    status: 'committed',
    attempt: fields.attempt,
    hlc: fields.hlc,
    cut: unpackCut(fields.cut),
    writes: fields.writes.map(unpackWrite),
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
