import type { Coordinates } from '../core/cut.js'
import type { TxnId } from '../core/ids.js'
import { VirgaError } from '../errors.js'
import { pack, unpack } from './msgpack.js'
import { Struct, uint } from './schema.js'
import { origin, txnId } from './types.js'

/** What a commit gives its caller, to be shown on any node: the place of the commit, and its transaction. */
export interface SessionToken {
  readonly txn: TxnId
  readonly at: Coordinates
}

const TOKEN_VERSION = 1
/** A token of the longest node id takes fewer than 200. */
const TOKEN_CHARS_MAX = 512
const TOKEN = new Struct({ origin, seq: uint, txn: txnId })

export function encodeToken({ txn, at }: SessionToken): string {
  const items: unknown[] = [TOKEN_VERSION]
  TOKEN.write({ ...at, txn }, items)
  return Buffer.from(pack(items)).toString('base64url')
}

/** Throws `InvalidArgument`. */
export function decodeToken(token: string): SessionToken {
  try {
    if (token.length > TOKEN_CHARS_MAX) throw new VirgaError('Malformed', 'too long')
    const items = unpack(Buffer.from(token, 'base64url'))
    if (!Array.isArray(items) || items[0] !== TOKEN_VERSION)
      throw new VirgaError('Malformed', 'another version')
    const fields = TOKEN.read(items, 1)
    return { txn: fields.txn, at: { origin: fields.origin, seq: fields.seq } }
  } catch (cause) {
    throw new VirgaError('InvalidArgument', 'after takes the session token of a commit', { cause })
  }
}
