import type { SimCluster } from './sim-cluster.js'
import { Tracked } from './workload/tracked.js'
import type { Work } from './workload/work.js'

/** Until everyone has looked for what the process decided last, and looked again. */
const FORGOTTEN_MS = 40_000
const SETTLES_MS = 2_000
const DEADLINE_MS = 120_000

/**
 * A process stands still with a commit before it, and its executor dies. Another takes its place, and all look for its last
 * decisions. Then it goes on, decides, and nobody hears of it: not from it, since it is cut off, and not from whoever asked.
 * It is to be found when the minute of its id closes.
 */
export async function decideUnheard({ clock, machines }: SimCluster, work: Work): Promise<void> {
  const machine = machines.find(({ isRetired, node }) => !isRetired && node !== undefined)
  if (machine === undefined) return
  const { recorder } = work
  const executor = machine.addExecutor()
  const beganAt = recorder.log.count
  const tx = await clock.until(executor.virga.begin({ deadlineMs: DEADLINE_MS }))
  const begun = {
    txn: tx.id,
    mode: 'read-atomic',
    keyed: false,
    node: machine.name,
    beganAt,
    after: [],
  } as const
  const tracked = new Tracked(recorder, tx, recorder.execution(recorder.snapshot(begun), machine.name, []))
  const key = work.writeKey('read-atomic')
  await clock.until(tracked.get(key))
  tracked.put(key, 0)
  machine.pause()
  tracked.commit(false).catch(() => undefined)
  await clock.advance(1)
  executor.life.die()
  const ghost = machine.supplant()
  await clock.advance(FORGOTTEN_MS)
  ghost?.resume()
  await clock.advance(SETTLES_MS)
  machine.exorcise()
}
