import { isOrigin, type Origin } from '../core/ids.js'

/** As many as a large cluster has in its cuts. Beyond, all are forgotten, and met anew. */
const MET_MAX = 4_096
const met = new Map<string, Origin>()

/** Whether a text is an origin. One that was met before is known to be. */
export function isOriginText(text: string): text is Origin {
  return met.has(text) || isOrigin(text)
}

/**
 * The text of an origin that was met first. Each message brings texts of its own for the same few origins: cuts would keep all
 * of them, and looking one up in a vector would mean to hash and compare it each time.
 */
export function sameText(origin: Origin): Origin {
  const first = met.get(origin)
  if (first !== undefined) return first
  if (met.size >= MET_MAX) met.clear()
  met.set(origin, origin)
  return origin
}
