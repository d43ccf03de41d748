import type { Clock } from '../../ports/clock.js'
import type { ListedEntry, Storage } from '../../ports/storage.js'
import type { Dice } from './dice.js'

/** Entries of a listing that are read at one moment. */
const PAGE_ENTRIES_MAX = 5
/** Once in a while a listing takes so many times as long: it may have passed what another bucket's listing then sees. */
const DRAGGING = 0.25
const DRAGS = 20

/**
 * A storage whose operations take time, before their effect and after it, and whose listings are as bad as the port
 * allows: in any order, each page as it stands at another moment, and with or without what is written meanwhile.
 */
export function slowStorage(storage: Storage, clock: Clock, dice: Dice, delayMsMax: () => number): Storage {
  const pause = (times = 1): Promise<void> =>
    new Promise((resolve) => {
      clock.timer(dice.fraction() * delayMsMax() * times, resolve)
    })
  const slowly = async <T>(run: () => Promise<T>): Promise<T> => {
    await pause()
    const result = await run()
    await pause()
    return result
  }
  return {
    get durability() {
      return storage.durability
    },
    get: (keys) => slowly(() => storage.get(keys)),
    put: (entries) => slowly(() => storage.put(entries)),
    compareAndSwap: (key, expected, next) => slowly(() => storage.compareAndSwap(key, expected, next)),
    delete: (keys) => slowly(() => storage.delete(keys)),
    list: (bucket, options) => list(bucket, options?.values === true),
    close: () => storage.close(),
  }

  async function* list(bucket: string, values: boolean): AsyncGenerator<ListedEntry, void, void> {
    const times = dice.chance(DRAGGING) ? DRAGS : 1
    await pause(times)
    const seen = new Set<string>()
    const found = dice.shuffle(await idsOf(bucket))
    // Once in a while what came meanwhile is seen too.
    for (const round of [found, undefined]) {
      if (round === undefined && dice.chance(0.5)) return
      const ids = (round ?? (await idsOf(bucket))).filter((id) => !seen.has(id))
      for (let from = 0; from < ids.length; ) {
        const page = ids.slice(from, from + dice.between(1, PAGE_ENTRIES_MAX))
        from += page.length
        if (from > page.length) await pause(times)
        const records = await storage.get(page.map((id) => ({ bucket, id })))
        for (const [i, id] of page.entries()) {
          seen.add(id)
          const value = records[i]
          if (value !== undefined) yield values ? { id, value } : { id }
        }
      }
    }
  }

  async function idsOf(bucket: string): Promise<string[]> {
    const ids: string[] = []
    for await (const { id } of storage.list(bucket)) ids.push(id)
    return ids
  }
}
