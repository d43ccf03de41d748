import { type Options, Packr } from 'msgpackr'
import { VirgaError } from '../errors.js'
import { packBriefly } from './packing.js'

/**
 * A user's value as bytes. The first byte tells how to read the rest: 0, the bytes themselves; 1, MessagePack. Nodes and
 * storage never look inside.
 */
const RAW = 0
const MESSAGE_PACK = 1

const OPTIONS: Options & { readonly skipValues: readonly unknown[] } = {
  useRecords: false,
  variableMapSize: true,
  // An undefined property is left out, as JSON does.
  skipValues: [undefined],
  // What a caller gets is its own: changing it must not reach into a write set or a cache.
  copyBuffers: true,
}
const packr = new Packr(OPTIONS)

/** Throws `InvalidArgument` for what can't be carried: undefined, functions, symbols, cycles, too large integers. -0 becomes 0. */
export function encodeValue(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) {
    const out = new Uint8Array(value.length + 1)
    out.set(value, 1)
    return out
  }
  refuseUncarried(value, 0)
  let packed: Uint8Array
  try {
    packed = packBriefly(packr, value).bytes
  } catch (cause) {
    throw new VirgaError('InvalidArgument', 'a value that MessagePack does not carry', { cause })
  }
  const out = new Uint8Array(packed.length + 1)
  out[0] = MESSAGE_PACK
  out.set(packed, 1)
  return out
}

/** Throws `StorageCorrupt` if the bytes were not made by `encodeValue`. */
export function decodeValue(encoded: Uint8Array): unknown {
  // Of a Buffer, byte strings would be cut out as Buffers: what comes back must not depend on the way that it took.
  const plain = Buffer.isBuffer(encoded)
    ? new Uint8Array(encoded.buffer, encoded.byteOffset, encoded.length)
    : encoded
  return decodeValueIn(plain, 0, plain.length)
}

/** The same, of a part of an array that is no Buffer. Nothing of the array is kept. */
export function decodeValueIn(bytes: Uint8Array, start: number, end: number): unknown {
  const how = start < end ? bytes[start] : undefined
  if (how === RAW) return bytes.slice(start + 1, end)
  if (how !== MESSAGE_PACK) throw corrupt()
  try {
    return packr.unpack(bytes, { start: start + 1, end })
  } catch (cause) {
    throw corrupt(cause)
  }
}

function corrupt(cause?: unknown): VirgaError {
  return new VirgaError('StorageCorrupt', 'a value whose encoding is not known', { cause })
}

const DEPTH_MAX = 100

/** MessagePack libraries drop or bend some values in silence; here they are refused, so that what is read was written. */
function refuseUncarried(value: unknown, depth: number): void {
  switch (typeof value) {
    case 'undefined':
    case 'function':
    case 'symbol':
      throw new VirgaError(
        'InvalidArgument',
        `a value can't be or hold ${typeof value === 'undefined' ? 'undefined' : `a ${typeof value}`}`,
      )
    case 'string':
      if (!value.isWellFormed()) throw new VirgaError('InvalidArgument', 'text with a lone surrogate')
      return
    case 'bigint':
      if (BigInt.asIntN(64, value) !== value && BigInt.asUintN(64, value) !== value) {
        throw new VirgaError('InvalidArgument', 'an integer of more than 64 bits')
      }
      return
    case 'object':
      if (value === null || value instanceof Uint8Array) return
      if (value instanceof Date) {
        if (Number.isNaN(value.getTime())) throw new VirgaError('InvalidArgument', 'a date that is none')
        return
      }
      if (depth > DEPTH_MAX)
        throw new VirgaError('InvalidArgument', 'a value that is nested too deep, or contains itself')
      if (Array.isArray(value)) {
        for (const item of value) refuseUncarried(item, depth + 1)
        return
      }
      refuseClass(value)
      for (const [name, item] of Object.entries(value)) {
        if (name === '__proto__')
          throw new VirgaError('InvalidArgument', "a property can't be named __proto__")
        refuseUncarried(name, depth + 1)
        if (item !== undefined) refuseUncarried(item, depth + 1)
      }
  }
}

function refuseClass(value: object): void {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) return
  const name = value.constructor?.name ?? 'a class'
  throw new VirgaError(
    'InvalidArgument',
    `a value holds an instance of ${name}: give plain objects, arrays, Date or Uint8Array`,
  )
}
