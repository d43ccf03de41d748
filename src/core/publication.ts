import type { Cut } from './cut.js'
import type { StoredValue } from './decision.js'
import type { Hlc } from './hlc.js'
import type { TxnId } from './ids.js'

/** `recorded`: the bytes stand in the decision's record in storage, and were left out to save the way. */
export type SharedValue = StoredValue | { readonly kind: 'recorded' }

export interface SharedWrite {
  readonly key: string
  readonly value: SharedValue
}

/** What nodes tell each other of a decision: all that a history needs. */
export interface Publication {
  readonly hlc: Hlc
  readonly cut: Cut
  readonly writes: readonly SharedWrite[]
}

/**
 * What stands at one place of an origin's publication order: a decision, or one that has been compacted since: it is in
 * the bases, and no clock of it is above `hlc`.
 */
export type Placed =
  | { readonly txn: TxnId; readonly kind: 'decided'; readonly publication: Publication }
  | { readonly txn: TxnId; readonly kind: 'compacted'; readonly hlc: Hlc }
