import { DEFAULT_CONFIG } from '../../node/config.js'
import type { Snapshot, Violation } from '../checkers/history.js'
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

/**
 * Where nothing befalls a cluster, every read is answered: being too careful is a fault as well. Not those of a function that is
 * called once more when its transaction is committed or cancelled, or past its deadline by the clock that is furthest ahead: what
 * it reads is not kept for it.
 */
export function checkCalm(cluster: SimCluster): Violation[] {
  const { plan, recorder, endedAt = Number.POSITIVE_INFINITY } = cluster
  if (!plan.isCalm || plan.plot !== undefined) return []
  const decidedAt = new Map<string, number>()
  const decided = (txn: string, at: number): void => {
    decidedAt.set(txn, Math.min(at, decidedAt.get(txn) ?? at))
  }
  for (const { txn, outcome, askedAt } of recorder.commits) if (outcome === 'committed') decided(txn, askedAt)
  for (const { txn, said, askedAt } of recorder.told)
    if (said === 'cancelled' || said === 'aborted') decided(txn, askedAt)
  return recorder.refusals
    .filter(({ at, code, execution: { snapshot } }) => {
      const untilAt = Math.min(endedAt, decidedAt.get(snapshot.txn) ?? endedAt)
      return TROUBLE.has(code) && at <= untilAt && !isPastDeadline(cluster, snapshot, at)
    })
    .map(({ execution: { number, node, snapshot }, code }) => ({
      rule: 'answers when calm',
      what: `a read of e${number} on ${node}, s${snapshot.number} of ${snapshot.txn}, was refused: ${code}`,
    }))
}

function isPastDeadline({ plan, recorder, machines }: SimCluster, snapshot: Snapshot, at: number): boolean {
  const { deadlineMs } = { ...DEFAULT_CONFIG, ...plan.config }
  const home = machines.find(({ name }) => name === snapshot.node)!
  const fastestMs = Math.max(...machines.map(({ offsetMs }) => offsetMs))
  const sinceMs = recorder.log.msOf(at) - recorder.log.msOf(snapshot.beganAt)
  return sinceMs + (fastestMs - home.offsetMs) > deadlineMs
}
