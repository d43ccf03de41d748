import { hash32 } from './bytes.js'
import { type Attempt, type Origin, type TxnId, txnTimeMs } from './ids.js'

/**
 * Where things lie in storage (docs/storage-layout.md). All nodes that share a storage must agree on this file: a change
 * moves `LAYOUT_VERSION`, and a node refuses a storage of another version.
 */
export const LAYOUT_VERSION = 1

/** A key in storage, as the storage port takes it. */
export interface Place {
  readonly bucket: string
  readonly id: string
}

/** Buckets that one minute of decisions is spread over, so that no engine's partition takes all commits of a moment. */
export const SHARDS_PER_MINUTE = 4

export const MINUTE_MS = 60_000

/**
 * How long after its end a minute of ids is open: decisions of later commits are announced in a `late` bucket. All nodes
 * must agree on it.
 */
export const MINUTE_OPEN_MS = 10 * MINUTE_MS

/** Minutes since the Unix epoch. */
export function minuteAt(ms: number): number {
  return Math.floor(ms / MINUTE_MS)
}

export function txnMinute(txn: TxnId): number {
  return minuteAt(txnTimeMs(txn))
}

/** When a minute of ids closes, in milliseconds since the Unix epoch. */
export function minuteClosesAtMs(minute: number): number {
  return (minute + 1) * MINUTE_MS + MINUTE_OPEN_MS
}

export function decisionKey(txn: TxnId): Place {
  return { bucket: decisionBucket(txnMinute(txn), shardOf(txn)), id: txn }
}

/** Every bucket that may hold decisions of one minute of transaction ids. */
export function decisionBuckets(minute: number): readonly string[] {
  return Array.from({ length: SHARDS_PER_MINUTE }, (_, shard) => decisionBucket(minute, shard))
}

/** Names a decision whose id is of a minute that was closed when it was written. */
export function lateKey(txn: TxnId, writtenMinute: number): Place {
  return { bucket: lateBucket(writtenMinute), id: txn }
}

export function lateBucket(writtenMinute: number): string {
  return `late/${writtenMinute}`
}

/** A large value, or a durable write set, of one attempt. `name` is unique within the attempt. */
export function blobKey(txn: TxnId, blob: string): Place {
  return { bucket: `value/${txnMinute(txn)}/${shardOf(txn)}`, id: `${txn}:${blob}` }
}

export function blobName(attempt: Attempt, name: string): string {
  return `${attempt}:${name}`
}

/** The pinned cut of a transaction that handed off durably. */
export function pinKey(txn: TxnId): Place {
  return { bucket: pinBuckets()[shardOf(txn)]!, id: txn }
}

export function pinBuckets(): readonly string[] {
  return Array.from({ length: SHARDS_PER_MINUTE }, (_, shard) => `pin/${shard}`)
}

/**
 * A stretch of an origin's publication order, from `first` to `last`, kept so that a pinned cut can be read after the origin died.
 * Stretches may overlap, and are never rewritten: a shorter one must not replace a longer one.
 */
export function orderKey(origin: Origin, first: number, last: number): Place {
  return { bucket: orderBucket(origin), id: `${first}-${last}` }
}

/** Bucket names have a small alphabet; an origin has a larger one. Its incarnation alone is unique. */
export function orderBucket(origin: Origin): string {
  return `order/${origin.slice(origin.lastIndexOf('@') + 1)}`
}

/** The cluster's key: contexts are signed with it. */
export const CLUSTER_KEY: Place = { bucket: 'cluster', id: 'key' }
/** The layout version. */
export const CLUSTER_FORMAT: Place = { bucket: 'cluster', id: 'format' }
/** No decision is under an id of an earlier minute, unless it is announced in a `late` bucket. */
export const CLUSTER_CHECKPOINT: Place = { bucket: 'cluster', id: 'checkpoint' }
/** No decision is under an id of a later minute, and no announcement in a later one. */
export const CLUSTER_CEILING: Place = { bucket: 'cluster', id: 'ceiling' }

function decisionBucket(minute: number, shard: number): string {
  return `decision/${minute}/${shard}`
}

function shardOf(txn: TxnId): number {
  return hash32(txn) % SHARDS_PER_MINUTE
}
