import type { Origin } from './ids.js'

/**
 * A version vector: for each origin, the highest place in its publication order that a snapshot sees. An origin that is
 * not named is seen up to 0, unless it has departed. Cuts are immutable; the functions here make new ones.
 */
export interface Cut extends ReadonlyMap<Origin, number> {
  /**
   * Origins whose departures have numbers up to this one are seen to their end, and need not be named. Absent: 0. Without it a cut
   * that was made before an origin's first place could not be told from one that was made after it had departed.
   */
  readonly departures?: number
}

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

export function departuresOf(cut: Cut): number {
  return cut.departures ?? 0
}

/** A cut of these places that need not name those who departed, up to a number. */
export function cutOf(places: Iterable<readonly [Origin, number]>, departures: number): Cut {
  return marked(new Map(places), departures)
}

/** Whether `a` sees everything that `b` sees. What departed is not looked at: see `History.lacksDeparted`. */
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
  return covers(a, b) && covers(b, a) && departuresOf(a) === departuresOf(b)
}

/** The least cut that sees what either sees. */
export function union(a: Cut, b: Cut): Cut {
  const out = new Map(a)
  for (const [origin, seq] of b) if (seq > (out.get(origin) ?? 0)) out.set(origin, seq)
  return marked(out, Math.max(departuresOf(a), departuresOf(b)))
}

/** The greatest cut that sees only what both see. */
export function intersection(a: Cut, b: Cut): Cut {
  const out = new Map<Origin, number>()
  for (const [origin, seq] of a) {
    const least = Math.min(seq, b.get(origin) ?? 0)
    if (least > 0) out.set(origin, least)
  }
  return marked(out, Math.min(departuresOf(a), departuresOf(b)))
}

function marked(own: Map<Origin, number> & { departures?: number }, departures: number): Cut {
  if (departures > 0) own.departures = departures
  return own
}
