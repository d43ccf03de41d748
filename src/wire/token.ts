import type { Coordinates } from '../core/cut.js'
import { isOrigin, isTxnId, type TxnId } from '../core/ids.js'
import { VirgaError } from '../errors.js'

/** What a commit gives its caller, to be shown on any node: the place of the commit, and its transaction. */
export interface SessionToken {
  readonly txn: TxnId
  readonly at: Coordinates
}

/**
 * Plain text, safe in headers: one is made for every commit and most are never looked at. The origin comes last, since
 * node ids may hold dots.
 */
const TOKEN = /^1\.(\d{1,16})\.([0-9a-f-]{36})\.([^\s]{1,128})$/

export function encodeToken({ txn, at }: SessionToken): string {
  return `1.${at.seq}.${txn}.${at.origin}`
}

/** Throws `InvalidArgument`. */
export function decodeToken(token: string): SessionToken {
  const [, seqText, txn, origin] = TOKEN.exec(token) ?? []
  const seq = Number(seqText)
  if (
    txn === undefined ||
    origin === undefined ||
    !isTxnId(txn) ||
    !isOrigin(origin) ||
    !Number.isSafeInteger(seq)
  ) {
    throw new VirgaError('InvalidArgument', 'after takes the session token of a commit')
  }
  return { txn, at: { origin, seq } }
}
