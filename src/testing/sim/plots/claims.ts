import type { Stage } from './stage.js'

const MODE = 'parallel-snapshot'
/** Longer than a claim that stands in the way is waited for. */
const ABANDONED_MS = 700
const RIVALS = 3
const PARTED_MS = 500
const REUNITED_MS = 6_000

/**
 * A writer is slow. Meanwhile another writes its key, and after that some claim it in vain: one whose claim stays behind, some that
 * take theirs back. What the slow one has not seen must still be known to the guard, also when all that it did see is collected.
 */
export async function slowWriter(stage: Stage): Promise<void> {
  const [at] = await stage.machines()
  const keys = stage.keys(MODE, 1)
  await stage.write(at!, keys, MODE)
  const slow = await stage.begin(at!, { mode: MODE })
  await stage.until(slow.getMany(keys))
  await stage.write(at!, keys, MODE)
  if (stage.dice.chance(0.5)) {
    const lost = await stage.begin(at!, { mode: MODE })
    await stage.until(lost.getMany(keys))
    for (const key of keys) lost.put(key, 0)
    const mend = at!.gates.fail({ bucket: 'decision/' })
    await stage.may(lost.commit(false))
    mend()
  }
  for (let rival = 0; rival < RIVALS; rival++) {
    await stage.writeInVain(at!, keys, MODE)
    await stage.sleep(ABANDONED_MS)
  }
  await stage.sleep(stage.collectedMs)
  for (const key of keys) slow.put(key, 0)
  await stage.may(slow.commit(false))
}

/**
 * An attempt claims a key and gets no further. Another attempt at the same transaction, elsewhere and on an older snapshot, leaves
 * that key alone and commits. Its claim then says nothing of the key: who wrote it last is still the one before.
 */
export async function claimLeftBehind(stage: Stage): Promise<void> {
  const [here, there] = await stage.machines()
  const [key, other] = stage.keys(MODE, 2)
  await stage.write(here!, [key!, other!], MODE)
  await stage.sleep(PARTED_MS)
  // So that nothing of what follows is collected.
  const holding = await stage.begin(here!, { isBlind: true })
  await stage.until(holding.get(other!))
  stage.isolate(here!)
  await stage.write(here!, [key!], MODE)

  // An old one would be refused, and its attempt would claim nothing.
  const txn = stage.work.idOf(here!, 0)
  const first = await stage.begin(here!, { mode: MODE, txn })
  await stage.until(first.get(key!))
  first.put(key!, 0)
  const mend = here!.gates.fail({ bucket: 'decision/' })
  await stage.may(first.commit(false))
  mend()
  const second = await stage.begin(there!, { mode: MODE, txn })
  await stage.until(second.get(other!))
  second.put(other!, 0)
  await stage.may(second.commit(false))

  const slow = await stage.begin(there!, { mode: MODE })
  await stage.until(slow.get(key!))
  stage.cluster.fabric.heal()
  await stage.sleep(REUNITED_MS)
  await stage.writeInVain(here!, [key!], MODE)
  slow.put(key!, 0)
  await stage.may(slow.commit(false))
  await stage.may(holding.abort())
}

/**
 * Two that write a key one after the other are adopted by a node that is parted from theirs: there the first has a place that the
 * cut of the second does not name. Whoever claims the key there must not take the second for one that has not seen the first.
 */
export async function adoptedApart(stage: Stage): Promise<void> {
  const [here, there] = await stage.machines()
  const keys = stage.keys(MODE, 1)
  await stage.write(here!, keys, MODE)
  await stage.sleep(PARTED_MS)
  stage.isolate(here!)
  await stage.write(here!, keys, MODE)
  const slow = await stage.begin(here!, { mode: MODE })
  await stage.until(slow.getMany(keys))
  await stage.write(here!, keys, MODE)
  // Refused, since it has not seen the second: then both are adopted.
  const blind = await stage.begin(there!, { mode: MODE })
  for (const key of keys) blind.put(key, 0)
  await stage.may(blind.commit(false))
  await stage.writeInVain(there!, keys, MODE)
  for (const key of keys) slow.put(key, 0)
  await stage.may(slow.commit(false))
  stage.cluster.fabric.heal()
  await stage.sleep(REUNITED_MS)
}
