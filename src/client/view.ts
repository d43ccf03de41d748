import { type Cut, cutOf } from '../core/cut.js'
import type { Origin } from '../core/ids.js'
import { VirgaError } from '../errors.js'
import type { Clock } from '../ports/clock.js'
import type { ViewReader } from '../ports/view.js'
import { decodeValueIn } from '../wire/value.js'
import {
  DEPARTURES,
  decodeOrigins,
  decodeSnapshot,
  decodeVector,
  entryKey,
  FLOOR_KEY,
  META_KEY,
  MetaCursor,
  mayHaveEntry,
  ORIGINS_KEY,
  type Vector,
  VIEW_LEASE_MS,
  valueKey,
} from '../wire/view.js'
import { EntryCursor, FOUND, FOUND_ABSENT, FOUND_APART } from '../wire/view-entry.js'

/** Not in the view, or not for sure. */
export const NOT_SEEN: unique symbol = Symbol('not seen')

/** Clocks of two processes that share none (time namespaces) are further apart. */
const AHEAD_MS_MAX = 1_000
/** One read in so many is told to the node, which keeps in the view what is read. */
const SAMPLE_EVERY = 32
const SAMPLE_KEYS = 16
/** Reads and begins without a turn of the event loop: a few milliseconds of them. */
const UNBROKEN_MAX = 512
/** What is done between them may take its time. */
const UNBROKEN_MS_MAX = 5
const LOOKED_EVERY = 16

/** What is read at. Transactions that begin at one moment share it. */
export interface ViewSnapshot {
  readonly moment: number
  readonly epoch: number
  /** As it stands in the view, to be told to the node. */
  readonly record: Uint8Array
  /** A cut that came from elsewhere: what it sees is told by places. */
  readonly places: Vector | undefined
  /** The floor that it was last seen to be above. */
  floorVersion: number
}

export interface ViewEvents {
  /** Of `reads` reads since the last time, these keys are a sample. */
  onUsed(keys: readonly string[], reads: number): void
  /** It is closed, can't be read, or moves no more. Maybe there is another. */
  onUnfit(): void
}

/**
 * Reads from the node's view, in this process. What it answers is what the node would: see src/node/view/view.ts for why. What
 * it can't answer for sure, it doesn't.
 */
export class View {
  readonly #reader: ViewReader
  readonly #clock: Clock
  readonly #events: ViewEvents
  readonly #head = new MetaCursor()
  readonly #entry = new EntryCursor()
  #last: ViewSnapshot | undefined
  /** By their numbers, from 1. */
  #origins: readonly Origin[] = []
  /** The batch that the head was last read of. */
  #headOf = -1
  #reads = 0
  #unbroken = 0
  #brokenAtMs = Number.NEGATIVE_INFINITY
  #sample: string[] = []
  #isUnfit = false

  constructor(reader: ViewReader, clock: Clock, events: ViewEvents) {
    this.#reader = reader
    this.#clock = clock
    this.#events = events
  }

  /** It is closed, or can't be read. */
  get isUnfit(): boolean {
    return this.#isUnfit
  }

  /** A snapshot of all that the node has applied. Undefined: the node must be asked. */
  begin(): ViewSnapshot | undefined {
    if (this.#isUnfit) return undefined
    try {
      this.#reader.refresh()
      const length = this.#readHead()
      if (length < 0 || !this.#isLeased()) return undefined
      const { moment, epoch } = this.#head
      // What has happened may have got another place, without anything else happening.
      if (
        this.#last?.moment !== moment ||
        !MetaCursor.endsWith(this.#reader.bytes, length, this.#last.record)
      ) {
        const record = MetaCursor.snapshotOf(this.#reader.bytes, length)
        this.#last = { moment, epoch, record, places: undefined, floorVersion: -1 }
      }
      return this.#last
    } catch (error) {
      this.#giveUp(error)
      return undefined
    }
  }

  /** A snapshot that the node has told. */
  static snapshot(record: Uint8Array): ViewSnapshot {
    const { moment, epoch, vector } = decodeSnapshot(record)
    return { moment, epoch, record, places: vector, floorVersion: -1 }
  }

  /** The value of a key, undefined if it is absent. `NOT_SEEN`: the node must be asked. */
  read(snapshot: ViewSnapshot, key: string): unknown {
    if (this.#isUnfit || !mayHaveEntry(key)) return NOT_SEEN
    try {
      for (;;) {
        const length = this.#reader.get(entryKey(key))
        if (length < 0) return NOT_SEEN
        // The head tells of the entry only if both are of one batch. Mostly it was read before, in this turn.
        if (this.#headOf === this.#reader.batch && this.#head.moment >= snapshot.moment) {
          if (this.#showsAtOnce(snapshot)) return this.#find(key, length, snapshot.moment, snapshot.places)
          // The head was read for another snapshot. A closer look gets other records, so the entry is got again.
          if (!this.#shows(snapshot)) return NOT_SEEN
          continue
        }
        // What was looked at in this turn may be older than what the node told meanwhile.
        if (this.#headOf === this.#reader.batch) this.#reader.refresh()
        if (this.#readHead() < 0 || !this.#shows(snapshot)) return NOT_SEEN
      }
    } catch (error) {
      return this.#failed(error)
    }
  }

  /**
   * The cut that other nodes know a snapshot by. Undefined: it may see some of what it sees by places that it does not name, and only
   * the node can tell.
   */
  cutOf(snapshot: ViewSnapshot): Cut | undefined {
    if (this.#isUnfit) return undefined
    try {
      if (this.#readHead() < 0 || !this.#namesFloor(snapshot)) return undefined
      const { vector } = decodeSnapshot(snapshot.record)
      const cut: [Origin, number][] = []
      for (const [number, seq] of vector) {
        if (number === DEPARTURES) continue
        const origin = this.#originOf(number)
        if (origin === undefined) return undefined
        cut.push([origin, seq])
      }
      return cutOf(cut, vector.get(DEPARTURES) ?? 0)
    } catch (error) {
      this.#giveUp(error)
      return undefined
    }
  }

  /** The newest value that the node has applied. */
  readNewest(key: string): unknown {
    if (this.#isUnfit || !mayHaveEntry(key)) return NOT_SEEN
    try {
      this.#reader.refresh()
      if (this.#readHead() < 0 || !this.#isLeased()) return NOT_SEEN
      const length = this.#reader.get(entryKey(key))
      return length < 0 ? NOT_SEEN : this.#find(key, length, Number.POSITIVE_INFINITY, undefined)
    } catch (error) {
      return this.#failed(error)
    }
  }

  /** Reads wait for nothing: now and then, what else waits in this process has its turn. Undefined: not now. */
  turn(): Promise<void> | undefined {
    if (++this.#unbroken % LOOKED_EVERY !== 0) return undefined
    const nowMs = this.#clock.monotonic()
    if (this.#unbroken < UNBROKEN_MAX && nowMs - this.#brokenAtMs < UNBROKEN_MS_MAX) return undefined
    this.#unbroken = 0
    this.#brokenAtMs = nowMs
    return new Promise((resolve) => this.#clock.defer(resolve))
  }

  close(): void {
    this.#isUnfit = true
    this.#reader.close()
  }

  /** Its length; -1 if the view is to be left. */
  #readHead(): number {
    const length = this.#reader.get(META_KEY)
    if (length < 0) {
      this.#giveUp(undefined)
      return -1
    }
    this.#headOf = this.#reader.batch
    this.#head.read(this.#reader.data, length)
    if (this.#head.isLive) return length
    this.#giveUp(undefined)
    return -1
  }

  /**
   * Whether the node tells nobody of what is not in the view. It says so for a while at a time, so that it may go on when the
   * view is lost.
   */
  #isLeased(): boolean {
    const ageMs = this.#clock.monotonic() - this.#head.beatMs
    if (ageMs <= VIEW_LEASE_MS && ageMs >= -AHEAD_MS_MAX) return true
    this.#events.onUnfit()
    return false
  }

  /** Whether all that the snapshot sees is in this batch, and the bases in it hold nothing that it does not see. */
  #shows(snapshot: ViewSnapshot): boolean {
    if (this.#showsAtOnce(snapshot)) return true
    return this.#namesFloor(snapshot)
  }

  /** Whether the snapshot sees all of the floor, place by place. */
  #namesFloor(snapshot: ViewSnapshot): boolean {
    const head = this.#head
    if (head.epoch !== snapshot.epoch || head.moment < snapshot.moment) return false
    if (snapshot.floorVersion === head.floorVersion) return true
    const length = this.#reader.get(FLOOR_KEY)
    if (length < 0) return false
    const floor = decodeVector(this.#reader.bytes.subarray(0, length))
    const seen = snapshot.places ?? decodeSnapshot(snapshot.record).vector
    for (const [origin, seq] of floor) if (seq > (seen.get(origin) ?? 0)) return false
    snapshot.floorVersion = head.floorVersion
    return true
  }

  #originOf(number: number): Origin | undefined {
    if (number > this.#origins.length) {
      const length = this.#reader.get(ORIGINS_KEY)
      if (length < 0) return undefined
      this.#origins = decodeOrigins(this.#reader.bytes.subarray(0, length))
    }
    return this.#origins[number - 1]
  }

  #showsAtOnce(snapshot: ViewSnapshot): boolean {
    const head = this.#head
    if (head.epoch !== snapshot.epoch || head.moment < snapshot.moment) return false
    if (snapshot.places === undefined && snapshot.moment >= head.floorMoment) return true
    return snapshot.floorVersion === head.floorVersion
  }

  /** Looks into the entry that was just got. */
  #find(key: string, length: number, moment: number, places: Vector | undefined): unknown {
    const reader = this.#reader
    const entry = this.#entry
    switch (entry.find(reader.data, length, moment, places, this.#head.horizon)) {
      case FOUND:
        this.#count(key)
        return decodeValueIn(reader.bytes, entry.start, entry.end)
      case FOUND_ABSENT:
        this.#count(key)
        return undefined
      case FOUND_APART: {
        const batch = reader.batch
        const found = reader.get(valueKey(entry.number))
        if (found < 0 || reader.batch !== batch) return NOT_SEEN
        this.#count(key)
        return decodeValueIn(reader.bytes, 0, found)
      }
      default:
        return NOT_SEEN
    }
  }

  #count(key: string): void {
    if (++this.#reads % SAMPLE_EVERY !== 0) return
    this.#sample.push(key)
    if (this.#sample.length < SAMPLE_KEYS) return
    this.#events.onUsed(this.#sample, this.#reads)
    this.#sample = []
    this.#reads = 0
  }

  /** A value that can't be decoded is no fault of the view: the node says of it what there is to say. */
  #failed(error: unknown): typeof NOT_SEEN {
    if (!VirgaError.is(error) || error.code !== 'StorageCorrupt') this.#giveUp(error)
    return NOT_SEEN
  }

  #giveUp(error: unknown): void {
    // Anything but what damaged bytes lead to is a fault of ours.
    if (
      error !== undefined &&
      !(VirgaError.is(error) || error instanceof RangeError || error instanceof Error)
    )
      throw error
    if (this.#isUnfit) return
    this.#isUnfit = true
    this.#events.onUnfit()
  }
}
