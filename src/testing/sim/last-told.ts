import type { SimCluster } from './sim-cluster.js'
import { Tracked } from './workload/tracked.js'
import type { Work } from './workload/work.js'

/** Until all have heard of it, and before it can be collected. */
const TOLD_MS = 300
const KEYS = 3

/** A node commits, all hear of it, and the node dies: somebody else has to collect what it had published. */
export async function tellAndDie({ clock, machines }: SimCluster, work: Work): Promise<void> {
  const alive = machines.filter(({ isRetired, node }) => !isRetired && node !== undefined)
  const [machine] = alive
  if (machine === undefined || alive.length < 2) return
  const { recorder } = work
  const executor = machine.executors[0] ?? machine.addExecutor()
  const beganAt = recorder.log.count
  const tx = await clock.until(executor.virga.begin())
  const node = machine.name
  const begun = { txn: tx.id, mode: 'read-atomic', keyed: false, node, beganAt, after: [] } as const
  const tracked = new Tracked(recorder, tx, recorder.execution(recorder.snapshot(begun), node, []))
  for (let i = 0; i < KEYS; i++) tracked.put(work.writeKey('read-atomic'), 0)
  await clock.until(tracked.commit(false))
  await clock.advance(TOLD_MS)
  machine.crash()
}
