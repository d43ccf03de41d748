import { type Cut, cutOf } from '../core/cut.js'
import type { Hlc } from '../core/hlc.js'
import { type Attempt, isAttempt, isTxnId, type Origin, type TxnId } from '../core/ids.js'
import { isOriginText, sameText } from './origins.js'
import { bytes, type Infer, list, nullable, type Type, text, textLike, tuple, uint } from './schema.js'

/** Types of the domain, as they stand on the wire and in storage. */

export const txnId: Type<TxnId> = textLike('txn id', isTxnId)
export const attempt: Type<Attempt> = textLike('attempt', isAttempt)
export const origin: Type<Origin> = textLike('origin', isOriginText)
export const hlc = uint as Type<number> as Type<Hlc>
export const cut = list(tuple(origin, uint))
/** Key and encoded value; nil deletes. */
export const writes = list(tuple(text, nullable(bytes)))

export function packCut(of: Cut): Infer<typeof cut> {
  return [...of]
}

/** @param departures up to which number it need not name those who departed */
export function unpackCut(pairs: Infer<typeof cut>, departures = 0): Cut {
  return cutOf(
    pairs.map(([origin, seq]) => [sameText(origin), seq]),
    departures,
  )
}
