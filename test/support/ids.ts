import { makeTxnId, TXN_ID_ENTROPY_BYTES } from '../../src/core/ids.js'
import { seededRandom } from '../../src/testing/sim-clock.js'
import type { Cluster } from './cluster-in-process.js'

const entropy = seededRandom(3)

/** A transaction id of this moment of a cluster's clock, or of so many milliseconds ago. */
export function idOf(cluster: Cluster, agoMs = 0): string {
  return makeTxnId(cluster.clock.now() - agoMs, entropy.bytes(TXN_ID_ENTROPY_BYTES))
}
