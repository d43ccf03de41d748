import type { Commit, Standing } from '../../core/decision.js'
import { CLUSTER_CHECKPOINT, CLUSTER_DEPARTED, placedBlob, txnMinute } from '../../core/layout.js'
import type {
  CompareAndSwapResult,
  ListedEntry,
  Storage,
  StorageEntry,
  StorageKey,
} from '../../ports/storage.js'
import { decodeDeparted, decodeMinute, decodeStanding } from '../../wire/records.js'
import { decodeValue } from '../../wire/value.js'
import type { Committed, Tag, Violation } from '../checkers/history.js'
import { CollectionWitness } from './collection-witness.js'
import type { EventLog } from './event-log.js'
import type { Recorder } from './recorder.js'

export interface WitnessAsks {
  /** Whether what became of an id need not be known any more. */
  mayForget(txn: string): boolean
  /** Whether an attempt that decides now must have begun when its id was too old by any clock. */
  mustRefuse(txn: string): boolean
  /** A decision's record becomes a marker: chains still hold it. */
  onShrunk(txn: string): void
}

/**
 * Stands right above the engine and sees every effect there, also of operations whose caller was told nothing or is dead:
 * what is decided, in which order, and whether a rule of decision records is broken. It never interferes.
 */
export class Witness implements Storage {
  readonly #broken: Violation[] = []
  /** Every bucket that was ever written to. */
  readonly buckets = new Set<string>()
  /**
   * Values that came when the minute of their ids had been passed, or whose attempt might still have committed then: they stay
   * until it is retired.
   */
  readonly lateValues = new Set<string>()
  readonly #storage: Storage
  readonly #log: EventLog
  readonly #committed: Map<string, Committed>
  readonly #shrunk: Recorder['shrunk']
  readonly #departures: Recorder['departures']
  readonly #asked: WitnessAsks
  /** Of values that lie apart from their decisions. */
  readonly #blobs = new Map<string, Tag>()
  #checkpoint = 0
  /** What stands under each id. */
  readonly #standings = new Map<string, Standing | undefined>()

  readonly #collection: CollectionWitness

  constructor(
    storage: Storage,
    log: EventLog,
    recorded: Pick<Recorder, 'committed' | 'raised' | 'shrunk' | 'departures'>,
    asked: WitnessAsks,
  ) {
    this.#storage = storage
    this.#log = log
    this.#committed = recorded.committed
    this.#collection = new CollectionWitness(log, recorded.raised)
    this.#shrunk = recorded.shrunk
    this.#departures = recorded.departures
    this.#asked = asked
  }

  get broken(): readonly Violation[] {
    return [...this.#broken, ...this.#collection.broken]
  }

  get durability(): string {
    return this.#storage.durability
  }

  get(keys: readonly StorageKey[]): Promise<(Uint8Array | undefined)[]> {
    return this.#storage.get(keys)
  }

  async put(entries: readonly StorageEntry[]): Promise<void> {
    for (const { bucket, id, value } of entries) {
      this.#log.add(`put ${bucket} ${id} ${value.length}`)
      this.buckets.add(bucket)
      if (bucket.startsWith('value/')) this.#value(id, value)
    }
    const decisions = entries.filter(({ bucket }) => isDecision(bucket))
    const before = await this.#storage.get(decisions)
    for (const [i, { id, value }] of decisions.entries())
      this.#checkShrunk(id, standingOf(before[i]), standingOf(value))
    await this.#storage.put(entries)
  }

  async compareAndSwap(
    key: StorageKey,
    expected: Uint8Array | undefined,
    next: Uint8Array | undefined,
  ): Promise<CompareAndSwapResult> {
    // The engine takes the effect before it first waits, so whoever sees it later is later in the log as well.
    const swapping = this.#storage.compareAndSwap(key, expected, next)
    const result = await swapping
    this.buckets.add(key.bucket)
    this.#log.add(`swap ${key.bucket} ${key.id} ${result.swapped ? (next?.length ?? 'gone') : 'refused'}`)
    if (result.swapped && isDecision(key.bucket)) this.#check(key.id, standingOf(expected), standingOf(next))
    if (result.swapped && key.bucket.startsWith('base/')) this.#collection.base(key.id, expected, next)
    if (result.swapped && isCheckpoint(key) && next !== undefined) this.#pass(decodeMinute(next))
    if (result.swapped && isDepartures(key) && next !== undefined) this.#depart(next)
    return result
  }

  async delete(keys: readonly StorageKey[]): Promise<void> {
    for (const { bucket, id } of keys) {
      this.#log.add(`delete ${bucket} ${id}`)
      if (bucket.startsWith('value/')) {
        this.#blobs.delete(id)
        this.#collection.deleted(id)
      }
      if (isDecision(bucket) && this.#committed.has(id) && !this.#asked.mayForget(id))
        this.#break(`the decision of ${id} was deleted`)
    }
    await this.#storage.delete(keys)
  }

  list(bucket: string, options?: { readonly values?: boolean }): AsyncIterable<ListedEntry> {
    return this.#storage.list(bucket, options)
  }

  close(): Promise<void> {
    return this.#storage.close()
  }

  #pass(checkpoint: number): void {
    for (const id of this.#blobs.keys()) {
      const placed = placedBlob(id)
      if (placed === undefined) continue
      const minute = txnMinute(placed.txn)
      const isPassed = minute >= this.#checkpoint && minute < checkpoint
      if (isPassed && mayCommit(this.#standings.get(placed.txn), placed.attempt)) this.lateValues.add(id)
    }
    this.#checkpoint = checkpoint
  }

  #check(txn: string, before: Standing | undefined, after: Standing | undefined): void {
    this.#standings.set(txn, after)
    switch (after?.status) {
      case undefined:
        if (before?.status !== 'fenced') this.#break(`the record of ${txn} was removed`)
        return
      case 'committed':
        if (!mayCommit(before, after.attempt))
          this.#break(`${txn} committed an attempt where ${describe(before)} stood`)
        this.#commit(txn, after)
        return
      case 'compacted':
        if (before?.status !== 'committed' || !isSame(before, after))
          this.#break(`${txn}: ${describe(before)} shrank to ${describe(after)}`)
        this.#shrank(txn)
        return
      case 'fenced':
        if (!mayCommit(before, after.upTo)) this.#break(`${txn} was fenced where ${describe(before)} stood`)
        return
      case 'aborted':
        if (before?.status === 'committed' || before?.status === 'compacted')
          this.#break(`${txn} was aborted where ${describe(before)} stood`)
    }
  }

  #value(id: string, value: Uint8Array): void {
    this.#blobs.set(id, tagOf(value))
    const placed = placedBlob(id)
    if (placed !== undefined && txnMinute(placed.txn) < this.#checkpoint) this.lateValues.add(id)
  }

  /** Only what is decided may be written over without a look, by its marker: whoever does so again writes the same. */
  #checkShrunk(txn: string, before: Standing | undefined, after: Standing | undefined): void {
    this.#standings.set(txn, after)
    this.#shrank(txn)
    const wasDecided = before?.status === 'committed' || before?.status === 'compacted'
    if (wasDecided && after?.status === 'compacted' && isSame(before, after)) return
    this.#break(`${txn}: ${describe(after)} was put over ${describe(before)}`)
  }

  #shrank(txn: string): void {
    if (this.#shrunk.has(txn)) return
    this.#shrunk.set(txn, this.#log.count)
    this.#asked.onShrunk(txn)
  }

  #depart(record: Uint8Array): void {
    for (const { origin, number, seq } of decodeDeparted(record).departures)
      this.#departures.set(origin, { number, last: seq })
  }

  #commit(txn: string, decision: Extract<Standing, { status: 'committed' }>): void {
    const writes = new Map<string, Tag>()
    for (const { key, value } of decision.writes) {
      if (value.kind === 'tombstone') writes.set(key, null)
      else if (value.kind === 'inline') writes.set(key, tagOf(value.bytes))
      else writes.set(key, this.#tagOfBlob(txn, value.blob))
    }
    const { attempt, hlc, result } = decision
    const keys = [...writes].map(([key, tag]) => `${key}=${tag}`).join(' ')
    const at = this.#log.add(`${txn} commits ${attempt} at ${hlc}: ${keys}`)
    if (this.#committed.has(txn)) this.#break(`${txn} committed twice`)
    if (this.#asked.mustRefuse(txn)) this.#break(`${txn} committed, and was too old to begin`)
    this.#committed.set(txn, {
      txn,
      attempt,
      hlc,
      writes,
      at,
      result: result === undefined ? undefined : decodeValue(result),
      claimed: decision.claimed,
      cut: decision.cut,
    })
  }

  #tagOfBlob(txn: string, blob: string): Tag {
    const tag = this.#blobs.get(`${txn}:${blob}`)
    if (tag === undefined) this.#break(`${txn} committed without its value ${blob}`)
    return tag ?? null
  }

  #break(what: string): void {
    this.#broken.push({ rule: 'I6 decisions', what })
  }
}

/** Whether an attempt may yet commit, given what stands. Written down here: the code under judgement has its own. */
export function mayCommit(standing: Standing | undefined, attempt: string): boolean {
  return standing === undefined || (standing.status === 'fenced' && standing.upTo < attempt)
}

/** Values are texts that begin with their tag. Null for anything else, such as a write set. */
export function tagOf(encoded: Uint8Array): Tag {
  try {
    return tagIn(decodeValue(encoded))
  } catch {
    return null
  }
}

export function tagIn(value: unknown): Tag {
  return typeof value === 'string' ? value.split(' ', 1)[0]! : null
}

function isDecision(bucket: string): boolean {
  return bucket.startsWith('decision/')
}

function isCheckpoint({ bucket, id }: StorageKey): boolean {
  return bucket === CLUSTER_CHECKPOINT.bucket && id === CLUSTER_CHECKPOINT.id
}

function isDepartures({ bucket, id }: StorageKey): boolean {
  return bucket === CLUSTER_DEPARTED.bucket && id === CLUSTER_DEPARTED.id
}

function standingOf(record: Uint8Array | undefined): Standing | undefined {
  return record === undefined ? undefined : decodeStanding(record)
}

function isSame(a: Commit, b: Commit): boolean {
  return a.attempt === b.attempt && a.hlc === b.hlc
}

function describe(standing: Standing | undefined): string {
  if (standing === undefined) return 'nothing'
  return standing.status === 'fenced' ? `a fence up to ${standing.upTo}` : standing.status
}
