/**
 * Coverage marks: a name for every branch of the protocols, counted where the code takes it. A simulation that never takes a
 * branch says nothing of it, however many seeds it runs: so the simulator shows how often each was taken, and a test fails if
 * one never is. (After TigerBeetle's `marks.zig`.)
 *
 * Nothing reads a mark to decide anything. Off, as in production, one costs a comparison.
 */
export const MARKS = {
  // Reading
  'read.chain-alone': 'a version above the drop horizon answers alone',
  'read.base-newer': 'the base answers, since no visible version is newer',
  'read.chain-newer': 'a version at or below the horizon answers, since the base is older',
  'read.compacted-meanwhile': 'the version that was looked up has moved into the base meanwhile',
  'read.too-old': 'a read finds that its snapshot does not count any more',

  // Committing: prepare
  'prepare.asked': 'a coordinator asks a participant for its write sets',
  'prepare.large': 'a participant brings large values to storage',
  'prepare.late': 'a participant refuses, since the deadline has passed',
  'prepare.lost-and-replayed': 'write sets are gone, since their transaction has committed',
  'commit.large': 'large values go to storage before the decision',
  'commit.announced': 'a decision of a closed minute is announced first',
  'commit.announced-late': 'its minute has closed while it was written',
  'commit.announced-again': 'what was awaited took so long that it would not be found there',
  'commit.too-late': 'the deadline passed before the decision',
  'commit.read-only': 'a transaction that wrote nothing leaves no trace',

  // Committing: decide
  'decide.over-a-fence': 'a decision replaces a fence of earlier attempts',
  'decide.another-stands': 'another attempt has committed: its decision is the answer',
  'decide.fenced': 'a fence keeps the attempt from committing',
  'decide.aborted': 'the transaction was cancelled for good',
  'decide.failed': 'storage fails a decision for sure',
  'decide.same-attempt-twice': 'one context was committed twice at once',
  'resolve.fenced': 'an unknown outcome ends in a fence of the own attempt',
  'resolve.committed': 'an unknown outcome proves to be a commit',
  'resolve.aborted': 'an unknown outcome proves to be a cancellation',
  'resolve.unknown': 'storage stays silent: the caller is told that the outcome is unknown',
  'resolve.left': 'so many outcomes are looked into that this one is looked for among all decisions',
  'resolve.late': 'an outcome that was told to be unknown is found out',
  'fence.written': 'an attempt is fenced',
  'fence.met-a-commit': 'who wants to fence finds a decision',
  'fence.needless': 'who wants to fence finds that the attempt can not commit any more',
  'cancel.written': 'a transaction is cancelled for good',
  'cancel.met-a-commit': 'who cancels finds a decision',
  'begin.replayed': 'a decision stands when its transaction begins again',
  'begin.expired': 'an id is older than the idempotency window',
  'pass.kept': 'a snapshot is kept for what an executor has handed off by itself',
  'pass.settled': 'what an executor has handed off by itself has ended before the node is told of it',
  'pass.ended-forgotten': 'a transaction that ended is forgotten before its time, since too many have',
  'resume.at-once': 'a context is taken up without waiting',
  'resume.replayed': 'a context can not be served any more, since its transaction has committed',

  // Committing: claims
  'claim.free': 'nobody claims the key',
  'claim.held': 'the key is claimed by this very attempt',
  'claim.own-earlier': 'an earlier attempt of the same transaction claims the key',
  'claim.superseded': 'a later attempt of the same transaction claims the key',
  'claim.committed': 'the transaction that claims has committed already',
  'claim.unseen-claimant': 'a claimant committed after the snapshot: conflict',
  'claim.unseen-last-writer': 'the last writer committed after the snapshot: conflict',
  'claim.becomes-last-writer': 'a committed claimant is taken for the last writer',
  'claim.last-writer-stays': 'a committed claimant never saw the last writer, which stays',
  'claim.failed-claimant': 'a claimant that never commits is replaced',
  'claim.gives-way': 'the younger of two gives way',
  'claim.waits': 'an undecided claimant is waited for',
  'claim.fences': 'a claimant that stands in the way for long is fenced',
  'claim.released': 'an attempt that failed takes its claims back',
  'claim.forgotten': 'a claim that was met is forgotten, since too many were',
  'claim.too-old': 'the node lost touch before all keys were claimed',
  'guard.removed': 'a guard that nobody needs is removed',

  // Sharing
  'publish.overwritten': 'a value is left out, since a later decision of its frame overwrites it',
  'publish.recorded': 'a value is too large to be published with its decision',
  'publish.frame-full': 'as many decisions wait as a frame holds',
  'publish.frame-split': 'what waits takes more than one frame',
  'publish.ended-untold': 'so many have ended that one more is not told of',
  'inbox.early': 'a place comes before the one that is next',
  'inbox.gated': 'a decision waits for what it read',
  'inbox.listed': 'a decision read what only storage knew, and all of that has been adopted',
  'inbox.dropped': 'a place is further ahead than may wait, and is dropped',
  'inbox.turn-over': 'more can be applied than one turn may',
  'places.full': 'an answer holds as many places as it may',
  'places.bytes-full': 'an answer holds as many bytes as it may',
  'apply.known': 'a decision that is here gets one more place',
  'apply.compacted': 'a place is told whose decision is in the bases',
  'repair.gap': 'places were missed: those before what was published',
  'repair.heartbeat': 'places were missed, as their origin tells',
  'repair.third': 'places were missed, as another tells whose origin is silent',
  'repair.for-a-cut': 'places were missed that a cut needs',
  'repair.again': 'what was missed is still missing',
  'repair.full': 'places were missed, and as many as may wait already',
  'repair.waiters-full': 'so many cuts are waited for that one more is not',
  'repair.hint-forgotten': 'who may have what others have not is forgotten, since too much is known',
  'repair.from-another': 'missed places are fetched from a peer that did not publish them',
  'repair.by-hint': 'the node that handed a context over is asked for what its cut sees',
  'repair.forgotten': 'a peer does not remember what was missed',
  'repair.reached': 'a cut that was waited for is applied',
  'repair.not-reached': 'a cut is waited for in vain',
  'repair.recovered': 'a cut that nobody knows is read from storage',
  'state.installed': "a peer's state is taken over",
  'state.chunked': 'a state takes more than one answer',
  'state.known': "a peer's state adds places to a decision that is here",
  'adopt.found': 'a listing finds a decision that nobody told of',
  'adopt.told-meanwhile': 'what a listing found came from its origin meanwhile',
  'adopt.listed-again': 'a further listing finds what the one before had passed',
  'adopt.by-id': 'a commit is met under its id, and is not here',
  'adopt.looked': 'what a commit read is known to nobody who lives: storage is looked through',
  'adopt.retried': 'storage fails while it is looked through: it is tried again',
  'token.here': 'what a session token names is here',
  'token.reached': 'what a session token names comes from its origin',
  'token.adopted': 'what a session token names is found in storage',

  // Sharing: members
  'member.gone': 'a lease lapsed, or its node is gone: its last decisions are looked for',
  'member.second-look': 'they are looked for once more, a margin later',
  'member.later-look': 'and again, after as long as that took',
  'member.replaced': 'a node started in the place of one that had not left',
  'member.settled': 'a lease is not what its node last knew: a renewal that seemed lost has arrived',
  'member.superseded': 'another incarnation has the id of this node',
  'member.behind': 'a node could not renew its lease in time',
  'member.back-unharmed': 'it comes back, and nothing that its snapshots need was collected',
  'member.back-too-old': 'it comes back, and its snapshots are too old',
  'boot.from-a-peer': 'a node that starts takes the state of a peer',
  'boot.from-storage': 'a node that starts reads storage alone',
  'boot.restored-otherwise':
    'what the watermark sees was found in storage, and nobody could tell of its places',
  'boot.orders': 'a node that starts reads the order of a pinned cut',
  'boot.watermark': 'what peers told a node that starts is less than the watermark in force',

  // Collecting: what is needed
  'low.handed-over': 'a snapshot that was handed over holds the low vector',
  'low.open': 'an open transaction holds the low vector',
  'watermark.raised': 'the watermark in force is raised',
  'watermark.pinned': 'a pinned cut holds the watermark',
  'watermark.joined': 'someone joined, or raised it, since the watermark was computed',
  'watermark.slow': 'a round took so long that its result does not count',
  'admit.promised': 'a snapshot from another node is one that others wait for',
  'admit.kept': 'its sender goes on to keep it',
  'admit.full': 'its sender keeps as many as it may for others',
  'admit.joined': 'its sender is gone, and the watermark in force is below it',
  'admit.refused': 'it may have been collected already',

  // Collecting: bases
  'compact.dead-origin': 'what a dead origin published is compacted by another',
  'base.raised': 'a version becomes the base of its key',
  'base.newer-stands': 'the base is newer than the version',
  'base.superseded': 'a version is left out, since every live snapshot sees a newer one',
  'base.raced': 'another node changed the base meanwhile',
  'base.stale-value': 'a large value that a replaced base named is deleted',
  'base.garbage': 'a large value of a version that never became a base is deleted',
  'base.tombstone': 'a deletion becomes the base of its key',
  'compact.marker': 'a record shrinks to a marker',
  'compact.already': 'a record to be compacted is a marker already',
  'drop.own': 'what a node compacted leaves its chains',
  'drop.told': 'what others compacted leaves the chains',
  'horizon.raised': 'the drop horizon is raised',

  // Collecting: minutes
  'minute.passed': 'the checkpoint passes a minute',
  'minute.obstructed': 'a decision that is not compacted keeps a minute from being passed',
  'minute.unknown': 'a minute that closes holds a decision that nobody told of',
  'orphan.useless': 'a large value of an attempt that can not commit is deleted',
  'orphan.open': 'a large value stays, since its attempt may yet commit',
  'orphan.fenced': 'an attempt is fenced before its large values are deleted',
  'pin.expired': 'the pin of a context past its deadline is deleted',
  'order.deleted': 'a stretch of an order that nobody needs is deleted',
  'marker.deleted': 'a marker is deleted after the idempotency window',
  'tombstone.removed': 'a base that is a deletion is removed',
  'depart.written': 'a dead origin departs',
  'depart.left-out': 'cuts do not name a departed origin any more',
  'depart.self': 'an origin that was taken for dead comes back, and must start anew',

  // Failures
  'fail.write-set-lost': 'a write set died with its node',
  'fail.snapshot-too-old': 'a node that was out of touch refuses to go on with a snapshot',
  'fail.session-lost': 'transactions end with the process that ran them',
  'fail.deadline': 'a transaction that nobody goes on with ends at its deadline',
  'fail.context-refused': 'a context that was changed is refused',
  'fail.peer-silent': 'a peer does not answer in time',
  'fail.outcome-looked-up': 'an executor that lost sight of its commit asks what became of it',
  'write-sets.from-storage': 'a durable write set is read',
  'write-sets.from-a-peer': 'a write set is fetched from the node that holds it',
  'clock.skew-warned': 'clocks differ by so much that it is warned of',

  // Failures: what is refused
  'refuse.malformed': 'a frame of an executor can not be read',
  'refuse.version': 'a frame of an executor is of another version',
  'refuse.no-session': 'a request comes from an executor that the node does not know',
  'refuse.peer': 'a request of a peer can not be read',
  'refuse.peer-frame': 'what a peer answers or publishes can not be read',

  // Failures: limits
  'busy.bytes': 'the node holds as many unfinished writes as it may',
  'busy.transactions': 'as many transactions are open as may be',
  'busy.session-transactions': 'an executor has as many open as it may',
  'busy.sessions': 'as many executors are connected as may be',
  'busy.requests': 'an executor has as many requests under way at its node as it may',
  'wait.own-requests':
    'an executor waits for as many answers as it may: what it asks for more waits for its turn',
  'busy.own-wait': 'a request of an executor had no turn for as long as it waits for an answer',
  'busy.handed-over': 'as many transactions have been handed off by executors as may be',
  'busy.peer': 'a peer has as many requests to answer as may be',
  'busy.peers': 'peers have as many requests under way as may be',
  'busy.states': 'as many peers are fetching the state as may',
  'limit.value': 'a value is too large',
  'limit.keys': 'a write set has too many keys',
  'limit.bytes': 'a write set has too many bytes',
  'limit.bytes-ahead': 'a write set has too many bytes, of which the node has some already',
  'limit.result': 'a result is too large',
} as const

export type Mark = keyof typeof MARKS

let reached: Map<Mark, number> | undefined

/** Counts a branch as taken, if anybody counts. */
export function mark(name: Mark): void {
  if (reached !== undefined) reached.set(name, (reached.get(name) ?? 0) + 1)
}

/** From now on marks are counted, from zero. Returns the counts of all, as they are when it is asked for. */
export function countMarks(): () => Readonly<Record<Mark, number>> {
  const counts = new Map<Mark, number>()
  reached = counts
  return () => {
    const entries = Object.keys(MARKS).map((name) => [name, counts.get(name as Mark) ?? 0])
    return Object.fromEntries(entries) as Record<Mark, number>
  }
}

export function stopCountingMarks(): void {
  reached = undefined
}
