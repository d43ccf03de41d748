import { type Coordinates, cutOf, EMPTY_CUT } from '../../core/cut.js'
import type { Decision } from '../../core/decision.js'
import type { History, HistoryState } from '../../core/history.js'
import type { Hlc, HybridClock } from '../../core/hlc.js'
import type { Origin, TxnId } from '../../core/ids.js'
import type { Placed, Publication } from '../../core/publication.js'
import { type Applied, compareStamps, type Version } from '../../core/version.js'
import { mark } from '../../marks.js'
import type { Counters } from '../counters.js'
import type { Bases } from '../reading/bases.js'
import type { ValueCache } from '../reading/value-cache.js'

/** Who hears of what enters the history. */
export interface LedgerListener {
  /** A decision got a place of this node. */
  onPublished(at: Coordinates, txn: TxnId, decision: Publication): void
  /** A transaction is known to have committed: nothing of it will be asked for again. */
  onSettled(txn: TxnId): void
  /** Versions came into the history, got another place, or left it. */
  onTouched(versions: readonly Version[]): void
}

/**
 * Where decisions enter this node's history, and leave it. A decision gets a place, all its versions become visible at
 * once, and from then on every snapshot that begins includes it. The caches of values follow.
 */
export class Ledger {
  readonly origin: Origin
  readonly #history: History
  readonly #clock: HybridClock
  readonly #values: ValueCache
  readonly #bases: Bases
  readonly #counters: Counters
  #listener: LedgerListener = { onPublished() {}, onSettled() {}, onTouched() {} }

  constructor(
    origin: Origin,
    history: History,
    clock: HybridClock,
    values: ValueCache,
    bases: Bases,
    counters: Counters,
  ) {
    this.origin = origin
    this.#history = history
    this.#clock = clock
    this.#values = values
    this.#bases = bases
    this.#counters = counters
  }

  listen(listener: LedgerListener): void {
    this.#listener = listener
  }

  /** Places of this node given out. */
  get seq(): number {
    return this.#history.seqOf(this.origin)
  }

  /** Applies a decision made here, or found in storage, at this node's next place. Idempotent. */
  publish(txn: TxnId, decision: Decision): void {
    if (this.#history.has(txn)) return
    const at: Coordinates = { origin: this.origin, seq: this.seq + 1 }
    const applied = this.#apply(txn, decision, at)
    if (isPlain(decision)) applied.plainAttempt = decision.attempt
    this.#listener.onPublished(at, txn, decision)
  }

  /** Applies a decision that was found in storage: its origin died before anyone heard of it, say. */
  adopt(txn: TxnId, decision: Decision): void {
    if (this.#history.has(txn)) return
    this.#counters.adoptions++
    this.publishFound(txn, decision)
  }

  /**
   * Applies a decision as its record has it. That does not say up to which number the cut leaves departed origins out: of no more
   * than are known here.
   */
  publishFound(txn: TxnId, decision: Decision): void {
    const { knownDepartures } = this.#history
    if (knownDepartures === 0) this.publish(txn, decision)
    else this.publish(txn, { ...decision, cut: cutOf(decision.cut, knownDepartures) })
  }

  /** Applies what another origin published at its next place. */
  receive(at: Coordinates, placed: Placed): void {
    if (placed.kind === 'decided') {
      this.#apply(placed.txn, placed.publication, at)
      return
    }
    mark('apply.compacted')
    // What is in the bases of a node that was cut off for long is not known here by its keys.
    if (!this.#history.has(placed.txn) && placed.hlc > this.#history.unseen) this.#bases.clear()
    this.#clock.observe(placed.hlc)
    this.#history.pass(placed.txn, at, placed.hlc)
    this.#placed(placed.txn)
    this.#listener.onSettled(placed.txn)
  }

  /** A past origin's next place is known to be that of a decision that is here, or in the bases. */
  pass(at: Coordinates, txn: TxnId): void {
    this.#history.pass(txn, at)
    this.#placed(txn)
  }

  /**
   * Gives a decision that is in the bases alone a place of this node's own: a cut that names it is covered by nobody who has not
   * been told up to which clock there may be such.
   */
  passOwn(txn: TxnId): void {
    this.#history.pass(txn, { origin: this.origin, seq: this.seq + 1 }, this.#history.horizon)
  }

  /** Something was compacted that this node may never have had: at or below this clock bases are to be compared. */
  foundCompacted(horizon: Hlc): void {
    if (horizon <= this.#history.unseen) return
    this.#clock.observe(horizon)
    this.#history.foundCompacted(EMPTY_CUT, horizon)
    this.#bases.clear()
  }

  /** Takes over all that another node has applied. */
  install(state: HistoryState): void {
    this.#clock.observe(state.horizon)
    const { added, dropped } = this.#history.install(state)
    // Bases of what neither has in its chains may have moved on while this node did not look.
    this.#bases.clear()
    for (const version of dropped) this.#values.take(version)
    for (const applied of added) {
      this.#clock.observe(applied.hlc)
      this.#listener.onSettled(applied.txn)
    }
  }

  /** An origin is compacted up to a place: what it published up to there is in the bases. */
  compact(origin: Origin, through: number): void {
    const dropped = this.#history.compact(origin, through)
    for (const [i, version] of dropped.entries()) {
      const bytes = this.#values.take(version)
      // The newer one, which comes next, says all that the bases need to know.
      const next = dropped[i + 1]
      if (next?.key === version.key && compareStamps(next.applied, version.applied) > 0) continue
      this.#bases.moved(version, bytes, !this.#history.mayBeSuperseded(version))
    }
    if (dropped.length > 0) this.#listener.onTouched(dropped)
  }

  /**
   * An origin has departed: all that anyone knew of it, up to a place, is in the bases. What stands beyond, told to this node
   * alone before it was out of touch, gets places of this node's own. False: something of it is left here.
   */
  depart(origin: Origin, last: number, horizon: Hlc, number: number): boolean {
    const isBehind = this.#history.seqOf(origin) < last
    this.compact(origin, last)
    const beyond = this.#history.seqOf(origin)
    for (const txn of this.#history.orderOf(origin, last + 1, beyond)) {
      const placed = this.#history.stated(txn)
      if (placed === undefined) continue
      const at: Coordinates = { origin: this.origin, seq: this.seq + 1 }
      this.#history.apply(txn, placed, at)
      this.#placed(txn)
      this.#listener.onPublished(at, txn, placed)
    }
    const hasDeparted = this.#history.depart(origin, last, horizon, number)
    // What never came here may be newer than what is cached, and than what has just left the chains for the cache.
    if (isBehind) this.#bases.clear()
    return hasDeparted
  }

  /** Where a commit stands, for whoever wants to see it elsewhere. What is compacted is seen by all: place 0. */
  placeOf(txn: TxnId): Coordinates {
    return this.#history.find(txn)?.coordinates[0] ?? { origin: this.origin, seq: 0 }
  }

  #apply(txn: TxnId, publication: Publication, at: Coordinates): Applied {
    this.#clock.observe(publication.hlc)
    const isNew = !this.#history.has(txn)
    const applied = this.#history.apply(txn, publication, at)
    this.#listener.onTouched(applied.versions)
    if (!isNew) return applied
    this.#keepValues(applied, publication)
    this.#listener.onSettled(txn)
    return applied
  }

  /** What is here has another place. */
  #placed(txn: TxnId): void {
    const applied = this.#history.find(txn)
    if (applied !== undefined) this.#listener.onTouched(applied.versions)
  }

  #keepValues({ versions }: Applied, { writes }: Publication): void {
    for (const version of versions) {
      const { value } = writes[version.index]!
      if (value.kind === 'inline') this.#values.put(version, value.bytes)
    }
  }
}

/** Its marker says nothing but its attempt and its clock. */
function isPlain({ result, claimed, writes }: Decision): boolean {
  return result === undefined && !claimed && writes.every(({ value }) => value.kind !== 'blob')
}
