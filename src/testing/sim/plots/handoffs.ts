import type { Stage } from './stage.js'

const SETTLES_MS = 1_000

/**
 * An executor hands off by itself, and stands still before its node has heard of it. Whoever takes the context up ends the transaction: what
 * the node then hears is of one that has ended, whose snapshot nobody needs any more.
 */
export async function toldLate(stage: Stage): Promise<void> {
  const [at] = await stage.machines()
  const [key, other] = stage.keys('read-atomic', 2)
  await stage.write(at!, [key!, other!])
  await stage.sleep(SETTLES_MS)
  // Of the first the node hears at once, of those of the next milliseconds together.
  const first = await stage.begin(at!)
  const second = await stage.begin(at!)
  await stage.until(second.get(key!))
  // What has written commits; of what has not, nothing is left but that it has ended.
  if (stage.dice.chance(0.5)) second.put(other!, 0)
  await stage.may(first.handoff(false))
  const context = await stage.may(second.handoff(false))
  const { life } = stage.executor(at!)
  life.pause()
  const there = context === undefined ? undefined : await stage.resume(at!, second, context, true)
  if (there !== undefined) await stage.may(there.commit(false))
  await stage.sleep(SETTLES_MS)
  life.resume()
  await stage.sleep(SETTLES_MS)
}
