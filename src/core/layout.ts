import { hash32 } from './bytes.js'
import type { Try } from './decision.js'
import { type Attempt, isAttempt, isTxnId, type Origin, type TxnId, txnTimeMs } from './ids.js'

/**
 * Where things lie in storage (docs/storage-layout.md). All nodes that share a storage must agree on this file: a change
 * moves `LAYOUT_VERSION`, and a node refuses a storage of another version.
 */
export const LAYOUT_VERSION = 2

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

/** Every bucket that may hold large values of one minute of transaction ids. */
export function blobBuckets(minute: number): readonly string[] {
  return Array.from({ length: SHARDS_PER_MINUTE }, (_, shard) => `value/${minute}/${shard}`)
}

/** What an id in a bucket of large values says; undefined for one that is not of virga. */
export function placedBlob(
  id: string,
): { readonly txn: TxnId; readonly attempt: Attempt; readonly blob: string } | undefined {
  const txn = id.slice(0, 36)
  const blob = id.slice(37)
  const attempt = blob.slice(0, blob.indexOf(':'))
  return isTxnId(txn) && isAttempt(attempt) ? { txn, attempt, blob } : undefined
}

/** A large value, or a durable write set, of one attempt. `name` is unique within the attempt. */
export function blobKey(txn: TxnId, blob: string): Place {
  return { bucket: `value/${txnMinute(txn)}/${shardOf(txn)}`, id: `${txn}:${blob}` }
}

export function blobName(attempt: Attempt, name: string): string {
  return `${attempt}:${name}`
}

/** The pinned cut of an attempt that handed off durably. */
export function pinKey({ txn, attempt }: Try): Place {
  return { bucket: pinBuckets()[shardOf(txn)]!, id: `${txn}:${attempt}` }
}

/** Which attempt a pin is of; undefined for an id that is no pin's. */
export function pinnedTry(id: string): Try | undefined {
  const [txn = '', attempt = ''] = id.split(':')
  return isTxnId(txn) && isAttempt(attempt) ? { txn, attempt } : undefined
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

/** Names an origin of which there are stretches: buckets can't be listed. */
export function orderedKey(origin: Origin): Place {
  return { bucket: ORDERED_BUCKET, id: origin }
}

export const ORDERED_BUCKET = 'ordered'

/** Bucket names have a small alphabet; an origin has a larger one. Its incarnation alone is unique. */
export function orderBucket(origin: Origin): string {
  return `order/${origin.slice(origin.lastIndexOf('@') + 1)}`
}

/** A key's newest version at or below the watermark. */
export function baseKey(key: string): Place {
  return { bucket: baseBuckets()[hash32(key) % KEY_SHARDS]!, id: key }
}

export function baseBuckets(): readonly string[] {
  return BASE_BUCKETS
}

/** Says that the base of a key became a tombstone, by the minute of the tombstone's clock: it is removed one day. */
export function tombstoneKey(minute: number, key: string): Place {
  return { bucket: tombstoneBucket(minute), id: key }
}

export function tombstoneBucket(minute: number): string {
  return `tombstone/${minute}`
}

/** Who wrote a key last, and who claims it: for transactions that must not lose an update. */
export function guardKey(key: string): Place {
  return { bucket: guardBuckets()[hash32(key) % KEY_SHARDS]!, id: key }
}

export function guardBuckets(): readonly string[] {
  return GUARD_BUCKETS
}

/** Buckets that keys are spread over. */
const KEY_SHARDS = 64
const BASE_BUCKETS = Array.from({ length: KEY_SHARDS }, (_, shard) => `base/${shard}`)
const GUARD_BUCKETS = Array.from({ length: KEY_SHARDS }, (_, shard) => `guard/${shard}`)

/** Where members renew their leases, by node id. */
export const MEMBER_BUCKET = 'member'

export function leaseKey(nodeId: string): Place {
  return { bucket: MEMBER_BUCKET, id: nodeId }
}

/** Up to where collection may have compacted. */
export const CLUSTER_WATERMARK: Place = { bucket: 'cluster', id: 'watermark' }
/** Up to where it has, and the highest clock of what it compacted. */
export const CLUSTER_COMPACTED: Place = { bucket: 'cluster', id: 'compacted' }
/** Minutes before this one are empty: even their markers are gone. */
export const CLUSTER_SWEPT: Place = { bucket: 'cluster', id: 'swept' }
/** Large values of minutes before this one are all referred to, or their removal is under way. */
export const CLUSTER_SWEPT_VALUES: Place = { bucket: 'cluster', id: 'swept-values' }

/** Origins that have departed: nothing of them is left but in bases, and cuts leave them out. */
export const CLUSTER_DEPARTED: Place = { bucket: 'cluster', id: 'departed' }

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
