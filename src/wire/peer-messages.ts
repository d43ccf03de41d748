import { ERROR_CODES, type ErrorCode } from '../errors.js'
import { type Message, message } from './message.js'
import { bool, bytes, list, nullable, oneOf, text, tuple, uint } from './schema.js'
import { attempt, cut, hlc, origin, txnId, writes } from './types.js'

/**
 * Every message between nodes. Framed as those between executors and nodes are, with a version of their own: all nodes of
 * a cluster speak one version.
 *
 * Changing a message here changes the protocol between nodes: move `PEER_VERSION`.
 */
export const PEER_VERSION = 2

/** Key, kind, bytes of an inline value, name of a blob, size in bytes. `recorded`: the bytes stand in the decision's record. */
const sharedWrite = tuple(
  text,
  oneOf('inline', 'recorded', 'blob', 'tombstone'),
  nullable(bytes),
  nullable(text),
  uint,
)

/**
 * What stands at one place. Cuts are given as the number up to which departed origins are not named, and (index into `origins`, seq).
 * `compacted`: it is in the bases.
 */
const placed = tuple(
  txnId,
  oneOf('decided', 'compacted'),
  hlc,
  uint,
  list(tuple(uint, uint)),
  list(sharedWrite),
)

/** Places of `origin` in order, from `first` on. */
const STRETCH = { origin, first: uint, origins: list(origin), placed: list(placed) }

/** Published to whoever subscribes. Request numbers are 0. */
export const PUBLICATIONS = {
  published: message(1, 'published', {
    ...STRETCH,
    /** Transactions that ended without a decision: nobody will ask for anything of theirs. */
    ended: list(txnId),
  }),
  heartbeat: message(2, 'heartbeat', {
    origin,
    /** The last place that was given out. */
    seq: uint,
    applied: cut,
    compacted: cut,
    /** The wall clock of the node, in milliseconds since the Unix epoch. */
    nowMs: uint,
  }),
} as const

export const PEER_REQUESTS = {
  greet: message(16, 'greet', { node: text, origin }),
  /** Asks for places of `of` from `first` to `last`. */
  fetch: message(17, 'fetch', { of: origin, first: uint, last: uint }),
  /** Asks for one chunk of all that the node has applied. The first is asked for with a nil snapshot. */
  state: message(18, 'state', { snapshot: nullable(text), chunk: uint }),
  /** Asks for write sets that a function of this attempt handed off there. */
  writeSets: message(19, 'writeSets', { txn: txnId, ids: list(text) }),
  /** As `writeSets`, from who is about to decide: large values go to storage and come as names. */
  prepare: message(20, 'prepare', { txn: txnId, attempt, deadlineMs: uint, ids: list(text) }),
  /** Asks the sender of a context to keep its snapshot until the next lease of who asks tells of it. */
  keep: message(21, 'keep', { txn: txnId, cut, departures: uint }),
} as const

export const PEER_REPLIES = {
  greeted: message(80, 'greeted', {
    node: text,
    origin,
    publications: text,
    serving: bool,
  }),
  /** What was asked for, as far as it fits: at least one place, or none if there is no more. */
  fetched: message(81, 'fetched', { ...STRETCH, last: uint }),
  /** The node no longer remembers the first place that was asked for: it was compacted. */
  forgotten: message(82, 'forgotten', { first: uint }),
  stated: message(83, 'stated', { snapshot: text, chunk: uint, chunks: uint, bytes }),
  /** In the order of `ids`; nil: it is not here. */
  sets: message(84, 'sets', { hlc, sets: list(nullable(writes)) }),
  prepared: message(85, 'prepared', { hlc, sets: list(nullable(list(sharedWrite))) }),
  kept: message(87, 'kept', { kept: bool }),
  refused: message(86, 'refused', {
    code: oneOf<ErrorCode>(...ERROR_CODES),
    indefinite: bool,
    message: text,
  }),
} as const

export type PublicationMessage = Message<typeof PUBLICATIONS>
export type PeerRequest = Message<typeof PEER_REQUESTS>
export type PeerReply = Message<typeof PEER_REPLIES>
export type PeerRequestOf<N extends PeerRequest['type']> = Extract<PeerRequest, { type: N }>
export type PeerReplyOf<N extends PeerReply['type']> = Extract<PeerReply, { type: N }>
