import { checkConvergence } from '../convergence.js'
import type { Machine } from '../machine.js'
import type { Stage } from './stage.js'

const KEYS = 10
const LISTING_MS_MAX = 1_500
const BETWEEN_MS = 100
/** Until it is found, and some more. */
const ROUNDS_MAX = 150
const ROUNDS_AFTER = 3
const LOOKED_MS = 15_000

/**
 * A node is cut off from the others, but not from storage, and commits one transaction after the other, each of which has read what
 * the one before wrote. Nobody hears of them; what one of the others finds must be of one piece with what that had read.
 */
export async function unheardMetById(stage: Stage): Promise<void> {
  const { talker, listener, keys } = await cutOff(stage)
  let last = ''
  for (const chain of links(keys)) last = await stage.write(talker, chain)
  const { recorder } = stage.cluster
  const askedAt = recorder.log.count
  const known = await stage.may(stage.executor(listener).virga.status(last))
  if (known !== undefined) recorder.say(last, askedAt, known.status, known.result)
  await stage.audit(listener, keys)
}

/** The same; it is taken for dead as well, and found by listings that see some buckets much later than others. */
export async function unheardListed(stage: Stage): Promise<void> {
  const { talker, listener, keys } = await cutOff(stage)
  for (const machine of stage.cluster.machines) {
    if (machine === talker) machine.loseTouch()
    else
      machine.gates.slow(
        { operation: 'list', bucket: 'decision/' },
        () => stage.dice.fraction() * LISTING_MS_MAX,
      )
  }
  await stage.sleep(stage.ttlMs * 0.8)
  const before = await stage.audit(listener, keys)
  // Whoever finds them tells the others, who wait for what is missing: so all are looked at.
  const others = stage.cluster.machines.filter((machine) => machine !== talker)
  for (let rounds = 0, left = ROUNDS_MAX; left > 0; rounds++, left--) {
    await stage.write(talker, linkOf(keys, rounds))
    await stage.sleep(BETWEEN_MS)
    const seen = await stage.audit(others[rounds % others.length]!, keys)
    if (seen?.some((tag, i) => tag !== before?.[i])) left = Math.min(left, ROUNDS_AFTER * others.length)
  }
}

/** The same; then it stands still, with all who knew. What it had decided is found by those who live. */
export async function unheardDead(stage: Stage): Promise<void> {
  const { talker, keys } = await cutOff(stage)
  for (const chain of links(keys)) await stage.write(talker, chain)
  talker.pause()
  stage.cluster.fabric.heal()
  const others = stage.cluster.machines.filter((machine) => machine !== talker)
  const when = 'after a node that nobody heard was gone'
  const msMax = 3 * stage.ttlMs + LOOKED_MS
  stage.found.push(...(await checkConvergence(stage.cluster, keys, others, msMax, when)))
}

async function cutOff(
  stage: Stage,
): Promise<{ talker: Machine; listener: Machine; keys: readonly string[] }> {
  const [talker, listener] = await stage.machines()
  const keys = stage.keys('read-atomic', KEYS)
  await stage.write(listener!, keys)
  await stage.sleep(BETWEEN_MS * 10)
  stage.isolate(talker!)
  return { talker: talker!, listener: listener!, keys }
}

function linkOf(keys: readonly string[], i: number): readonly string[] {
  return [keys[i % keys.length]!, keys[(i + 1) % keys.length]!]
}

function links(keys: readonly string[]): readonly (readonly string[])[] {
  return keys.slice(1).map((_, i) => linkOf(keys, i))
}
