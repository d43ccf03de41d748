import { VirgaError } from '../../errors.js'
import type { SimCluster } from './sim-cluster.js'
import { Tracked } from './workload/tracked.js'
import type { Work } from './workload/work.js'

/** Shorter than the silence after which a connection is given up: frames are lost, and nobody notices. */
const PARTED_MS = 1_000

/** One node commits, and what it publishes is lost; nothing follows that would show a gap. */
export async function loseTheLastWord({ clock, fabric, machines }: SimCluster, work: Work): Promise<void> {
  const alive = machines.filter(({ node }) => node !== undefined)
  const [machine, ...others] = alive
  if (machine === undefined || others.length === 0) return
  const { recorder } = work
  const executor = machine.executors[0] ?? machine.addExecutor()
  const node = machine.name
  const beganAt = recorder.log.count
  const parted = others.map(({ name }) => name)
  fabric.partBoth([node], parted)
  try {
    const tx = await clock.until(executor.virga.begin())
    const begun = { txn: tx.id, mode: 'read-atomic', keyed: false, node, beganAt, after: [] } as const
    const tracked = new Tracked(recorder, tx, recorder.execution(recorder.snapshot(begun), node, []))
    tracked.put(work.writeKey('read-atomic'), 0)
    await clock.until(tracked.commit(false))
  } catch (error) {
    if (!VirgaError.is(error)) throw error
  }
  await clock.advance(PARTED_MS)
  fabric.heal()
}
