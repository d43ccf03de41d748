import { VirgaError } from './errors.js'

/** What a client and a node accept. The node's are in force; a client learns them when it connects, and checks first. */
export interface Limits {
  /** A key: 1 to this many bytes of UTF-8. */
  readonly keyBytesMax: number
  /** An encoded value. */
  readonly valueBytesMax: number
  /** All keys and values that one function execution writes. */
  readonly writeSetBytesMax: number
  readonly writeSetKeysMax: number
  /** A function's encoded result, which its decision keeps. */
  readonly resultBytesMax: number
  /** One frame between executor and node. Must have room for a value of the largest size. */
  readonly frameBytesMax: number
}

const KIB = 1024
const MIB = 1024 * KIB

export const DEFAULT_LIMITS: Limits = {
  keyBytesMax: KIB,
  valueBytesMax: 16 * MIB,
  writeSetBytesMax: 64 * MIB,
  writeSetKeysMax: 10_000,
  resultBytesMax: 256 * KIB,
  frameBytesMax: 18 * MIB,
}

export function limitExceeded(what: string, actual: number, max: number, unit: string): VirgaError {
  return new VirgaError('LimitExceeded', `${what} has ${actual} ${unit}; the limit is ${max}`)
}
