import { ERROR_CODES, type ErrorCode } from '../errors.js'
import { type Message, message } from './message.js'
import { bool, bytes, list, nullable, oneOf, text, tuple, uint } from './schema.js'
import { attempt, hlc, origin, txnId, writes } from './types.js'

/**
 * Every message between an executor and its node. On the wire a message is an array: its number, the request number that
 * pairs it with its answer, then its fields in this order. What each means is told in protocol/README.md.
 *
 * Changing a message here changes the protocol: move `PROTOCOL_VERSION` (a test holds both to protocol/schema.json).
 */
export const PROTOCOL_VERSION = 2

const CONSISTENCY = nullable(text)

/** From an executor to its node. */
export const REQUESTS = {
  hello: message(1, 'hello', { client: text, pid: uint, namespace: text, startedAt: text }),
  begin: message(2, 'begin', {
    handle: uint,
    id: txnId,
    keyed: bool,
    deadlineMs: nullable(uint),
    consistency: CONSISTENCY,
    after: nullable(text),
    lookup: bool,
    /** A snapshot that was taken from the view: protocol/view.md. */
    snapshot: nullable(bytes),
  }),
  read: message(3, 'read', { handle: uint, keys: list(text) }),
  spill: message(4, 'spill', { handle: uint, writes }),
  commit: message(5, 'commit', { handle: uint, writes, result: nullable(bytes) }),
  end: message(6, 'end', { handle: uint }),
  handoff: message(7, 'handoff', { handle: uint, writes, durable: bool }),
  resume: message(8, 'resume', {
    handle: uint,
    contexts: list(bytes),
    onBranchConflict: oneOf('latest', 'error'),
    /** The executor has read the context itself: it is answered `begun`. */
    brief: bool,
  }),
  status: message(9, 'status', { id: txnId }),
  cancel: message(10, 'cancel', { id: txnId }),
  resolve: message(11, 'resolve', { id: txnId, attempt: nullable(attempt) }),
  ping: message(12, 'ping', {}),
  bye: message(13, 'bye', {}),
  inspect: message(14, 'inspect', {}),
  attach: message(15, 'attach', {}),
  /** Keys that were read in the view: a sample; and how many reads there were. */
  used: message(16, 'used', { keys: list(text), reads: uint }),
  detach: message(17, 'detach', {}),
  /** The executor has handed a transaction off itself: what its snapshot needs is to be kept. Not answered unless with an error. */
  passed: message(18, 'passed', { id: txnId, deadlineMs: uint, snapshot: bytes }),
} as const

/** From a node to an executor. */
export const REPLIES = {
  welcome: message(64, 'welcome', {
    node: text,
    origin,
    /** What contexts of the cluster are signed with: executors read them without asking, and make them. */
    contextKey: bytes,
    sessionTimeoutMs: uint,
    keyBytesMax: uint,
    valueBytesMax: uint,
    writeSetBytesMax: uint,
    writeSetKeysMax: uint,
    resultBytesMax: uint,
    frameBytesMax: uint,
    requestsMax: uint,
  }),
  done: message(65, 'done', {}),
  begun: message(66, 'begun', {
    attempt,
    deadlineMs: uint,
    /** What was waited for: the snapshot to read at in the view. Nil: it is known, or the node must be asked. */
    snapshot: nullable(bytes),
  }),
  values: message(67, 'values', { values: list(nullable(bytes)) }),
  committed: message(68, 'committed', {
    id: txnId,
    /** The attempt that committed. */
    attempt,
    hlc,
    replayed: bool,
    result: nullable(bytes),
    session: nullable(text),
  }),
  handed: message(69, 'handed', { context: bytes }),
  resumed: message(70, 'resumed', {
    id: txnId,
    attempt,
    deadlineMs: uint,
    keyed: bool,
    /** False: there are writes upstream that are not told of here, and the node must be asked for every key. */
    complete: bool,
    /** Key, whether its write is here, and the encoded value or nil for a deletion. */
    upstream: list(tuple(text, bool, nullable(bytes))),
    /** The snapshot to read at in the view; nil: the node must be asked. */
    snapshot: nullable(bytes),
  }),
  state: message(71, 'state', {
    status: oneOf('committed', 'open', 'aborted', 'expired'),
    result: nullable(bytes),
    session: nullable(text),
  }),
  inspected: message(72, 'inspected', { counters: list(tuple(text, uint)), notes: list(tuple(text, text)) }),
  attached: message(74, 'attached', {
    path: text,
    consistency: text,
    deadlineMs: uint,
    deadlineMsMax: uint,
    /** Write sets that travel in contexts: one, and all of a context. */
    inlineWriteSetBytesMax: uint,
    inlineContextBytesMax: uint,
  }),
  error: message(73, 'error', { code: oneOf<ErrorCode>(...ERROR_CODES), indefinite: bool, message: text }),
} as const

export type Request = Message<typeof REQUESTS>
export type Reply = Message<typeof REPLIES>
export type RequestOf<N extends Request['type']> = Extract<Request, { type: N }>
/** A message without its number, which whoever sends it gives it. */
export type Unnumbered<M> = M extends { readonly request: number } ? Omit<M, 'request'> : never
export type ReplyOf<N extends Reply['type']> = Extract<Reply, { type: N }>
