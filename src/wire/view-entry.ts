import type { Hlc } from '../core/hlc.js'
import { VirgaError } from '../errors.js'
import { dataOf, malformed, PLACE_BYTES, type Vector } from './view.js'

/** The entries of a view, one for each key: protocol/view.md. */

/** Where the bytes of an item of an entry are. */
export const ITEM_ABSENT = 0
export const ITEM_INLINE = 1
/** In a record of its own. */
export const ITEM_APART = 2
/** Not in the view: the node must be asked. */
export const ITEM_ELSEWHERE = 3

const ENTRY_HEAD = 2
const ITEM_HLC = 8
const ITEM_PLACES = 16
const ITEM_HEAD = 17
const VALUE_HEAD = 5
const NUMBER_BYTES = 8
const ITEMS_MAX = 255

/** What an entry writer begins with, and comes back to. It grows as it must. */
const ROOM_BYTES = 16 * 1024

/**
 * Writes entries one behind the other, without an object for each item. Items are written newest first. The last one may be the key's
 * base: of moment 0, which every snapshot sees. Else there may be more that is older than the items.
 */
export class EntryWriter {
  /** Bytes of each item of the last entry, newest first, until the next one begins. */
  readonly lengths: number[] = []
  #room: Buffer = Buffer.allocUnsafeSlow(ROOM_BYTES)
  #data = dataOf(this.#room)
  #start = 0
  #at = ENTRY_HEAD
  #itemAt = ENTRY_HEAD
  #hasEnded = false

  /** Begins an item. Its `places` places follow, and then its value. */
  item(moment: number, hlc: Hlc, places: number): void {
    if (this.#hasEnded) this.#begin()
    this.#measure()
    this.#itemAt = this.#at
    const at = this.#take(ITEM_HEAD)
    this.#data.setFloat64(at, moment, true)
    this.#data.setFloat64(at + ITEM_HLC, hlc, true)
    this.#data.setUint8(at + ITEM_PLACES, places)
  }

  place(origin: number, seq: number): void {
    const at = this.#take(PLACE_BYTES)
    this.#data.setUint32(at, origin, true)
    this.#data.setFloat64(at + 4, seq, true)
  }

  absent(): void {
    this.#value(ITEM_ABSENT, 0)
  }

  elsewhere(): void {
    this.#value(ITEM_ELSEWHERE, 0)
  }

  inline(bytes: Uint8Array): void {
    const at = this.#value(ITEM_INLINE, bytes.length)
    this.#room.set(bytes, at)
  }

  apart(number: number): void {
    const at = this.#value(ITEM_APART, NUMBER_BYTES)
    this.#data.setFloat64(at, number, true)
  }

  /**
   * The entry of the items since the last one. Its bytes are lent until `reset`.
   * @param endsWithBase the last item is the key's base
   */
  end(endsWithBase: boolean): Buffer {
    if (this.#hasEnded) this.#begin()
    this.#measure()
    this.#hasEnded = true
    writeHead(this.#room, this.#start, endsWithBase, this.lengths.length)
    return this.#room.subarray(this.#start, this.#at)
  }

  /** Nobody looks at what was written before: its room is used again. */
  reset(): void {
    if (this.#room.length > ROOM_BYTES) this.#use(Buffer.allocUnsafeSlow(ROOM_BYTES))
    this.#at = 0
    this.#begin()
  }

  #begin(): void {
    this.lengths.length = 0
    this.#start = this.#at
    this.#at += ENTRY_HEAD
    this.#itemAt = this.#at
    this.#hasEnded = false
    this.#fit()
  }

  /** The item that was begun last is complete. */
  #measure(): void {
    if (this.#at > this.#itemAt) this.lengths.push(this.#at - this.#itemAt)
  }

  #value(kind: number, length: number): number {
    const at = this.#take(VALUE_HEAD + length)
    this.#data.setUint8(at, kind)
    this.#data.setUint32(at + 1, length, true)
    return at + VALUE_HEAD
  }

  #take(length: number): number {
    const before = this.#at - this.#start
    this.#at += length
    this.#fit()
    return this.#start + before
  }

  /** Entries before this one keep the room that they are in. */
  #fit(): void {
    if (this.#at <= this.#room.length) return
    const length = this.#at - this.#start
    const next = Buffer.allocUnsafeSlow(Math.max(ROOM_BYTES, 2 * length))
    this.#room.copy(next, 0, this.#start)
    this.#itemAt -= this.#start
    this.#start = 0
    this.#at = length
    this.#use(next)
  }

  #use(room: Buffer): void {
    this.#room = room
    this.#data = dataOf(room)
  }
}

/** An entry that is kept, so that a version more costs an item more: newer items are put before the others, and the oldest taken away. */
export class KeptEntry {
  /** The items stand at its end, newest first, behind room for a head. */
  #room: Buffer
  #data: DataView
  #start: number
  #end: number
  readonly #lengths: number[]
  #endsWithBase: boolean

  /** Copies an entry. @param lengths of its items */
  constructor(entry: Uint8Array, lengths: readonly number[]) {
    this.#lengths = [...lengths]
    this.#endsWithBase = entry[0] === 1
    this.#room = Buffer.allocUnsafeSlow(2 * entry.length)
    this.#data = dataOf(this.#room)
    this.#end = this.#room.length
    this.#start = this.#end - entry.length + ENTRY_HEAD
    this.#room.set(entry.subarray(ENTRY_HEAD), this.#start)
  }

  get items(): number {
    return this.#lengths.length
  }

  get endsWithBase(): boolean {
    return this.#endsWithBase
  }

  /** As it is now. Its bytes are lent until it changes. */
  get bytes(): Buffer {
    const head = this.#start - ENTRY_HEAD
    writeHead(this.#room, head, this.#endsWithBase, this.#lengths.length)
    return this.#room.subarray(head, this.#end)
  }

  /** The clock of the last item; there is one. */
  get oldestHlc(): Hlc {
    return this.#data.getFloat64(this.#end - this.#lengths.at(-1)! + ITEM_HLC, true) as Hlc
  }

  /** The clock of the last item but one: when the last one was superseded. Undefined: there is none. */
  get oldestSuperseded(): Hlc | undefined {
    const { length } = this.#lengths
    if (length < 2) return undefined
    const at = this.#end - this.#lengths[length - 1]! - this.#lengths[length - 2]!
    return this.#data.getFloat64(at + ITEM_HLC, true) as Hlc
  }

  /** Puts the items of another entry before these. */
  prepend(newer: Uint8Array, lengths: readonly number[]): void {
    const length = newer.length - ENTRY_HEAD
    if (this.#start < length + ENTRY_HEAD) this.#makeRoom(length)
    this.#start -= length
    this.#room.set(newer.subarray(ENTRY_HEAD), this.#start)
    if (lengths.length === 1) this.#lengths.unshift(lengths[0]!)
    else this.#lengths.unshift(...lengths)
  }

  /** Takes the oldest item away. Returns whether its value has a record of its own. */
  drop(): boolean {
    const length = this.#lengths.pop() ?? 0
    this.#end -= length
    this.#endsWithBase = false
    const places = this.#data.getUint8(this.#end + ITEM_PLACES)
    return this.#data.getUint8(this.#end + ITEM_HEAD + places * PLACE_BYTES) === ITEM_APART
  }

  /** Moves the items to the end, for `length` bytes more. The room is two to four times as large as what is in it then. */
  #makeRoom(length: number): void {
    const used = this.#end - this.#start
    const wanted = 2 * (ENTRY_HEAD + length + used)
    const isFit = wanted <= this.#room.length && this.#room.length <= 2 * wanted
    const room = isFit ? this.#room : Buffer.allocUnsafeSlow(wanted)
    this.#room.copy(room, room.length - used, this.#start, this.#end)
    this.#start = room.length - used
    this.#end = room.length
    if (isFit) return
    this.#room = room
    this.#data = dataOf(room)
  }
}

/** How many an entry tells of. */
export function itemsOf(entry: Uint8Array): number {
  return entry[1] ?? 0
}

/** What a look into an entry comes to. */
export const FOUND = 0
export const FOUND_ABSENT = 1
export const FOUND_APART = 2
/** The node must be asked. */
export const NOT_FOUND = 3

/** Looks into one entry after the other without an allocation for each. */
export class EntryCursor {
  /** Of FOUND: where the value's bytes begin and end. */
  start = 0
  end = 0
  /** Of FOUND_APART: the number of the value's record. */
  number = 0

  /**
   * The newest item that a snapshot sees, in an entry of the first `length` bytes: by its moment, or by places if a vector is
   * given.
   * @param horizon a version that is not above it does not answer alone: the base would have to be compared
   * @throws VirgaError `Malformed`, or a RangeError where the bytes end too soon
   */
  find(data: DataView, length: number, moment: number, vector: Vector | undefined, horizon: number): number {
    if (length < ENTRY_HEAD) throw malformed('an entry of the view is too short')
    const endsWithBase = data.getUint8(0) === 1
    const count = data.getUint8(1)
    let at = ENTRY_HEAD
    for (let i = 0; i < count; i++) {
      if (at + ITEM_HEAD > length) throw malformed('an entry of the view ends too soon')
      const places = data.getUint8(at + ITEM_PLACES)
      const value = at + ITEM_HEAD + places * PLACE_BYTES
      if (value + VALUE_HEAD > length) throw malformed('an entry of the view ends too soon')
      const end = value + VALUE_HEAD + data.getUint32(value + 1, true)
      if (end > length) throw malformed('an entry of the view ends too soon')
      const isBase = endsWithBase && i === count - 1
      const sees =
        isBase ||
        (vector === undefined ? data.getFloat64(at, true) <= moment : seesAny(data, at, places, vector))
      if (sees) {
        if (!endsWithBase && data.getFloat64(at + ITEM_HLC, true) <= horizon) return NOT_FOUND
        return this.#take(data, value, end)
      }
      at = end
    }
    return NOT_FOUND
  }

  #take(data: DataView, at: number, end: number): number {
    this.start = at + VALUE_HEAD
    this.end = end
    switch (data.getUint8(at)) {
      case ITEM_ABSENT:
        return FOUND_ABSENT
      case ITEM_INLINE:
        return FOUND
      case ITEM_APART:
        if (end - this.start !== NUMBER_BYTES) throw malformed('an entry of the view names no value')
        this.number = data.getFloat64(this.start, true)
        return FOUND_APART
      case ITEM_ELSEWHERE:
        return NOT_FOUND
      default:
        throw malformed('an item of the view of no known kind')
    }
  }
}

function seesAny(data: DataView, item: number, places: number, vector: Vector): boolean {
  for (let i = 0; i < places; i++) {
    const at = item + ITEM_HEAD + i * PLACE_BYTES
    const seen = vector.get(data.getUint32(at, true))
    if (seen !== undefined && data.getFloat64(at + 4, true) <= seen) return true
  }
  return false
}

function writeHead(bytes: Uint8Array, at: number, endsWithBase: boolean, items: number): void {
  if (items > ITEMS_MAX) throw new VirgaError('Internal', `an entry of ${items} items`)
  bytes[at] = endsWithBase ? 1 : 0
  bytes[at + 1] = items
}
