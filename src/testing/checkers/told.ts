import { leftNoTrace } from './acknowledgements.js'
import type { History, Violation } from './history.js'

/**
 * I6: what is said of a transaction holds from then on, and held before. And whoever is told that an id is too old has one that
 * is, by some clock at least: else a decision would be denied that every retry is to get.
 */
export function checkTold(history: History): Violation[] {
  const out: Violation[] = []
  for (const { txn, askedAt, at, said, result, ageMsMax } of history.told) {
    const committed = history.committed.get(txn)
    const acknowledgedBefore = history.commits.some(
      (call) =>
        call.txn === txn && call.outcome === 'committed' && call.toldAt! < askedAt && !leftNoTrace(call),
    )
    const isDecided = committed !== undefined && committed.at <= at
    const why =
      said === 'committed' || said === 'not cancelled'
        ? !isDecided
          ? 'and is not'
          : said === 'committed' && committed.result !== result
            ? `with the result ${String(result)}, which is ${String(committed.result)}`
            : undefined
        : said === 'cancelled' || said === 'aborted'
          ? committed === undefined
            ? undefined
            : 'and is decided'
          : said === 'open' && acknowledgedBefore
            ? 'after its commit was acknowledged'
            : said === 'expired' && ageMsMax <= history.idempotencyWindowMs
              ? `and is no more than ${Math.ceil(ageMsMax)} ms old`
              : undefined
    if (why !== undefined) out.push({ rule: 'I6 exactly once', what: `${txn} is said to be ${said}, ${why}` })
  }
  return out
}
