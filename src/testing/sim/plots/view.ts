import type { Machine } from '../machine.js'
import type { Stage } from './stage.js'
import { isFresh } from './touch.js'

const KEYS = 4
const SETTLES_MS = 2_000
const LOOKS = 3
const LOOK_EVERY_MS = 200
/** Of what fills a small cache. */
const FILLING_KEYS = 8
const FILLING_BYTES = 600
/** So that what else is read takes the place of bases. */
export const FORGETTING = { cacheBytesMax: 2_000 } as const

/**
 * An executor stands still, with snapshots that it took from the view and told nobody of. All that they see is overwritten and
 * collected. Then it goes on: it must find out by itself that the view shows others than those.
 */
export async function stoppedReader(stage: Stage): Promise<void> {
  const [here, other] = await stage.machines()
  const keys = stage.keys('read-atomic', KEYS)
  await stage.collected(await stage.write(other!, keys))
  await look(stage, here!, keys)
  const { life } = stage.executor(here!)
  const reader = await stage.begin(here!)
  await stage.may(reader.get(keys[0]!))
  const passer = await stage.begin(here!)
  await stage.may(passer.get(keys[1]!))

  life.pause()
  await stage.collected(await stage.write(other!, keys))
  await stage.sleep(SETTLES_MS)
  life.resume()
  const reading = stage.may(reader.getMany(keys))
  const context = await stage.may(passer.handoff(false))
  await reading
  await stage.may(reader.abort())
  if (context === undefined) return
  const there = await stage.resume(stage.dice.pick([here!, other!]), passer, context)
  if (there === undefined) return
  await stage.may(there.getMany(keys))
  await stage.may(there.abort())
}

/**
 * A node is out of touch, and hears of nothing, while what stands in its view is overwritten and collected. When it is back, what it
 * had there of bases is out of date.
 */
export async function viewOverAGap(stage: Stage): Promise<void> {
  const [away, here] = await stage.machines()
  const keys = stage.keys('read-atomic', KEYS)
  await stage.collected(await stage.write(here!, keys))
  await stage.sleep(SETTLES_MS)
  // The others are asked of the node.
  const shown = keys.slice(KEYS / 2)
  await look(stage, away!, shown)

  stage.isolate(away!)
  const mend = away!.loseTouch()
  const reader = await stage.begin(away!)
  await stage.may(reader.get(shown[0]!))
  const second = await stage.write(here!, keys)
  await stage.collected(second, stage.collectedMs * 2)
  stage.cluster.fabric.heal()
  mend()
  await stage.soon(() => isFresh(away!), 2 * stage.ttlMs)
  await stage.may(reader.getMany(keys))
  await stage.may(reader.abort())
  await stage.sleep(SETTLES_MS)
  await stage.audit(away!, keys)
}

/**
 * A deletion comes late: others have collected what is newer, and do not know that base any more. In their views the deletion must
 * not answer alone.
 */
export async function olderComesLate(stage: Stage): Promise<void> {
  const [reader, ...others] = await stage.machines()
  // By the clocks, too, what comes late is the older.
  const [slow, quick] = others.slice(0, 2).sort((a, b) => a.offsetMs - b.offsetMs)
  const [key, other, ...filling] = stage.keys('read-atomic', FILLING_KEYS + 2)
  const { fabric, machines } = stage.cluster
  await look(stage, reader!, [key!])
  for (const { name } of machines) if (name !== slow!.name) fabric.part(slow!.name, name)
  // Whatever the value of a version that was overwritten: it can't be had any more.
  const older = await stage.begin(slow!)
  older.delete(key!)
  await stage.until(older.commit(false))
  const newer = await stage.write(quick!, [key!, other!])
  await stage.collected(newer)
  await stage.sleep(SETTLES_MS)
  await look(stage, reader!, [key!])
  for (const one of filling) await stage.write(quick!, [one], 'read-atomic', FILLING_BYTES)
  await look(stage, reader!, filling)
  fabric.heal()
  await stage.sleep(SETTLES_MS)
  await stage.audit(reader!, [key!, other!])
}

/**
 * A view can be neither written nor closed: whoever has it open may go on beginning there, and sees nothing new, until its lease
 * ends. Nobody may be told of anything before that, and nobody may begin there after it.
 */
export async function unwritableView(stage: Stage): Promise<void> {
  const [here] = await stage.machines()
  const keys = stage.keys('read-atomic', KEYS)
  await stage.write(here!, keys)
  await look(stage, here!, keys)
  const mend = here!.failViews()
  for (let i = 0; i < LOOKS; i++) {
    await stage.write(here!, keys)
    await stage.audit(here!, keys)
  }
  mend()
  await stage.audit(here!, keys)
}

/** Reads keys until they are in the view of a node. */
async function look(stage: Stage, at: Machine, keys: readonly string[]): Promise<void> {
  for (let i = 0; i < LOOKS; i++) {
    await stage.audit(at, keys)
    await stage.sleep(LOOK_EVERY_MS)
  }
}
