import type { Violation } from '../checkers/history.js'
import { checkConvergence } from './convergence.js'
import { decideUnheard } from './last-gasp.js'
import { tellAndDie } from './last-told.js'
import { loseTheLastWord } from './last-word.js'
import { handOffToLast, takeUp } from './lasting.js'
import { decideLate, decideOverALeap, decideUnseen } from './late-decision.js'
import { checkForgotten, checkLeftovers } from './leftovers.js'
import { checkLetGo } from './let-go.js'
import type { SimCluster } from './sim-cluster.js'
import type { Work } from './workload/work.js'

/** Within which all nodes hold the same state once the faults have stopped. */
const CONVERGENCE_MS_MAX = 120_000
/** Late effects of operations that timed out have come by then. */
const LATE_EFFECTS_MS = 20_000

/** Looks at a cluster from the inside after the faults have stopped: I8 and I5, and what is left behind. */
export async function checkAftermath(cluster: SimCluster, work: Work): Promise<Violation[]> {
  const { clock } = cluster
  await clock.advance(LATE_EFFECTS_MS)
  const converging = await converge(cluster, work, 'after the faults had stopped')
  if (converging.length > 0) return converging
  await loseTheLastWord(cluster, work)
  const unheard = await converge(cluster, work, 'after the last publication was lost')
  if (unheard.length > 0) return unheard
  const held = await checkLetGo(cluster)
  if (held.length > 0) return held
  const lasting = await handOffToLast(cluster, work)
  // All that was acknowledged survives the end of every process.
  cluster.endedAt = cluster.log.count
  if (cluster.plan.rests) cluster.rest()
  for (const machine of cluster.machines) {
    machine.exorcise()
    machine.crash()
  }
  const again = await converge(cluster, work, 'after all nodes had been started again')
  if (again.length > 0) return again
  const lost = lasting === undefined ? [] : [...(await takeUp(cluster, work, lasting))]
  if (lost.length > 0 || !cluster.plan.rests) return lost
  await decideUnheard(cluster, work)
  await tellAndDie(cluster, work)
  await decideLate(cluster, work)
  if (!cluster.plan.forgets) await (work.dice.chance(0.5) ? decideUnseen : decideOverALeap)(cluster, work)
  const left = await checkLeftovers(cluster)
  if (cluster.plan.forgets && left.length === 0) left.push(...(await checkForgotten(cluster)))
  return [...left, ...(await converge(cluster, work, 'after a long rest'))]
}

function converge(cluster: SimCluster, work: Work, when: string): Promise<Violation[]> {
  const machines = cluster.machines.filter(({ isRetired }) => !isRetired)
  return checkConvergence(cluster, work.keys(), machines, CONVERGENCE_MS_MAX, when)
}
