import { DEFAULT_CONFIG, type NodeConfig } from '../../src/node/config.js'
import { SimCluster } from '../../src/testing/sim/sim-cluster.js'

/** Simulated machines that nothing befalls but what the test does, with the defaults of nodes that run, and a short lease. */
export async function calmCluster(
  nodes: number,
  config: Partial<NodeConfig> & Pick<NodeConfig, 'leaseTtlMs'>,
): Promise<SimCluster> {
  const cluster = new SimCluster(1, { nodes, isCalm: true })
  Object.assign(cluster.plan.config, DEFAULT_CONFIG, {
    collectEveryMs: 50,
    departAfterMs: 600_000,
    cacheBytesMax: 1_000_000,
    ...config,
  })
  for (const machine of cluster.machines) machine.keepRunning()
  await cluster.clock.advance(5_000)
  return cluster
}
