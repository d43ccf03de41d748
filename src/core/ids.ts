import { VirgaError } from '../errors.js'
import { toHex } from './bytes.js'
import { type Hlc, hlcAt, hlcMs } from './hlc.js'

/** A transaction id: a UUIDv7 in lower-case text. Its first 48 bits are its creation time in milliseconds. */
export type TxnId = string & { readonly brand: 'TxnId' }

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const TIME_MS_MAX = 2 ** 48 - 1

/** Random bytes that one id takes. */
export const TXN_ID_ENTROPY_BYTES = 10

export function isTxnId(text: string): text is TxnId {
  return text.length === 36 && UUID_V7.test(text)
}

/** Reads a transaction id that a caller gave. Upper case is accepted. Throws `InvalidArgument`. */
export function parseTxnId(text: unknown): TxnId {
  if (typeof text === 'string') {
    const lower = text.toLowerCase()
    if (isTxnId(lower)) return lower
  }
  throw new VirgaError('InvalidArgument', `a transaction id is a UUIDv7, got ${JSON.stringify(text)}`)
}

/** Lays out a UUIDv7 (RFC 9562, 5.7): 48 bits of time, version, 12 bits, variant, 62 bits. */
export function makeTxnId(timeMs: number, entropy: Uint8Array): TxnId {
  if (!Number.isInteger(timeMs) || timeMs < 0 || timeMs > TIME_MS_MAX) {
    throw new VirgaError(
      'InvalidArgument',
      `the time of an id is in whole milliseconds of this age, got ${timeMs}`,
    )
  }
  const time = timeMs.toString(16).padStart(12, '0')
  const tail = toHex(entropy)
  const variant = ((entropy[2]! & 0x3f) | 0x80).toString(16)
  return `${time.slice(0, 8)}-${time.slice(8)}-7${tail.slice(1, 4)}-${variant}${tail.slice(6, 8)}-${tail.slice(8, 20)}` as TxnId
}

/** When an id was made, in milliseconds since the Unix epoch, by the clock of whoever made it. */
export function txnTimeMs(id: TxnId): number {
  return Number.parseInt(id.slice(0, 8), 16) * 2 ** 16 + Number.parseInt(id.slice(9, 13), 16)
}

/**
 * One try at a transaction, as text that sorts by time: 14 hex digits of the clock at its begin, then 10 random ones,
 * so that two nodes never make the same attempt. A later attempt compares greater.
 */
export type Attempt = string & { readonly brand: 'Attempt' }

export const ATTEMPT_ENTROPY_BYTES = 5
/** A clock is below 2^53: what was beyond would stop the clock of whoever hears of it. */
const ATTEMPT = /^[01][0-9a-f]{23}$/

export function isAttempt(text: string): text is Attempt {
  return ATTEMPT.test(text)
}

export function makeAttempt(at: Hlc, entropy: Uint8Array): Attempt {
  return (at.toString(16).padStart(14, '0') + toHex(entropy)) as Attempt
}

/** The clock at which an attempt began. A clock that heard of it makes only later attempts. */
export function attemptHlc(attempt: Attempt): Hlc {
  return Number.parseInt(attempt.slice(0, 14), 16) as Hlc
}

/** The attempt that is above every attempt begun in or before the millisecond of `at`. For fences. */
export function attemptCeiling(at: Hlc): Attempt {
  return `${hlcAt(hlcMs(at) + 1)
    .toString(16)
    .padStart(14, '0')}0000000000` as Attempt
}

/** One incarnation of a node: `<node id>@<hlc at boot, hex>`. A restart is a new origin. */
export type Origin = string & { readonly brand: 'Origin' }

const NODE_ID = /^[A-Za-z0-9._-]{1,64}$/
const ORIGIN = /^[A-Za-z0-9._-]{1,64}@[01][0-9a-f]{23}$/

export function isNodeId(text: string): boolean {
  return NODE_ID.test(text)
}

export function isOrigin(text: string): text is Origin {
  return ORIGIN.test(text)
}

/** `incarnation` is an attempt-like stamp: time of boot, and entropy so that two boots never share an origin. */
export function makeOrigin(nodeId: string, bootAt: Hlc, entropy: Uint8Array): Origin {
  return `${nodeId}@${makeAttempt(bootAt, entropy)}` as Origin
}

/** When it booted, as text that sorts as time does. */
export function originStamp(origin: Origin): string {
  return origin.slice(origin.lastIndexOf('@') + 1)
}
