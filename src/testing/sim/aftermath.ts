import type { Tag, Violation } from '../checkers/history.js'
import { Order } from '../checkers/order.js'
import { decideUnheard } from './last-gasp.js'
import { loseTheLastWord } from './last-word.js'
import { handOffToLast, takeUp } from './lasting.js'
import { checkForgotten, checkLeftovers } from './leftovers.js'
import type { Machine } from './machine.js'
import type { SimCluster } from './sim-cluster.js'
import { tagIn } from './witness.js'
import type { Work } from './workload/work.js'

/** Within which all nodes hold the same state once the faults have stopped. */
const CONVERGENCE_MS_MAX = 120_000
const LOOK_EVERY_MS = 500
/** Late effects of operations that timed out have come by then. */
const LATE_EFFECTS_MS = 20_000

/** Looks at a cluster from the inside after the faults have stopped: I8 and I5, and what is left behind. */
export async function checkAftermath(cluster: SimCluster, work: Work): Promise<Violation[]> {
  const { clock } = cluster
  await clock.advance(LATE_EFFECTS_MS)
  const converging = await checkConvergence(cluster, work, 'after the faults had stopped')
  if (converging.length > 0) return converging
  await loseTheLastWord(cluster, work)
  const unheard = await checkConvergence(cluster, work, 'after the last publication was lost')
  if (unheard.length > 0) return unheard
  const lasting = await handOffToLast(cluster, work)
  // All that was acknowledged survives the end of every process.
  if (cluster.plan.rests) cluster.rest()
  for (const machine of cluster.machines) {
    machine.exorcise()
    machine.crash()
  }
  const again = await checkConvergence(cluster, work, 'after all nodes had been started again')
  if (again.length > 0) return again
  const lost = lasting === undefined ? [] : [...(await takeUp(cluster, work, lasting))]
  if (lost.length > 0 || !cluster.plan.rests) return lost
  await decideUnheard(cluster, work)
  const left = await checkLeftovers(cluster)
  if (cluster.plan.forgets && left.length === 0) left.push(...(await checkForgotten(cluster)))
  return [...left, ...(await checkConvergence(cluster, work, 'after a long rest'))]
}

async function checkConvergence(cluster: SimCluster, work: Work, when: string): Promise<Violation[]> {
  const keys = work.keys()
  const endMs = cluster.clock.monotonic() + CONVERGENCE_MS_MAX
  const behind = new Map<Machine, string>()
  for (;;) {
    behind.clear()
    const order = new Order(cluster.recorder)
    for (const machine of cluster.machines.filter(({ isRetired }) => !isRetired)) {
      const values = await cluster.clock.until(readAll(machine, keys)).catch(describe)
      const lag =
        typeof values === 'string'
          ? values
          : keys.flatMap((key, i) => {
              const due = order.newest(key)
              const expected = due?.writes.get(key) ?? null
              return values[i] === expected
                ? []
                : [`${key} is ${values[i]} and not ${expected} of ${due?.txn}`]
            })[0]
      if (lag !== undefined) behind.set(machine, lag)
    }
    if (behind.size === 0) return []
    if (cluster.clock.monotonic() >= endMs) break
    await cluster.clock.advance(LOOK_EVERY_MS)
  }
  return [...behind].map(([{ name }, lag]) => ({
    rule: 'I8 convergence',
    what: `${name}, ${CONVERGENCE_MS_MAX} ms ${when}: ${lag}`,
  }))
}

async function readAll(machine: Machine, keys: readonly string[]): Promise<readonly Tag[]> {
  const executor = machine.executors[0] ?? machine.addExecutor()
  const values = await executor.virga.transaction((tx) => tx.getMany(keys))
  return values.map((value) => (value === undefined ? null : tagIn(value)))
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
