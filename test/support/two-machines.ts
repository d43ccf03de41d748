import { DEFAULT_CONFIG, type NodeConfig } from '../../src/node/config.js'
import type { Machine } from '../../src/testing/sim/machine.js'
import { SimCluster } from '../../src/testing/sim/sim-cluster.js'

/** Two simulated machines that nothing befalls, an executor on each, all of which have met. */
export async function twoMachines(config: Partial<NodeConfig>) {
  const cluster = new SimCluster(1, { nodes: 2, isCalm: true })
  Object.assign(cluster.plan.config, DEFAULT_CONFIG, config)
  const { clock, machines } = cluster
  const [here, there] = machines as [Machine, Machine]
  for (const machine of machines) machine.keepRunning()
  await clock.advance(5_000)
  const [first, other] = [here.addExecutor().virga, there.addExecutor().virga]
  await clock.advance(1_000)
  return { clock, first, other }
}
