import { Packr } from 'msgpackr'
import { VirgaError } from '../errors.js'
import { packBriefly } from './packing.js'
import { skim } from './skim.js'

/**
 * Plain MessagePack: no records, no shared structures, 64-bit integers as numbers. Every MessagePack library reads what
 * this writes. Integers that take more than 32 bits are written as float 64, which carries them exactly up to 2^53; the
 * 64-bit integers of other writers are read as well. protocol/README.md says so to them.
 */
const packr = new Packr({ useRecords: false, int64AsType: 'number', variableMapSize: true })

/**
 * Copied from where it was packed: left to itself, the packer makes four times the room that it needs, and memory outside
 * of the heap is what has V8 look for garbage. With two values of 4 KiB a transaction that was a quarter of a client's time.
 */
export function pack(value: unknown): Uint8Array {
  const { bytes, isOwn } = packBriefly(packr, value)
  return isOwn ? bytes : Buffer.from(bytes)
}

/** The same where it was packed: to be used, or copied, before anything else is packed. */
export function packOnLoan(value: unknown): Uint8Array {
  return packBriefly(packr, value).bytes
}

/**
 * Decodes one MessagePack value that fills `bytes`, and holds nothing but nil, booleans, numbers, text, byte strings and
 * arrays; at most `valuesMax` of them. Throws `Malformed` or `LimitExceeded`. Byte strings in the result are views into
 * `bytes`.
 */
export function unpack(bytes: Uint8Array, valuesMax?: number): unknown {
  skim(bytes, valuesMax)
  try {
    return packr.unpack(bytes)
  } catch (cause) {
    throw new VirgaError('Malformed', 'bytes that are no MessagePack', { cause })
  }
}
