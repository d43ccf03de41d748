import type { Cut } from './cut.js'
import type { StoredValue } from './decision.js'
import type { Hlc } from './hlc.js'
import type { TxnId } from './ids.js'
import type { Applied, Source, Version } from './version.js'

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

/** Where a version's bytes are to be had, by what was told of it. */
export function sourceOf(value: SharedValue): Source {
  switch (value.kind) {
    case 'inline':
    case 'recorded':
      return 'inline'
    case 'blob':
      return { blob: value.blob, size: value.size }
    case 'tombstone':
      return 'tombstone'
  }
}

/** What is told of a decision that is applied. */
export function publicationOf({ hlc, cut, versions }: Applied): Publication {
  return { hlc, cut, writes: versions.map(sharedWriteOf) }
}

function sharedWriteOf({ key, source }: Version): SharedWrite {
  if (source === 'inline') return { key, value: { kind: 'recorded' } }
  return { key, value: source === 'tombstone' ? { kind: 'tombstone' } : { kind: 'blob', ...source } }
}
