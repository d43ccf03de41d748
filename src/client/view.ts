import { VirgaError } from '../errors.js'
import type { Clock } from '../ports/clock.js'
import type { ViewReader } from '../ports/view.js'
import {
  decodeSnapshot,
  decodeVector,
  EntryCursor,
  entryKey,
  FLOOR_KEY,
  FOUND,
  FOUND_ABSENT,
  FOUND_APART,
  META_KEY,
  MetaCursor,
  mayHaveEntry,
  type Vector,
  valueKey,
} from '../wire/view.js'

/** A node whose view does not move for so long is not asked through it to begin anything. It moves once a second. */
const STILL_MS_MAX = 3_000
/** One read in so many is told to the node, which keeps in the view what is read. */
const SAMPLE_EVERY = 32
const SAMPLE_KEYS = 16

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
  #beat = -1
  #movedAtMs: number
  #reads = 0
  #sample: string[] = []
  #isUnfit = false

  constructor(reader: ViewReader, clock: Clock, events: ViewEvents) {
    this.#reader = reader
    this.#clock = clock
    this.#events = events
    this.#movedAtMs = clock.monotonic()
  }

  /** A snapshot of all that the node has applied. Undefined: the node must be asked. */
  begin(): ViewSnapshot | undefined {
    if (this.#isUnfit) return undefined
    try {
      this.#reader.refresh()
      const head = this.#readHead()
      if (head === undefined || !this.#moves()) return undefined
      const { moment, epoch } = this.#head
      if (this.#last?.moment !== moment || this.#last.epoch !== epoch) {
        this.#last = {
          moment,
          epoch,
          record: MetaCursor.snapshotOf(head),
          places: undefined,
          floorVersion: -1,
        }
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

  /** The encoded value of a key, null if it is absent. Undefined: the node must be asked. */
  read(snapshot: ViewSnapshot, key: string): Uint8Array | null | undefined {
    if (this.#isUnfit) return undefined
    try {
      let head = this.#readHead()
      // What was looked at in this turn may be older than what the node told meanwhile.
      if (head !== undefined && this.#head.moment < snapshot.moment) {
        this.#reader.refresh()
        head = this.#readHead()
      }
      if (head === undefined || !this.#shows(snapshot)) return undefined
      return this.#find(key, snapshot.moment, snapshot.places)
    } catch (error) {
      this.#giveUp(error)
      return undefined
    }
  }

  /** The newest value that the node has applied. */
  readNewest(key: string): Uint8Array | null | undefined {
    if (this.#isUnfit) return undefined
    try {
      this.#reader.refresh()
      if (this.#readHead() === undefined || !this.#moves()) return undefined
      return this.#find(key, Number.POSITIVE_INFINITY, undefined)
    } catch (error) {
      this.#giveUp(error)
      return undefined
    }
  }

  close(): void {
    this.#isUnfit = true
    this.#reader.close()
  }

  #readHead(): Uint8Array | undefined {
    const bytes = this.#reader.get(META_KEY)
    if (bytes === undefined) return undefined
    this.#head.read(bytes)
    if (this.#head.isLive) return bytes
    this.#giveUp(undefined)
    return undefined
  }

  #moves(): boolean {
    if (this.#head.beat !== this.#beat) {
      this.#beat = this.#head.beat
      this.#movedAtMs = this.#clock.monotonic()
      return true
    }
    if (this.#clock.monotonic() - this.#movedAtMs <= STILL_MS_MAX) return true
    this.#events.onUnfit()
    return false
  }

  /** Whether all that the snapshot sees is in this batch, and the bases in it hold nothing that it does not see. */
  #shows(snapshot: ViewSnapshot): boolean {
    const head = this.#head
    if (head.epoch !== snapshot.epoch || head.moment < snapshot.moment) return false
    if (snapshot.places === undefined && snapshot.moment >= head.floorMoment) return true
    if (snapshot.floorVersion === head.floorVersion) return true
    const floor = this.#reader.get(FLOOR_KEY)
    if (floor === undefined) return false
    const seen = snapshot.places ?? decodeSnapshot(snapshot.record).vector
    for (const [origin, seq] of decodeVector(floor)) if (seq > (seen.get(origin) ?? 0)) return false
    snapshot.floorVersion = head.floorVersion
    return true
  }

  #find(key: string, moment: number, places: Vector | undefined): Uint8Array | null | undefined {
    if (!mayHaveEntry(key)) return undefined
    const bytes = this.#reader.get(entryKey(key))
    if (bytes === undefined) return undefined
    switch (this.#entry.find(bytes, moment, places, this.#head.horizon)) {
      case FOUND:
        this.#count(key)
        return bytes.subarray(this.#entry.start, this.#entry.end)
      case FOUND_ABSENT:
        this.#count(key)
        return null
      case FOUND_APART: {
        const value = this.#reader.get(valueKey(this.#entry.number))
        if (value !== undefined) this.#count(key)
        return value
      }
      default:
        return undefined
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
