import { expect } from 'vitest'
import { allConnected, type Cluster, type ClusterNode, PATIENT, within } from './cluster-processes.js'
import { converged } from './convergence.js'
import { GROUPS, Load } from './load.js'
import type { Reckoning } from './reckoning.js'

/** On every node functions of a client that never gives up and of one that tells each failure, and DAGs over all of them. */
export async function clusterLoad(
  { nodes }: Pick<Cluster, 'nodes'>,
  reckoning: Reckoning,
  seed: number,
): Promise<Load> {
  const load = new Load(reckoning, seed)
  for (const node of nodes) {
    load.functions(await node.client(PATIENT))
    load.functions(await node.client({ attemptsMax: 1 }))
  }
  const [first, ...others] = await Promise.all(nodes.map((node) => node.client(PATIENT)))
  for (let i = 0; i < 3; i++) load.dags(first!, ...others)
  return load
}

const CONVERGED_MS = 10_000

/**
 * Once faults and load have ended: all nodes hold the same, which is all that was acknowledged and nothing of what failed, and
 * any of them gives the result that was acknowledged to who tries again.
 */
export async function reckonedUp(nodes: readonly ClusterNode[], reckoning: Reckoning): Promise<void> {
  await allConnected(nodes)
  await within(CONVERGED_MS, () => reckoning.check(nodes[0]!.virga, true))
  await converged(nodes, reckoning.keys(GROUPS), CONVERGED_MS)
  for (const node of nodes) {
    await reckoning.check(node.virga, true)
    await reckoning.retry(node.virga, 20)
    expect(await node.count('internalErrors'), node.id).toBe(0)
  }
}
