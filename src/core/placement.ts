import { type StoredValue, type StoredWrite, TOMBSTONE } from './decision.js'

/** A value that is stored apart from its decision, under a name that the decision refers to. */
export interface PlacedBlob {
  readonly blob: string
  readonly bytes: Uint8Array
}

/** A value that is in storage already. */
export type StoredBlob = Extract<StoredValue, { kind: 'blob' }>

/** All that a transaction writes: encoded values, null where it deletes. */
export type AllWrites = ReadonlyMap<string, Uint8Array | null | StoredBlob>

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
export function placeWrites(writes: AllWrites, limits: PlacementLimits, nameBlob: () => string): Placement {
  const apart = tooLarge(writes, limits)
  const blobs: PlacedBlob[] = []
  const placed: StoredWrite[] = []
  for (const [key, bytes] of writes) {
    let value: StoredValue
    if (bytes === null) value = TOMBSTONE
    else if (!(bytes instanceof Uint8Array)) value = bytes
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
function tooLarge(writes: AllWrites, limits: PlacementLimits): ReadonlySet<string> | undefined {
  const { inlineValueBytesMax, inlineDecisionBytesMax } = limits
  let largest = 0
  let sum = 0
  for (const bytes of writes.values()) {
    if (!(bytes instanceof Uint8Array)) continue
    if (bytes.length > largest) largest = bytes.length
    sum += bytes.length
  }
  if (largest <= inlineValueBytesMax && sum <= inlineDecisionBytesMax) return undefined
  const apart = new Set<string>()
  const bySize = [...writes].flatMap(([key, bytes]) => (bytes instanceof Uint8Array ? [{ key, bytes }] : []))
  bySize.sort((a, b) => b.bytes.length - a.bytes.length)
  for (const { key, bytes } of bySize) {
    if (bytes.length <= inlineValueBytesMax && sum <= inlineDecisionBytesMax) break
    apart.add(key)
    sum -= bytes.length
  }
  return apart
}
