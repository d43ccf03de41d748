/**
 * What keeps a node from being overrun, and that no user need set: each far above what a sound cluster comes to. What is beyond
 * one is refused, dropped or forgotten, and whoever misses it gets it in another way. The simulator makes them small.
 */
export interface Bounds {
  /** Places of one origin, from the next one on, that may wait: what is further ahead is dropped, and fetched when its turn has come. */
  readonly waitingPlacesMax: number
  /** Places applied in one go before others have their turn. */
  readonly turnPlacesMax: number
  /** Places asked for at once. */
  readonly fetchPlacesMax: number
  /** What one answer to a peer holds. */
  readonly answerPlacesMax: number
  readonly answerBytesMax: number
  /** Waits for cuts under way; one more is told that the snapshot is not to be had now. */
  readonly waitersMax: number
  /** Origins of which it is remembered who may have what others have not. */
  readonly hintsMax: number
  /** Decisions in one frame, and about how many bytes: a thousand frames may wait for a slow subscriber. */
  readonly frameDecisionsMax: number
  readonly frameBytesMax: number
  /** Ended transactions that wait to be told. More are left to their deadlines. */
  readonly endedUntoldMax: number
  /** Ended transactions that are remembered. What an executor tells of one that was forgotten is kept until its deadline. */
  readonly endedMax: number
  /** Requests to one peer that wait for an answer; one more is `Busy`. */
  readonly peerRequestsMax: number
  /** Requests of all peers that wait for storage; one more is answered `Busy`. */
  readonly peerAnswersMax: number
  /** States kept for peers that are fetching them; one more peer is answered `Busy`. */
  readonly statesMax: number
  readonly stateChunkBytes: number
  /** Snapshots that are kept for others a while longer; one more is theirs to look after. */
  readonly keptMax: number
  /** Transactions that executors have handed off by themselves, for each that may be open. */
  readonly passedPerTransactionMax: number
  /** Outcomes that are looked into after their callers were told that they are unknown. */
  readonly unresolvedMax: number
  /** Undecided claims that are remembered. What is forgotten, and met again, is given its time again. */
  readonly sightingsMax: number
}

const KIB = 1024
const MIB = 1024 * KIB

export const DEFAULT_BOUNDS: Bounds = {
  waitingPlacesMax: 16_384,
  turnPlacesMax: 2_048,
  fetchPlacesMax: 4_096,
  answerPlacesMax: 4_096,
  answerBytesMax: 4 * MIB,
  waitersMax: 65_536,
  hintsMax: 1_024,
  frameDecisionsMax: 512,
  frameBytesMax: 64 * KIB,
  endedUntoldMax: 8_192,
  endedMax: 16_384,
  peerRequestsMax: 4_096,
  peerAnswersMax: 4_096,
  statesMax: 4,
  stateChunkBytes: MIB,
  keptMax: 65_536,
  passedPerTransactionMax: 4,
  unresolvedMax: 10_000,
  sightingsMax: 4_096,
}
