import { CLUSTER_WATERMARK } from '../../../core/layout.js'
import type { Machine } from '../machine.js'
import type { Stage } from './stage.js'

const KEYS = 6
const MODE = 'parallel-snapshot'
const SETTLES_MS = 2_000

/**
 * A node can't renew its lease, and all else works. Others take it for dead and collect what its snapshots need: none of them may
 * be read any more, nor claim anything, before it has caught up and after.
 */
export async function outOfTouch(stage: Stage): Promise<void> {
  const [here, lost] = await stage.machines()
  const keys = stage.keys('read-atomic', KEYS)
  const claimed = stage.keys(MODE, 1)
  await stage.write(here!, claimed, MODE)
  const first = await stage.write(here!, keys)
  await stage.collected(first)
  // So that it has nothing cached.
  if (stage.dice.chance(0.7)) await stage.restart(lost!)
  const isBlind = stage.dice.chance(0.5)
  const reader = await stage.begin(lost!, { isBlind })
  await stage.may(reader.get(keys[0]!))
  const writer = await stage.begin(lost!, { mode: MODE, isBlind })
  await stage.may(writer.getMany(claimed))
  const idler = await stage.begin(lost!, { isBlind })
  await stage.may(idler.get(keys[1]!))

  const mend = lost!.loseTouch()
  await stage.write(here!, claimed, MODE)
  const second = await stage.write(here!, keys)
  await stage.collected(second, stage.collectedMs * 2)
  await stage.sleep(SETTLES_MS)
  await stage.may(reader.getMany(keys))
  for (const key of claimed) writer.put(key, 0)
  await stage.may(writer.commit(false))
  mend()
  await stage.soon(() => isFresh(lost!), 2 * stage.ttlMs)
  await stage.sleep(SETTLES_MS)
  await stage.may(idler.getMany(keys))
  await stage.audit(lost!, keys)
}

/**
 * While one node computes how far all may collect, another that was taken for dead comes back, and has not heard of what is to
 * be collected. What was computed without it must not come into force.
 */
export async function lateJoiner(stage: Stage): Promise<void> {
  const [late, ...others] = await stage.machines()
  const [here] = others
  const keys = stage.keys('read-atomic', KEYS)
  const first = await stage.write(here!, keys)
  await stage.collected(first)
  await stage.restart(late!)
  await stage.sleep(SETTLES_MS + stage.collectedMs)

  stage.isolate(late!)
  late!.loseTouch()
  const raise = { operation: 'compareAndSwap', ...pick(CLUSTER_WATERMARK) } as const
  const held = others.map(({ gates }) => gates.hold(raise, 'before'))
  let isReached = false
  for (const { reached } of held)
    void reached.then(() => {
      isReached = true
    })
  const second = await stage.write(here!, keys)
  await stage.soon(() => isReached, 2 * stage.ttlMs + stage.collectedMs)
  late!.gates.open()
  await stage.soon(() => isFresh(late!), 2 * stage.ttlMs)
  const reader = await stage.begin(late!, { isBlind: stage.dice.chance(0.5) })
  await stage.may(reader.get(keys[0]!))
  for (const { release } of held) release()
  // As a rule it is not, since the reader is there.
  await stage.collected(second)
  await stage.may(reader.getMany(keys))
  await stage.may(reader.abort())
}

/** A node stands still for so long that it departs; then it goes on, and must find that out. */
export async function longGone(stage: Stage): Promise<void> {
  const [gone, here] = await stage.machines()
  const keys = stage.keys('read-atomic', KEYS)
  await stage.write(gone!, keys)
  await stage.sleep(SETTLES_MS)
  const left = await stage.begin(gone!)
  await stage.may(left.get(keys[0]!))
  gone!.pause()
  await stage.write(here!, keys)
  await stage.sleep(departsMs(stage))
  await stage.audit(here!, keys)
  gone!.resume()
  await stage.may(left.getMany(keys))
  await stage.sleep(SETTLES_MS)
}

/** In which an origin that is gone has been written down as departed. */
export function departsMs({ cluster, ttlMs, collectedMs }: Stage): number {
  return 3 * Math.max(cluster.plan.config.departAfterMs!, ttlMs * 2) + collectedMs + 15_000
}

export function isFresh({ node }: Machine): boolean {
  return node?.inspect().counters.some(([name, count]) => name === 'fresh' && count === 1) === true
}

function pick({ bucket, id }: { readonly bucket: string; readonly id: string }) {
  return { bucket, id }
}
