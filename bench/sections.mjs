// @ts-check
import { aftShape } from './rows/aft-shape.mjs'
import { anomalies } from './rows/anomalies.mjs'
import { commitLatency } from './rows/commit-latency.mjs'
import { commitRates } from './rows/commit-rates.mjs'
import { dagHop } from './rows/dag-hop.mjs'
import { fanOut } from './rows/fan-out.mjs'
import { ipcRead } from './rows/ipc-read.mjs'
import { memory } from './rows/memory.mjs'
import { micro } from './rows/micro.mjs'
import { openLoop } from './rows/open-loop.mjs'
import { orderPipeline } from './rows/order-pipeline.mjs'
import { scale } from './rows/scale.mjs'
import { simulatedScale } from './rows/simulated-scale.mjs'
import { skew } from './rows/skew.mjs'
import { soak } from './rows/soak.mjs'
import { twoNodeCommit } from './rows/two-node-commit.mjs'
import { visibility } from './rows/visibility.mjs'

/** @typedef {import('./report/types.mjs').Row} Row */
/** @typedef {import('./report/types.mjs').Result} Result */
/** `history`: what clients did goes to a file for each system, whose name begins so. @typedef {{ quick: boolean, dice: import('./dice.mjs').Dice, history?: string | undefined }} Options */
/** @typedef {{ title: string, measure: (options: Options) => Promise<Row[] | Result>, apart?: boolean, tellsHistory?: boolean }} Section */

/** All that is measured, in the order in which it is told. `apart`: not part of a whole run. `tellsHistory`: takes down what clients did. @type {Record<string, Section>} */
export const SECTIONS = {
  micro: { title: 'One operation', measure: micro },
  'ipc-read': { title: 'A read over IPC', measure: ipcRead },
  'commit-latency': { title: 'A commit on Redis and its floor', measure: commitLatency },
  'commit-rates': { title: 'Commits a second', measure: commitRates },
  'aft-shape': { title: 'The AFT shape', measure: aftShape },
  anomalies: { title: 'Anomalies', measure: anomalies, tellsHistory: true },
  'open-loop': { title: 'Latency under load', measure: openLoop },
  skew: { title: 'Skew, reads and length', measure: skew },
  'order-pipeline': { title: 'The order pipeline of the demo', measure: orderPipeline },
  'dag-hop': { title: 'A hop of a DAG', measure: dagHop },
  'fan-out': { title: 'Fan-out and join', measure: fanOut },
  visibility: { title: 'Seen on a peer', measure: visibility },
  'two-node-commit': { title: 'A commit over two nodes', measure: twoNodeCommit },
  scale: { title: 'One, two and three nodes', measure: scale },
  'simulated-scale': { title: 'One node to a hundred, by simulation', measure: simulatedScale },
  memory: { title: 'Memory and storage', measure: memory },
  soak: { title: 'Soak', measure: soak, apart: true },
}
