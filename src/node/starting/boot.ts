import type { Decision } from '../../core/decision.js'
import type { History } from '../../core/history.js'
import { isOrigin, isTxnId, type Origin, type TxnId } from '../../core/ids.js'
import {
  CLUSTER_FORMAT,
  CLUSTER_KEY,
  decisionBuckets,
  decisionKey,
  LAYOUT_VERSION,
  lateBucket,
  orderBucket,
  pinBuckets,
} from '../../core/layout.js'
import { compareStamps } from '../../core/version.js'
import { VirgaError } from '../../errors.js'
import type { Storage } from '../../ports/storage.js'
import { decodeFormat, decodeOrder, decodePin, decodeStanding, encodeFormat } from '../../wire/records.js'
import type { Minutes } from '../collecting/minutes.js'
import type { Pins } from '../contexts/pins.js'
import type { Ledger } from '../sharing/ledger.js'
import { readOrMake } from './read-or-make.js'

/** Listings under way at once while a node boots. */
const LISTINGS_MAX = 64
const CLUSTER_KEY_BYTES = 32

/** Refuses a storage that is laid out in another way. Throws `StorageCorrupt`. */
export async function checkFormat(storage: Storage): Promise<void> {
  const layout = decodeFormat(await readOrMake(storage, CLUSTER_FORMAT, () => encodeFormat(LAYOUT_VERSION)))
  if (layout === LAYOUT_VERSION) return
  throw new VirgaError(
    'StorageCorrupt',
    `this storage has layout ${layout}; this version of virga reads ${LAYOUT_VERSION}`,
  )
}

/** The key that contexts are signed with, made at the first start of all. */
export async function clusterKey(
  storage: Storage,
  entropy: (bytes: number) => Uint8Array,
): Promise<Uint8Array> {
  return readOrMake(storage, CLUSTER_KEY, () => entropy(CLUSTER_KEY_BYTES))
}

/**
 * Brings everything that storage holds into an empty history: every decision since the checkpoint, in the order of their
 * clocks, which is causal; then, for each pinned cut, the places that its origins gave to those decisions.
 *
 * Only what is durable is read and nothing but the checkpoint is written, so a crash here costs a second boot and no more.
 */
export async function restore(
  storage: Storage,
  minutes: Minutes,
  ledger: Ledger,
  history: History,
  pins: Pins,
  nowMs: number,
): Promise<void> {
  const found = await listDecisions(storage, minutes.checkpoint, minutes.ceiling)
  found.decisions.sort(([a, left], [b, right]) =>
    compareStamps({ hlc: left.hlc, txn: a }, { hlc: right.hlc, txn: b }),
  )
  for (const [txn, decision] of found.decisions) ledger.publish(txn, decision)
  await restoreOrders(storage, history, pins)
  await minutes.advance(found.firstMinute, nowMs)
}

interface Found {
  readonly decisions: [TxnId, Decision][]
  /** The first minute that holds anything; infinite if none does. */
  firstMinute: number
}

async function listDecisions(storage: Storage, from: number, to: number): Promise<Found> {
  const found: Found = { decisions: [], firstMinute: Number.POSITIVE_INFINITY }
  const seen = new Set<TxnId>()
  const take = (txn: string, record: Uint8Array | undefined): void => {
    if (record === undefined || !isTxnId(txn) || seen.has(txn)) return
    const standing = decodeStanding(record)
    if (standing.status !== 'committed') return
    seen.add(txn)
    found.decisions.push([txn, standing])
  }
  const minutes = Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i)
  await eachLimited(minutes, async (minute) => {
    for (const bucket of decisionBuckets(minute)) {
      for await (const { id, value } of storage.list(bucket, { values: true })) {
        found.firstMinute = Math.min(found.firstMinute, minute)
        take(id, value)
      }
    }
    const late: TxnId[] = []
    for await (const { id } of storage.list(lateBucket(minute))) if (isTxnId(id)) late.push(id)
    if (late.length === 0) return
    found.firstMinute = Math.min(found.firstMinute, minute)
    const records = await storage.get(late.map(decisionKey))
    for (const [i, txn] of late.entries()) take(txn, records[i])
  })
  return found
}

/** Lets pinned cuts of dead origins be read: their orders are in storage as far as any pin reaches. */
async function restoreOrders(storage: Storage, history: History, pins: Pins): Promise<void> {
  for (const origin of await pinnedOrigins(storage, pins)) {
    let upTo = 0
    for await (const { value } of storage.list(orderBucket(origin), { values: true })) {
      if (value === undefined) continue
      const { first, txns } = decodeOrder(value)
      for (const [i, txn] of txns.entries()) history.alsoAt(txn, { origin, seq: first + i })
      upTo = Math.max(upTo, first + txns.length - 1)
    }
    history.declare(origin, upTo)
  }
}

async function pinnedOrigins(storage: Storage, pins: Pins): Promise<ReadonlySet<Origin>> {
  const origins = new Set<Origin>()
  for (const bucket of pinBuckets()) {
    for await (const { id, value } of storage.list(bucket, { values: true })) {
      if (value === undefined || !isTxnId(id)) continue
      const { cut, deadlineMs } = decodePin(value)
      pins.note({ txn: id, deadlineMs, lineage: [] })
      for (const origin of cut.keys()) if (isOrigin(origin)) origins.add(origin)
    }
  }
  return origins
}

async function eachLimited<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < items.length) await run(items[next++]!)
  }
  await Promise.all(Array.from({ length: Math.min(LISTINGS_MAX, items.length) }, worker))
}
