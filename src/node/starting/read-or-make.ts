import type { Place } from '../../core/layout.js'
import type { Storage } from '../../ports/storage.js'

/** Reads a record, or makes it: of several nodes that start at once, one makes it and all use that one. */
export async function readOrMake(
  storage: Storage,
  place: Place,
  make: () => Uint8Array,
): Promise<Uint8Array> {
  const [found] = await storage.get([place])
  if (found !== undefined) return found
  const made = make()
  const result = await storage.compareAndSwap(place, undefined, made)
  return result.swapped ? made : (result.current ?? made)
}
