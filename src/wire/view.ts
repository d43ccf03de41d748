import type { Hlc } from '../core/hlc.js'
import type { Origin } from '../core/ids.js'
import { VirgaError } from '../errors.js'
import { isOriginText, sameText } from './origins.js'

/**
 * The records of a view but for its entries, byte by byte: protocol/view.md. Little-endian, numbers as doubles, since every language compares
 * them and all here are below 2^53. Origins go by numbers that a view gives them.
 */

export const VIEW_FORMAT = 1
/**
 * For so long after a beat the node tells nobody of a commit that is not in the view, whatever happens to it. So whoever
 * begins in the view within that time sees all that anyone was told of.
 */
export const VIEW_LEASE_MS = 2_000
export const META_KEY = 'm'
export const FLOOR_KEY = 'f'
/** What the origins' numbers stand for. */
export const ORIGINS_KEY = 'o'
/** Bytes of keys that LMDB takes, less what stands before. The entries of longer ones are not in the view. */
const KEY_BYTES_MAX = 1_900
const BYTES_PER_UNIT_MAX = 3
export const entryKey = (key: string): string => `k${key}`
export const valueKey = (number: number): string => `v${number}`

export function mayHaveEntry(key: string): boolean {
  return key.length * BYTES_PER_UNIT_MAX <= KEY_BYTES_MAX || Buffer.byteLength(key) <= KEY_BYTES_MAX
}

/** A version vector with numbers for origins. */
export type Vector = ReadonlyMap<number, number>
/** In the place of an origin's number: up to which number departed origins are seen though they are not named. */
export const DEPARTURES = 0

export interface ViewMeta {
  readonly isLive: boolean
  /** Snapshots of this moment and later see all that the bases in the view hold. */
  readonly floorMoment: number
  /** Moves when the floor record changes. */
  readonly floorVersion: number
  readonly horizon: Hlc
  /** When the node last said that it keeps the view up, by the machine's monotonic clock. */
  readonly beatMs: number
  readonly moment: number
  readonly epoch: number
  readonly vector: Vector
}

const META_FLOOR_MOMENT = 8
const META_FLOOR_VERSION = 16
const META_HORIZON = 24
const META_BEAT = 32
/** From here on the record is a snapshot: what a transaction that begins without a message takes with it. */
const META_SNAPSHOT = 40
const SNAPSHOT_EPOCH = 8
const SNAPSHOT_VECTOR = 16
export const PLACE_BYTES = 12

export function encodeMeta(meta: ViewMeta): Uint8Array {
  const bytes = new Uint8Array(META_SNAPSHOT + SNAPSHOT_VECTOR + vectorBytes(meta.vector))
  const data = new DataView(bytes.buffer)
  data.setUint32(0, VIEW_FORMAT, true)
  data.setUint32(4, meta.isLive ? 1 : 0, true)
  data.setFloat64(META_FLOOR_MOMENT, meta.floorMoment, true)
  data.setFloat64(META_FLOOR_VERSION, meta.floorVersion, true)
  data.setFloat64(META_HORIZON, meta.horizon, true)
  data.setFloat64(META_BEAT, meta.beatMs, true)
  writeSnapshot(data, META_SNAPSHOT, meta)
  return bytes
}

/** Reads the meta record again and again without an allocation for each time. */
export class MetaCursor {
  isLive = false
  floorMoment = 0
  floorVersion = 0
  horizon = 0
  beatMs = 0
  moment = 0
  epoch = 0

  /** Reads it from the first `length` bytes. Throws `Malformed`. */
  read(data: DataView, length: number): void {
    if (length < META_SNAPSHOT + SNAPSHOT_VECTOR + 4) throw malformed('the head of the view is too short')
    if (data.getUint32(0, true) !== VIEW_FORMAT) throw malformed('the view has another format')
    this.isLive = data.getUint32(4, true) === 1
    this.floorMoment = data.getFloat64(META_FLOOR_MOMENT, true)
    this.floorVersion = data.getFloat64(META_FLOOR_VERSION, true)
    this.horizon = data.getFloat64(META_HORIZON, true)
    this.beatMs = data.getFloat64(META_BEAT, true)
    this.moment = data.getFloat64(META_SNAPSHOT, true)
    this.epoch = data.getFloat64(META_SNAPSHOT + SNAPSHOT_EPOCH, true)
  }

  /** Whether that is the snapshot that the record ends with. */
  static endsWith(bytes: Uint8Array, length: number, snapshot: Uint8Array): boolean {
    if (length !== META_SNAPSHOT + snapshot.length) return false
    for (let i = 0; i < snapshot.length; i++) if (bytes[META_SNAPSHOT + i] !== snapshot[i]) return false
    return true
  }

  /** A copy of the snapshot that the record ends with. */
  static snapshotOf(bytes: Uint8Array, length: number): Uint8Array {
    return new Uint8Array(bytes.subarray(META_SNAPSHOT, length))
  }
}

export interface SnapshotRecord {
  readonly moment: number
  readonly epoch: number
  readonly vector: Vector
}

export function encodeSnapshot(snapshot: SnapshotRecord): Uint8Array {
  const bytes = new Uint8Array(SNAPSHOT_VECTOR + vectorBytes(snapshot.vector))
  writeSnapshot(new DataView(bytes.buffer), 0, snapshot)
  return bytes
}

/** Throws `Malformed`. */
export function decodeSnapshot(bytes: Uint8Array): SnapshotRecord {
  if (bytes.length < SNAPSHOT_VECTOR) throw malformed('a snapshot is too short')
  const data = dataOf(bytes)
  const moment = data.getFloat64(0, true)
  const epoch = data.getFloat64(SNAPSHOT_EPOCH, true)
  if (!Number.isSafeInteger(moment) || moment < 0)
    throw malformed('the moment of a snapshot is no whole number')
  return { moment, epoch, vector: decodeVector(bytes.subarray(SNAPSHOT_VECTOR)) }
}

export function encodeVector(vector: Vector): Uint8Array {
  const bytes = new Uint8Array(vectorBytes(vector))
  writeVector(new DataView(bytes.buffer), 0, vector)
  return bytes
}

/** Throws `Malformed`. */
export function decodeVector(bytes: Uint8Array): Map<number, number> {
  const data = dataOf(bytes)
  const vector = new Map<number, number>()
  const count = bytes.length < 4 ? -1 : data.getUint32(0, true)
  if (bytes.length !== 4 + count * PLACE_BYTES)
    throw malformed('a version vector has another length than it says')
  for (let i = 0; i < count; i++) {
    const at = 4 + i * PLACE_BYTES
    const seq = data.getFloat64(at + 4, true)
    if (!Number.isSafeInteger(seq) || seq < 0)
      throw malformed('a place in a version vector is no whole number')
    vector.set(data.getUint32(at, true), seq)
  }
  return vector
}

/** What the numbers stand for, from 1 on. An origin is ASCII. */
export function encodeOrigins(origins: readonly Origin[]): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(4 + origins.reduce((sum, origin) => sum + 1 + origin.length, 0))
  let at = bytes.writeUInt32LE(origins.length, 0)
  for (const origin of origins) {
    at = bytes.writeUInt8(origin.length, at)
    at += bytes.write(origin, at, 'latin1')
  }
  return bytes
}

/** Throws `Malformed`. */
export function decodeOrigins(bytes: Uint8Array): Origin[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const origins: Origin[] = []
  if (buffer.length < 4) throw malformed('the origins of a view are too short')
  let at = 4
  for (let left = buffer.readUInt32LE(0); left > 0; left--) {
    const end = at + 1 + (buffer[at] ?? 0)
    const name = buffer.toString('latin1', at + 1, end)
    if (end > buffer.length || !isOriginText(name)) throw malformed('what a number in a view stands for')
    origins.push(sameText(name))
    at = end
  }
  if (at !== buffer.length) throw malformed('the origins of a view are longer than they say')
  return origins
}

function vectorBytes(vector: Vector): number {
  return 4 + vector.size * PLACE_BYTES
}

function writeVector(data: DataView, start: number, vector: Vector): void {
  data.setUint32(start, vector.size, true)
  let at = start + 4
  for (const [origin, seq] of vector) {
    data.setUint32(at, origin, true)
    data.setFloat64(at + 4, seq, true)
    at += PLACE_BYTES
  }
}

function writeSnapshot(data: DataView, start: number, { moment, epoch, vector }: SnapshotRecord): void {
  data.setFloat64(start, moment, true)
  data.setFloat64(start + SNAPSHOT_EPOCH, epoch, true)
  writeVector(data, start + SNAPSHOT_VECTOR, vector)
}

export function dataOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export function malformed(why: string): VirgaError {
  return new VirgaError('Malformed', why)
}
