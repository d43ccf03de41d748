import { type StoredValue, type StoredWrite, TOMBSTONE } from './decision.js'
import type { Writes } from './write-set.js'

/** A value that is stored apart from its decision, under a name that the decision refers to. */
export interface PlacedBlob {
  readonly blob: string
  readonly bytes: Uint8Array
}

export interface Placement {
  readonly writes: readonly StoredWrite[]
  readonly blobs: readonly PlacedBlob[]
}

export interface PlacementLimits {
  readonly inlineValueBytesMax: number
  readonly inlineDecisionBytesMax: number
}

/**
 * Decides which values go into a decision and which are stored apart: those that are too large by themselves, and then the
 * largest, until what is left fits.
 */
export function placeWrites(writes: Writes, limits: PlacementLimits, nameBlob: () => string): Placement {
  const apart = tooLarge(writes, limits)
  const blobs: PlacedBlob[] = []
  const placed: StoredWrite[] = []
  for (const [key, bytes] of writes) {
    let value: StoredValue
    if (bytes === null) value = TOMBSTONE
    else if (apart === undefined || !apart.has(key)) value = { kind: 'inline', bytes }
    else {
      const blob = nameBlob()
      value = { kind: 'blob', blob, size: bytes.length }
      blobs.push({ blob, bytes })
    }
    placed.push({ key, value })
  }
  return { writes: placed, blobs }
}

/** Keys of values that do not fit; undefined, as is usual, if all do. */
function tooLarge(writes: Writes, limits: PlacementLimits): ReadonlySet<string> | undefined {
  const { inlineValueBytesMax, inlineDecisionBytesMax } = limits
  let largest = 0
  let sum = 0
  for (const bytes of writes.values()) {
    if (bytes === null) continue
    if (bytes.length > largest) largest = bytes.length
    sum += bytes.length
  }
  if (largest <= inlineValueBytesMax && sum <= inlineDecisionBytesMax) return undefined
  const apart = new Set<string>()
  const bySize = [...writes].sort(([, a], [, b]) => (b?.length ?? 0) - (a?.length ?? 0))
  for (const [key, bytes] of bySize) {
    if (bytes === null || (bytes.length <= inlineValueBytesMax && sum <= inlineDecisionBytesMax)) break
    apart.add(key)
    sum -= bytes.length
  }
  return apart
}
