/** What a node counts, from its start. Only ever grows; gauges are asked for where they are. */
export class Counters {
  requests = 0
  begins = 0
  commits = 0
  commitsReplayed = 0
  commitsFailed = 0
  outcomesUnknown = 0
  /** Transactions that were open when their session ended, or began afresh. */
  transactionsDropped = 0
  deadlinesExceeded = 0
  handoffs = 0
  resumes = 0
  cacheHits = 0
  cacheMisses = 0
  adoptions = 0
  refusedBusy = 0
  refusedMalformed = 0
  refusedVersion = 0
  refusedContexts = 0
  repliesDropped = 0
  sessionsOpened = 0
  sessionsLost = 0
  internalErrors = 0

  entries(): readonly (readonly [string, number])[] {
    return Object.entries(this)
  }
}
