import type { RecordedTransaction } from './recorded.js'

interface Session {
  readonly members: RecordedTransaction[]
  /** Of them the latest that committed: what comes next must see it, and with it all before. */
  last: RecordedTransaction | undefined
}

/**
 * Puts transactions into sessions: in each, every transaction must see those before it that committed. That is promised to
 * whoever begins on a node after a commit was acknowledged there, and to whoever brings a commit's token (I7). Executors of
 * virga go from node to node, so their own order promises nothing.
 *
 * Greedy, in the order of beginnings: a transaction follows the latest one that it must see and that nobody follows yet. One
 * that did not commit stands there as well, and is nothing that anybody must see: the next one follows what it followed.
 */
export function assignSessions(
  transactions: readonly RecordedTransaction[],
  isCommitted: (transaction: RecordedTransaction) => boolean,
): RecordedTransaction[][] {
  const sessions: Session[] = []
  for (const transaction of [...transactions].sort((a, b) => a.began.at - b.began.at)) {
    let session = latestSeen(sessions, transaction) ?? sessions.find(({ last }) => last === undefined)
    if (session === undefined) {
      session = { members: [], last: undefined }
      sessions.push(session)
    }
    session.members.push(transaction)
    if (isCommitted(transaction)) session.last = transaction
  }
  return sessions.map(({ members }) => members)
}

function latestSeen(sessions: readonly Session[], transaction: RecordedTransaction): Session | undefined {
  let best: Session | undefined
  for (const session of sessions) {
    if (session.last === undefined || !mustSee(transaction, session.last)) continue
    if (best === undefined || best.last!.acknowledged!.at < session.last.acknowledged!.at) best = session
  }
  return best
}

function mustSee({ began, after }: RecordedTransaction, earlier: RecordedTransaction): boolean {
  const { acknowledged } = earlier
  if (acknowledged === undefined) return false
  return after.includes(earlier) || (acknowledged.node === began.node && acknowledged.at <= began.at)
}
