import type { Violation } from '../checkers/history.js'
import type { SimCluster } from './sim-cluster.js'

/** What a read may be refused with only where something has happened to a process, to storage or to the network. */
const TROUBLE: ReadonlySet<string> = new Set([
  'SnapshotTooOld',
  'SnapshotUnavailable',
  'StorageUnavailable',
  'NodeUnavailable',
  'SessionLost',
  'Timeout',
])

/** Where nothing befalls a cluster, every read is answered: being too careful is a fault as well. */
export function checkCalm({ plan, recorder, endedAt }: SimCluster): Violation[] {
  if (!plan.isCalm || plan.plot !== undefined) return []
  return recorder.refusals
    .filter(({ at, code }) => TROUBLE.has(code) && (endedAt === undefined || at <= endedAt))
    .map(({ execution: { number, node, snapshot }, code }) => ({
      rule: 'answers when calm',
      what: `a read of e${number} on ${node}, s${snapshot.number} of ${snapshot.txn}, was refused: ${code}`,
    }))
}
