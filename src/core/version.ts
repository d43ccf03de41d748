import type { Coordinates, Cut } from './cut.js'
import { sees } from './cut.js'
import type { Hlc } from './hlc.js'
import type { Attempt, TxnId } from './ids.js'

/**
 * One applied decision: what all the versions that it wrote share. A decision that several nodes found after its
 * origin died has coordinates of each, and is visible if a cut sees any of them.
 */
export interface Applied {
  readonly txn: TxnId
  readonly hlc: Hlc
  /** The snapshot that it read: whoever is told of it applies these first. */
  readonly cut: Cut
  readonly coordinates: Coordinates[]
  /** The history's moment at which it was applied: what began here at that moment or later sees it, nothing earlier does. */
  readonly moment: number
  /** Its clock was not above the history's horizon when it was applied: newer versions of its keys may have left before. */
  readonly isLate: boolean
  readonly versions: readonly Version[]
  /**
   * The attempt that committed, where that and the clock are all that its marker needs: it was decided here, without a result
   * and without large values, and its keys were not claimed. Then nobody need read its record to compact it, as long as what it
   * wrote is cached.
   */
  plainAttempt?: Attempt | undefined
}

/** Where the bytes of a version come from when they are not cached. `inline`: from the record of its decision. */
export type Source = 'inline' | 'tombstone' | { readonly blob: string; readonly size: number }

/** One value of one key. Its bytes are cached apart from the history: `index` is its place in its decision's record. */
export interface Version {
  readonly key: string
  readonly index: number
  readonly applied: Applied
  readonly source: Source
}

/** What versions are ordered by. */
export interface Stamp {
  readonly hlc: Hlc
  readonly txn: TxnId
}

/** The order of versions: by clock, then by transaction id. Positive if `a` is newer. */
export function compareStamps(a: Stamp, b: Stamp): number {
  if (a.hlc !== b.hlc) return a.hlc - b.hlc
  return a.txn < b.txn ? -1 : a.txn > b.txn ? 1 : 0
}

export function isVisible(applied: Applied, cut: Cut): boolean {
  const { coordinates } = applied
  for (let i = 0; i < coordinates.length; i++) if (sees(cut, coordinates[i]!)) return true
  return false
}
