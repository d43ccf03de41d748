import { Bag, type Bagged, NOWHERE } from '../../bag.js'
import { type Cut, covers, coversBut, departuresOf, EMPTY_CUT, intersection, union } from '../../core/cut.js'
import type { History } from '../../core/history.js'
import type { TxnId } from '../../core/ids.js'
import { mark } from '../../marks.js'
import type { Clock } from '../../ports/clock.js'
import { SlotMap } from '../../slot-map.js'
import type { Watermark } from '../../wire/records.js'
import { DEFAULT_BOUNDS } from '../bounds.js'
import { floorBelow } from './join-watermark.js'

/**
 * What other nodes hand over here, of transactions that they began within this time, is at or above what this node has promised
 * to need: it can be taken up without asking anyone. A node that is alone need not wait for that.
 */
const LAG_MS = 1_500
/** Clocks of nodes differ: a deadline has passed everywhere only so much later. */
const DEADLINE_MARGIN_MS = 30_000

/** For so long a transaction that ended is remembered. */
const ENDED_MS = 10_000

interface HandedOver {
  cut: Cut
  deadlineMs: number
}

/** A cut that counts for a while. Until it is sure that nothing it needs is collected, it holds others back and proves nothing. */
interface Held extends Bagged {
  readonly cut: Cut
  isSure: boolean
  /** It came from elsewhere, and nothing that it needs had been collected. */
  isAdmitted: boolean
}

interface Sample {
  readonly atMs: number
  readonly cut: Cut
  readonly moment: number
}

export type SnapshotHistory = Pick<
  History,
  'isInEveryCut' | 'knownDepartures' | 'lacksDeparted' | 'moment' | 'seesUnnamed'
>

/**
 * How far others may have collected, as far as this node goes: it only ever rises. A snapshot that sees less may lack what it
 * needs.
 */
export interface Floor {
  readonly cut: Cut
  /** Whatever began here at this moment or later sees all of the cut. */
  readonly moment: number
}

/**
 * What this node's snapshots need: those of open transactions, those handed over and not yet ended, reads and resumes under
 * way, and those that other nodes may be about to hand over.
 *
 * Their greatest lower bound is told to the others, and nobody collects beyond it. What was told is a promise: a snapshot
 * from another node is one that others wait for if it is at or above that, at or above all that was told before, and at or above
 * the watermark that was in force when this node last caught up, since nothing of this node held others back before.
 */
export class Snapshots {
  readonly #clock: Clock
  readonly #history: SnapshotHistory
  readonly #open: () => Iterable<Cut>
  readonly #endedMax: number
  readonly #held = new Bag<Held>()
  readonly #handedOver = new SlotMap<TxnId, HandedOver>()
  /** By the transaction, until when it is remembered. */
  readonly #endedUntilMs = new Map<TxnId, number>()
  readonly #samples: Sample[] = []
  #published: Cut = EMPTY_CUT
  #floor: Cut = EMPTY_CUT
  #limit: Floor = { cut: EMPTY_CUT, moment: 0 }

  constructor(
    clock: Clock,
    history: SnapshotHistory,
    open: () => Iterable<Cut>,
    endedMax = DEFAULT_BOUNDS.endedMax,
  ) {
    this.#clock = clock
    this.#history = history
    this.#open = open
    this.#endedMax = endedMax
  }

  /** What was last told to be low, or above that while it is not sure of a snapshot that that can be read. */
  get published(): Cut {
    return this.#published
  }

  /** A new object whenever it has risen. */
  get limit(): Floor {
    return this.#limit
  }

  get handedOverCount(): number {
    return this.#handedOver.size
  }

  /** The node has all that is at or below a watermark: what it takes up from now on must not need less. */
  caughtUp(floor: Cut): void {
    this.#floor = union(this.#floor, floor)
    this.#raise(floor, this.#history.moment)
  }

  /**
   * The greatest cut that all snapshots include. From now on it is a promise.
   * @param isAlone nobody hands snapshots over, or begins them without a message
   */
  low(applied: Cut, isAlone: boolean): Cut {
    const nowMs = this.#clock.monotonic()
    const lagMs = isAlone ? 0 : LAG_MS
    this.#samples.push({ atMs: nowMs, cut: applied, moment: this.#history.moment })
    while (this.#samples.length > 1 && nowMs - this.#samples[1]!.atMs >= lagMs) this.#samples.shift()
    // Thousands of transactions share few cuts.
    const cuts = new Set<Cut>(this.#open())
    for (const { cut, isSure } of this.#held) if (isSure) cuts.add(cut)
    if (cuts.size > 0) mark('low.open')
    if (this.#handedOver.size > 0) mark('low.handed-over')
    for (const { cut } of this.#handedOver.values()) cuts.add(cut)
    const sample = this.#samples[0]!
    let low = sample.cut
    for (const cut of cuts) low = intersection(low, cut)
    this.#published = low
    for (const { cut, isSure } of this.#held) if (!isSure) low = intersection(low, cut)
    this.#raise(low, sample.moment)
    return low
  }

  /**
   * Whether all departures are known here that a snapshot takes for known. Else what those origins published, which it sees without
   * naming them, would be taken for what it does not see.
   */
  knowsDepartedOf(snapshot: Cut): boolean {
    return departuresOf(snapshot) <= this.#history.knownDepartures
  }

  /** Whether a snapshot sees all that a cut does, and all that departed origins published. */
  includes(snapshot: Cut, cut: Cut): boolean {
    return (
      !this.#history.lacksDeparted(snapshot) &&
      coversBut(snapshot, cut, (at) => this.#history.isInEveryCut(at))
    )
  }

  /** Whether a snapshot sees all that a watermark does. */
  includesWatermark(snapshot: Cut, watermark: Watermark): boolean {
    if (this.#history.lacksDeparted(snapshot)) return false
    return floorBelow(snapshot, watermark, this.#history) !== undefined
  }

  /** Whether a snapshot that is open here, and was one that others wait for, still is. */
  isLive(cut: Cut): boolean {
    return this.includes(cut, this.#published) && this.includes(cut, this.#floor)
  }

  /**
   * Whether a snapshot from elsewhere is one that others wait for. What was promised last is not enough: it falls with a snapshot of a node that
   * was restored from storage, which sees by places of its own what it does not name, and others have collected as far as was
   * promised before (seed 31).
   */
  counts(cut: Cut): boolean {
    return this.includes(cut, this.#published) && this.includes(cut, this.#limit.cut)
  }

  /** Counts a cut until the returned function is called. */
  hold(cut: Cut): () => void {
    const held: Held = { place: NOWHERE, cut, isSure: true, isAdmitted: false }
    this.#held.add(held)
    return () => void this.#held.delete(held)
  }

  /**
   * Counts a cut that others may have collected beyond already, so that they do not from now on. Until it is confirmed
   * it does not count as a promise: another snapshot like it is not to be taken for one that was kept all the time.
   */
  holdUnsure(cut: Cut): { readonly confirm: () => void; readonly release: () => void } {
    const held: Held = { place: NOWHERE, cut, isSure: false, isAdmitted: false }
    this.#held.add(held)
    return {
      confirm: () => {
        held.isSure = true
        held.isAdmitted = true
      },
      release: () => {
        this.#held.delete(held)
      },
    }
  }

  /** Whether a transaction's snapshot is kept by this node already, or is one that others wait for. */
  keeps(txn: TxnId, cut: Cut): boolean {
    const handedOver = this.#handedOver.get(txn)
    if (handedOver !== undefined && this.includes(cut, handedOver.cut)) return true
    return this.counts(cut) || this.#holdsBelow(cut)
  }

  /** Whether a snapshot sees all of one that was admitted, and is held since. */
  #holdsBelow(cut: Cut): boolean {
    for (const held of this.#held) if (held.isAdmitted && this.includes(cut, held.cut)) return true
    return false
  }

  /** A context with this cut is on its way: it may come back, or be resumed elsewhere, until it ends. */
  handedOver(txn: TxnId, cut: Cut, deadlineMs: number): void {
    const known = this.#handedOver.get(txn)
    if (known === undefined) {
      this.#handedOver.set(txn, { cut, deadlineMs })
      return
    }
    // Another attempt, with another cut: both may be resumed.
    known.cut = intersection(known.cut, cut)
    known.deadlineMs = Math.max(known.deadlineMs, deadlineMs)
  }

  /** The transaction is decided, as the history tells, or ended without a decision. */
  ended(txn: TxnId, isDecided: boolean): void {
    this.#handedOver.delete(txn)
    if (!isDecided) this.#remember(txn)
  }

  /** An executor may be about to tell that it has handed it off. */
  #remember(txn: TxnId): void {
    const nowMs = this.#clock.monotonic()
    for (const [oldest, untilMs] of this.#endedUntilMs) {
      const isFull = this.#endedUntilMs.size >= this.#endedMax
      if (untilMs > nowMs && !isFull) break
      if (untilMs > nowMs) mark('pass.ended-forgotten')
      this.#endedUntilMs.delete(oldest)
    }
    this.#endedUntilMs.set(txn, nowMs + ENDED_MS)
  }

  hasEnded(txn: TxnId): boolean {
    return this.#endedUntilMs.has(txn)
  }

  dropExpired(nowMs: number): void {
    for (const [txn, { deadlineMs }] of this.#handedOver)
      if (nowMs > deadlineMs + DEADLINE_MARGIN_MS) this.#handedOver.delete(txn)
  }

  #raise(cut: Cut, moment: number): void {
    if (covers(this.#limit.cut, cut) && moment <= this.#limit.moment) return
    this.#limit = { cut: union(this.#limit.cut, cut), moment: Math.max(moment, this.#limit.moment) }
  }

  /** The node was out of touch for so long that nothing of before counts. */
  forgetAll(): void {
    this.#handedOver.clear()
    this.#held.clear()
    this.#samples.length = 0
  }
}
