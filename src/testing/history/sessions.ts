import type { RecordedTransaction } from './recorded.js'

/**
 * Puts transactions into sessions: in each, every transaction must see those before it. That is promised to whoever begins
 * on a node after a commit was acknowledged there, and to whoever brings a commit's token (I7). Executors of virga go from
 * node to node, so their own order promises nothing.
 *
 * Greedy, in the order of beginnings: a transaction follows the latest one that it must see and that nobody follows yet.
 */
export function assignSessions(transactions: readonly RecordedTransaction[]): RecordedTransaction[][] {
  const sessions: RecordedTransaction[][] = []
  for (const transaction of [...transactions].sort((a, b) => a.began.at - b.began.at)) {
    let best: RecordedTransaction[] | undefined
    for (const session of sessions) {
      const last = session.at(-1)!
      if (!mustSee(transaction, last)) continue
      if (best === undefined || best.at(-1)!.acknowledged!.at < last.acknowledged!.at) best = session
    }
    if (best === undefined) sessions.push([transaction])
    else best.push(transaction)
  }
  return sessions
}

function mustSee({ began, after }: RecordedTransaction, earlier: RecordedTransaction): boolean {
  const { acknowledged } = earlier
  if (acknowledged === undefined) return false
  return after.includes(earlier) || (acknowledged.node === began.node && acknowledged.at <= began.at)
}
