import type { Consistency } from '../core/modes.js'
import { DEFAULT_LIMITS, type Limits } from '../limits.js'
import { type Bounds, DEFAULT_BOUNDS } from './bounds.js'

/** Everything a node can be told, in full. Times are in milliseconds, sizes in bytes. */
export interface NodeConfig {
  readonly nodeId: string
  readonly consistency: Consistency
  readonly limits: Limits
  /** No option: nobody need set them. */
  readonly bounds: Bounds
  /** How long a transaction may take, if its caller doesn't say; and at most. */
  readonly deadlineMs: number
  readonly deadlineMsMax: number
  /** How old a transaction id may be. */
  readonly idempotencyWindowMs: number
  /** How far ahead of this node's clock an id may be. */
  readonly clockSkewMsMax: number
  /** An executor whose process can't be watched is given up after being silent for this long. */
  readonly sessionTimeoutMs: number
  /** Requests of one executor that are under way or wait; one more is answered `Busy`. Clients keep what is beyond that in a line. */
  readonly requestsPerSessionMax: number
  readonly sessionsMax: number
  /** Open transactions of all executors; one more is answered `Busy`. */
  readonly transactionsMax: number
  /** Open transactions of one executor. */
  readonly transactionsPerSessionMax: number
  readonly cacheBytesMax: number
  /** Writes sent ahead, and handed-off write sets, in memory; what goes beyond is answered `Busy`. */
  readonly heldBytesMax: number
  /** A value above this is put into storage on its own, before the decision. */
  readonly inlineValueBytesMax: number
  /** Values inline in one decision, in sum. What is above goes to storage on its own, largest first. */
  readonly inlineDecisionBytesMax: number
  /** A write set up to this travels inside the context. */
  readonly inlineWriteSetBytesMax: number
  /** Write sets inline in one context, in sum. */
  readonly inlineContextBytesMax: number
  /** How long a commit whose outcome storage did not tell is looked into before its caller is told that it is unknown. */
  readonly resolveMsMax: number
  /** How long a stopping node waits for open transactions. */
  readonly drainMsMax: number
  /** Nodes that are asked who they are, beside those that leases name. */
  readonly peers: readonly StaticPeer[]
  /** A node whose lease was not renewed for this long is taken for dead. */
  readonly leaseTtlMs: number
  /** How long another node may take to answer. */
  readonly peerTimeoutMs: number
  /** How long a decision may wait for others to share a frame to the other nodes. */
  readonly publishDelayMs: number
  /** A value up to this is published with its decision. */
  readonly publishValueBytesMax: number
  readonly heartbeatMs: number
  /** How long a snapshot from another node may take to be had here. */
  readonly reachMsMax: number
  /** What executors may read without asking; 0: there is no view. */
  readonly viewBytesMax: number
  /** A larger value is read from the node. */
  readonly viewValueBytesMax: number
  /** How often what every snapshot sees is collected: moved out of decisions and of memory. */
  readonly collectEveryMs: number
  /** A node that is gone for so long, without having left in peace, is forgotten: cuts no longer name it. */
  readonly departAfterMs: number
}

/** A node at a fixed address, and what it must prove to own; null: it speaks in plain text. */
export interface StaticPeer {
  readonly address: string
  readonly publicKey: string | null
}

const KIB = 1024
const MIB = 1024 * KIB
const SECOND = 1_000
const MINUTE = 60 * SECOND

export const DEFAULT_CONFIG: Omit<NodeConfig, 'nodeId'> = {
  consistency: 'read-atomic',
  limits: DEFAULT_LIMITS,
  bounds: DEFAULT_BOUNDS,
  deadlineMs: 5 * MINUTE,
  deadlineMsMax: 24 * 60 * MINUTE,
  idempotencyWindowMs: 24 * 60 * MINUTE,
  clockSkewMsMax: 10 * MINUTE,
  sessionTimeoutMs: 60 * SECOND,
  requestsPerSessionMax: 4_096,
  sessionsMax: 4_096,
  transactionsMax: 65_536,
  transactionsPerSessionMax: 16_384,
  cacheBytesMax: 256 * MIB,
  heldBytesMax: 256 * MIB,
  inlineValueBytesMax: 32 * KIB,
  inlineDecisionBytesMax: 256 * KIB,
  inlineWriteSetBytesMax: 5 * KIB,
  inlineContextBytesMax: 64 * KIB,
  resolveMsMax: 10 * SECOND,
  drainMsMax: 10 * SECOND,
  peers: [],
  leaseTtlMs: 10 * SECOND,
  peerTimeoutMs: 2 * SECOND,
  publishDelayMs: 2,
  publishValueBytesMax: 4 * KIB,
  heartbeatMs: 500,
  reachMsMax: 3 * SECOND,
  viewBytesMax: 64 * MIB,
  viewValueBytesMax: 64 * KIB,
  collectEveryMs: SECOND,
  departAfterMs: 10 * MINUTE,
}
