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
  /** Executors told that they have handed off by themselves. */
  passed = 0
  resumes = 0
  cacheHits = 0
  cacheMisses = 0
  adoptions = 0
  conflicts = 0
  claimWaits = 0
  claimsFenced = 0
  /** Requests for places that were missed, and places that came faster than they could be kept. */
  placesFetched = 0
  placesDropped = 0
  statesInstalled = 0
  preparesSent = 0
  preparesAnswered = 0
  peerRequests = 0
  peersRefused = 0
  peerFramesRefused = 0
  /** How often this node was out of touch for so long that its open snapshots were too old. */
  lapses = 0
  watermarksRaised = 0
  /** Decisions whose writes went into bases, or were superseded, and whose records became markers. */
  compactedDecisions = 0
  basesWritten = 0
  blobsDeleted = 0
  /** Attempts that left large values behind, and were fenced before those were deleted. */
  orphansFenced = 0
  guardsDeleted = 0
  tombstonesDeleted = 0
  /** Markers, fences and abortions that were older than the idempotency window. */
  markersDeleted = 0
  pinsDeleted = 0
  ordersDeleted = 0
  collectionsFailed = 0
  refusedBusy = 0
  refusedMalformed = 0
  refusedVersion = 0
  refusedContexts = 0
  repliesDropped = 0
  /** Views that were made; reads that executors served from them, as far as they have told; reads that they asked the node for. */
  viewsOpened = 0
  viewReads = 0
  keysRead = 0
  sessionsOpened = 0
  sessionsLost = 0
  internalErrors = 0

  entries(): readonly (readonly [string, number])[] {
    return Object.entries(this)
  }
}
