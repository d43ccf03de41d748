import type { Violation } from '../checkers/history.js'
import type { SimCluster } from './sim-cluster.js'

const LOOK_EVERY_MS = 5_000
/** After the last deadline. */
const MARGIN_MS = 15 * 60_000

/**
 * I10 while processes go on: once nobody does anything any more, nodes let go of all that executors had them hold, at the latest when
 * the deadlines of what was left open have passed. What they do not, they would hold until they are started anew.
 */
export async function checkLetGo(cluster: SimCluster): Promise<Violation[]> {
  const { clock, plan } = cluster
  const endMs = clock.monotonic() + plan.config.deadlineMsMax! + MARGIN_MS
  for (;;) {
    const found = held(cluster)
    if (found.length === 0 || clock.monotonic() >= endMs) return found
    await clock.advance(LOOK_EVERY_MS)
  }
}

function held({ machines }: SimCluster): Violation[] {
  return machines.flatMap(({ name, node }) => {
    if (node === undefined) return []
    const counters = new Map(node.inspect().counters)
    return ['heldBytes'].flatMap((what) => {
      const count = counters.get(what)
      if (count === undefined) throw new Error(`nodes count no ${what}`)
      return count === 0 ? [] : [{ rule: 'I10 memory', what: `${name} still holds ${count} ${what}` }]
    })
  })
}
