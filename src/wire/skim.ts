import { isUtf8 } from 'node:buffer'
import { VirgaError } from '../errors.js'
import { limitExceeded } from '../limits.js'

/** Arrays within arrays. The deepest message of the protocol needs 6. */
const DEPTH_MAX = 12

/**
 * Walks over one MessagePack value without decoding it, and refuses (`Malformed`) what a decoder would choke on before it
 * could see that it is wrong: lengths that promise more than there is (a decoder allocates first), nesting without
 * end, types that the protocol doesn't use (maps, extensions), text that is no UTF-8 (a decoder makes the same
 * replacement character of all of it, so that two keys would become one), and bytes left over. Byte strings are stepped
 * over, so the cost is a few nanoseconds per field.
 *
 * More than `valuesMax` values, arrays included, are `LimitExceeded`: an empty array takes one byte here, and forty in
 * memory.
 */
export function skim(bytes: Uint8Array, valuesMax: number = Number.POSITIVE_INFINITY): void {
  /** How many values each open array still waits for. */
  const open: number[] = [1]
  let at = 0
  let values = 0
  while (open.length > 0) {
    const left = open[open.length - 1]!
    if (left === 0) {
      open.pop()
      continue
    }
    open[open.length - 1] = left - 1
    if (at >= bytes.length) throw malformed('ends too early')
    if (++values > valuesMax) throw limitExceeded('MessagePack', values, valuesMax, 'values')
    const type = bytes[at++]!
    const items = arrayLength(bytes, type, at)
    if (items === undefined) {
      at = skipScalar(bytes, type, at)
      continue
    }
    at += type === 0xdc ? 2 : type === 0xdd ? 4 : 0
    if (items > bytes.length - at) throw malformed('promises more items than there are bytes')
    if (open.length > DEPTH_MAX) throw malformed('is nested too deep')
    open.push(items)
  }
  if (at !== bytes.length) throw malformed('goes on after its end')
}

function arrayLength(bytes: Uint8Array, type: number, at: number): number | undefined {
  if (type >= 0x90 && type <= 0x9f) return type & 0x0f
  if (type === 0xdc) return readUint(bytes, at, 2)
  if (type === 0xdd) return readUint(bytes, at, 4)
  return undefined
}

/** Where the value after this one begins. */
function skipScalar(bytes: Uint8Array, type: number, at: number): number {
  const end = at + scalarBytes(bytes, type, at)
  if (end > bytes.length) throw malformed('ends too early')
  const prefix = textPrefix(type)
  if (prefix !== undefined && !isText(bytes, at + prefix, end)) throw malformed('has text that is no UTF-8')
  return end
}

/** Bytes of the length that stands before a text; undefined for what is no text. */
function textPrefix(type: number): number | undefined {
  if (type >= 0xa0 && type <= 0xbf) return 0
  if (type === 0xd9) return 1
  if (type === 0xda) return 2
  return type === 0xdb ? 4 : undefined
}

/** Up to this many bytes of ASCII are looked at here: a call of `isUtf8` costs as much. */
const SHORT_TEXT_BYTES = 48

function isText(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start
  if (end - start <= SHORT_TEXT_BYTES) while (at < end && bytes[at]! < 0x80) at++
  return at === end || isUtf8(bytes.subarray(at, end))
}

function scalarBytes(bytes: Uint8Array, type: number, at: number): number {
  if (type <= 0x7f || type >= 0xe0) return 0 // fixint
  if (type >= 0xa0 && type <= 0xbf) return type & 0x1f // fixstr
  switch (type) {
    case 0xc0: // nil
    case 0xc2: // false
    case 0xc3: // true
      return 0
    case 0xc4: // bin 8
    case 0xd9: // str 8
      return 1 + readUint(bytes, at, 1)
    case 0xc5: // bin 16
    case 0xda: // str 16
      return 2 + readUint(bytes, at, 2)
    case 0xc6: // bin 32
    case 0xdb: // str 32
      return 4 + readUint(bytes, at, 4)
    case 0xcc: // uint 8
    case 0xd0: // int 8
      return 1
    case 0xcd: // uint 16
    case 0xd1: // int 16
      return 2
    case 0xca: // float 32
    case 0xce: // uint 32
    case 0xd2: // int 32
      return 4
    case 0xcb: // float 64
    case 0xcf: // uint 64
    case 0xd3: // int 64
      return 8
    default:
      throw malformed(`has a type that the protocol doesn't use (0x${type.toString(16)})`)
  }
}

function readUint(bytes: Uint8Array, at: number, width: 1 | 2 | 4): number {
  if (at + width > bytes.length) throw malformed('ends too early')
  let value = 0
  for (let i = 0; i < width; i++) value = value * 256 + bytes[at + i]!
  return value
}

function malformed(what: string): VirgaError {
  return new VirgaError('Malformed', `MessagePack that ${what}`)
}
