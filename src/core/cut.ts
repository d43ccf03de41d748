import type { Origin } from './ids.js'

/**
 * A version vector: for each origin, the highest place in its publication order that a snapshot sees. An origin that is
 * not named is seen up to 0. Cuts are immutable; the functions here make new ones.
 */
export type Cut = ReadonlyMap<Origin, number>

/** A place in an origin's publication order. The first is 1. */
export interface Coordinates {
  readonly origin: Origin
  readonly seq: number
}

export const EMPTY_CUT: Cut = new Map()

export function sees(cut: Cut, at: Coordinates): boolean {
  const seq = cut.get(at.origin)
  return seq !== undefined && at.seq <= seq
}

/** Whether `a` sees everything that `b` sees. */
export function covers(a: Cut, b: Cut): boolean {
  for (const [origin, seq] of b) if (seq > (a.get(origin) ?? 0)) return false
  return true
}

/** The same, where some places are in every cut. */
export function coversBut(a: Cut, b: Cut, isInEvery: (at: Coordinates) => boolean): boolean {
  for (const [origin, seq] of b) if (seq > (a.get(origin) ?? 0) && !isInEvery({ origin, seq })) return false
  return true
}

export function sameCut(a: Cut, b: Cut): boolean {
  return covers(a, b) && covers(b, a)
}

/** The least cut that sees what either sees. */
export function union(a: Cut, b: Cut): Cut {
  const out = new Map(a)
  for (const [origin, seq] of b) if (seq > (out.get(origin) ?? 0)) out.set(origin, seq)
  return out
}

/** The greatest cut that sees only what both see. */
export function intersection(a: Cut, b: Cut): Cut {
  const out = new Map<Origin, number>()
  for (const [origin, seq] of a) {
    const least = Math.min(seq, b.get(origin) ?? 0)
    if (least > 0) out.set(origin, least)
  }
  return out
}
