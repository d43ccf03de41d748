import type { Machine } from '../machine.js'
import type { Tracked } from '../workload/tracked.js'
import type { Stage } from './stage.js'

const SETTLES_MS = 1_000
const TOLD_MS = 2_500
const BASES = 'base/'

/**
 * One node's decisions are collected late. Another's have been, so that the reader must look into the bases for all that is older:
 * it finds one there that is older than what is still in its chains.
 *
 * Then, while such a base is on its way to the reader, the newer version is moved there and leaves the chains: what comes is out of
 * date, and must not be kept.
 */
export async function overtakenBase(stage: Stage): Promise<void> {
  const [reader, writer] = await stage.machines()
  const [key, other] = stage.keys('read-atomic', 2)
  await stage.collected(await stage.write(writer!, [key!]))
  await stage.restart(reader!)

  const collecting = writer!.gates.hold({ operation: 'compareAndSwap', bucket: BASES }, 'before')
  const kind = stage.dice.weighted({ deletion: 2, large: 1, small: 2 })
  const newer = await overwrite(stage, writer!, key!, kind)
  await stage.sleep(SETTLES_MS)
  await stage.collected(await stage.write(reader!, [other!]))
  await stage.sleep(SETTLES_MS)

  // What is in the view is not asked for.
  const isBlind = stage.dice.chance(0.8)
  const isOvertaken = stage.dice.chance(0.7)
  const reads = reader!.gates.hold({ operation: 'get', bucket: BASES }, 'after')
  if (!isOvertaken) reads.release()
  const first = await stage.begin(reader!, { isBlind })
  const reading = first.get(key!)
  if (isOvertaken) {
    reading.catch(() => undefined)
    await stage.sleep(SETTLES_MS)
    collecting.release()
    await stage.collected(newer)
    await stage.sleep(TOLD_MS)
    reads.release()
    // It may have taken too long for its client.
    await stage.may(reading)
  } else await stage.must(`a ${kind} value that has not been collected yet`, reading)
  await again(stage, first, key!)
  collecting.release()
  await stage.must('what was read before', (await stage.begin(reader!, { isBlind })).get(key!))
}

async function overwrite(stage: Stage, on: Machine, key: string, kind: string): Promise<string> {
  const tracked = await stage.begin(on)
  if (kind === 'deletion') tracked.delete(key)
  else tracked.put(key, kind === 'large' ? stage.largeBytes : 0)
  return (await stage.until(tracked.commit(false))).id
}

async function again(stage: Stage, tracked: Tracked, key: string): Promise<void> {
  await stage.must('what was read before', tracked.get(key))
  await stage.may(tracked.abort())
}
