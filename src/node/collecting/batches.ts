import type { Storage, StorageEntry, StorageKey } from '../../ports/storage.js'

/** Keys of one call to storage: each is a pause of the others that use it. */
const CALL_ENTRIES_MAX = 1_000

export function* inPieces<T>(items: readonly T[], size = CALL_ENTRIES_MAX): Generator<readonly T[]> {
  for (let from = 0; from < items.length; from += size) yield items.slice(from, from + size)
}

/** Reads any number of keys, a bounded number at a time. */
export async function getAll(
  storage: Storage,
  keys: readonly StorageKey[],
): Promise<readonly (Uint8Array | undefined)[]> {
  const found: (Uint8Array | undefined)[] = []
  for (const piece of inPieces(keys)) found.push(...(await storage.get(piece)))
  return found
}

export async function putAll(storage: Storage, entries: readonly StorageEntry[]): Promise<void> {
  for (const piece of inPieces(entries)) await storage.put(piece)
}

export async function deleteAll(storage: Storage, keys: readonly StorageKey[]): Promise<void> {
  for (const piece of inPieces(keys)) await storage.delete(piece)
}

/** Runs over all, a bounded number at a time. After a failure nothing more begins; it rejects when nothing is under way. */
export async function eachOf<T>(
  items: readonly T[],
  inFlightMax: number,
  run: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0
  let failure: { readonly error: unknown } | undefined
  const worker = async (): Promise<void> => {
    while (next < items.length && failure === undefined) {
      const item = items[next++]!
      try {
        await run(item)
      } catch (error) {
        failure ??= { error }
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(items.length, inFlightMax) }, worker))
  if (failure !== undefined) throw (failure as { readonly error: unknown }).error
}
