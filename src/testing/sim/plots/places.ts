import type { Tracked } from '../workload/tracked.js'
import type { Stage } from './stage.js'
import { departsMs } from './touch.js'

const KEYS = 3
const SETTLES_MS = 1_000
const REUNITED_MS = 8_000
const EVERY_MS = 1_500

interface Handed {
  readonly tracked: Tracked
  readonly context: string
}

/**
 * Two nodes know one decision by different places: one was told by its origin, the other has found it. When the first takes over the
 * state of the second, it must see what a snapshot of there sees.
 */
export async function twoPlaces(stage: Stage): Promise<void> {
  const [origin, told, finder] = await stage.machines()
  const keys = stage.keys('read-atomic', KEYS)
  const others = stage.keys('read-atomic', KEYS * 2).slice(KEYS)
  await stage.write(origin!, keys)
  await stage.sleep(SETTLES_MS)

  // Alone, the finder collects what it has decided itself: who comes back can't be told of that place by place.
  stage.isolate(finder!)
  for (const machine of [origin!, told!]) machine.loseTouch()
  await stage.sleep(2 * stage.ttlMs)
  const own = await stage.write(finder!, others)
  const holding = await stage.begin(finder!, { isBlind: true })
  await stage.may(holding.get(others[0]!))
  const both = await stage.write(origin!, keys)
  await stage.sleep(SETTLES_MS)
  const { recorder } = stage.cluster
  const askedAt = recorder.log.count
  const known = await stage.may(stage.executor(finder!).virga.status(both))
  if (known !== undefined) recorder.say(both, askedAt, known.status, known.result)
  const handed = await handOver(stage, await stage.begin(finder!), keys[0]!)
  await stage.collected(own)
  await stage.sleep(SETTLES_MS)

  for (const machine of [origin!, told!]) machine.gates.open()
  stage.cluster.fabric.heal()
  await stage.sleep(REUNITED_MS)
  const there = handed && (await stage.resume(told!, handed.tracked, handed.context))
  if (there !== undefined) await stage.may(there.getMany(keys))
  await stage.may(holding.abort())
}

/**
 * One node knows what the dead one decided last, and another that it can't reach does not. Until it does, the dead one must not
 * depart: cuts of both would mean different things.
 */
export async function toldToOne(stage: Stage): Promise<void> {
  const [dead, knows, apart] = await stage.machines()
  const keys = stage.keys('read-atomic', KEYS)
  await stage.write(dead!, keys)
  await stage.sleep(SETTLES_MS)
  stage.isolate(apart!)
  await stage.write(dead!, keys)
  await stage.sleep(SETTLES_MS)
  dead!.pause()
  const all: Handed[] = []
  const endMs = stage.cluster.clock.monotonic() + departsMs(stage)
  while (stage.cluster.clock.monotonic() < endMs) {
    const handed = await handOver(stage, await stage.begin(apart!), keys[0]!)
    if (handed !== undefined) all.push(handed)
    await stage.sleep(EVERY_MS)
  }
  stage.cluster.fabric.heal()
  await stage.sleep(REUNITED_MS)
  for (const { tracked, context } of all) {
    const there = await stage.resume(knows!, tracked, context)
    if (there === undefined) continue
    await stage.may(there.getMany(keys))
    await stage.may(there.abort())
  }
  dead!.resume()
}

async function handOver(stage: Stage, tracked: Tracked, key: string): Promise<Handed | undefined> {
  await stage.may(tracked.get(key))
  const context = await stage.may(tracked.handoff(false))
  return context === undefined ? undefined : { tracked, context }
}
