import { VirgaError } from '../errors.js'
import { mark } from '../marks.js'
import { type Coordinates, type Cut, cutOf, departuresOf, sees, union } from './cut.js'
import { HLC_ZERO, type Hlc } from './hlc.js'
import type { Origin, TxnId } from './ids.js'
import { Order } from './order.js'
import { type Placed, type Publication, publicationOf, type SharedWrite, sourceOf } from './publication.js'
import { type Applied, compareStamps, isVisible, type Version } from './version.js'

/** All that a history holds, in a form that can be told to another node. */
export interface HistoryState {
  readonly vector: Cut
  readonly compacted: Cut
  readonly horizon: Hlc
  readonly orders: readonly {
    readonly origin: Origin
    readonly first: number
    readonly txns: readonly TxnId[]
  }[]
  readonly applied: readonly StatedDecision[]
}

export interface StatedDecision {
  readonly txn: TxnId
  readonly coordinates: readonly Coordinates[]
  readonly publication: Publication
}

export interface Installed {
  /** Decisions that were not here. */
  readonly added: readonly Applied[]
  /** Versions that left their chains. Nothing follows for the bases: a newer one may be compacted that neither has. */
  readonly dropped: readonly Version[]
}

/**
 * Everything a node has applied and not yet dropped: per key a chain of versions, the applied vector, and the order of
 * each origin.
 *
 * The invariant that gives I1 to I3: a cut is a prefix of each origin's publication order, and a decision is applied
 * whole. So the set of transactions that a cut sees never changes, and the newest visible version of each key is a
 * function of the cut alone. What was compacted is seen by every live cut: it leaves the chains, and is read from its
 * key's base.
 */
export class History {
  /** Oldest first: the usual insertion is at the end. */
  readonly #chains = new Map<string, Version[]>()
  readonly #applied = new Map<TxnId, Applied>()
  readonly #vector = new Map<Origin, number>()
  readonly #orders = new Map<Origin, Order>()
  readonly #compacted = new Map<Origin, number>()
  /** Origins that have departed: of what they published nothing is in the chains here, nor will be. */
  readonly #departed = new Set<Origin>()
  readonly #lastOfDeparted = new Map<Origin, number>()
  /** By their numbers, which rise. */
  readonly #numberOfDeparted = new Map<Origin, number>()
  readonly #departures: { readonly origin: Origin; readonly last: number; readonly number: number }[] = []
  /** Up to which number origins need not be named. */
  #leftOut = 0
  /** Those that no cut need name any more. */
  readonly #unnamed = new Set<Origin>()
  #cut: Cut | undefined
  #horizon: Hlc = HLC_ZERO
  /** The highest clock of what was compacted without ever having been in the chains here. */
  #unseen: Hlc = HLC_ZERO
  #versions = 0
  #moment = 0

  /** The applied vector, as a cut that stays as it is. Shared by all who ask between two applications. */
  cut(): Cut {
    this.#cut ??= cutOf(this.#vector, this.#leftOut)
    return this.#cut
  }

  /** Counts what was applied here, and when it was learned that something is in the bases that was not: a cut sees what was so by its moment. */
  get moment(): number {
    return this.#moment
  }

  /** How far each origin is compacted, as far as this node knows and has applied. */
  get compacted(): Cut {
    return this.#compacted
  }

  /** The highest clock that was ever dropped from a chain. At or below it, a key's base in storage must be compared. */
  get horizon(): Hlc {
    return this.#horizon
  }

  /** The highest clock of what was compacted without having been here: a base that was cached before may be older than that. */
  get unseen(): Hlc {
    return this.#unseen
  }

  /** Versions held, over all keys. */
  get versions(): number {
    return this.#versions
  }

  /** Keys that have a chain. */
  get keys(): number {
    return this.#chains.size
  }

  get decisions(): number {
    return this.#applied.size
  }

  /** Whether all that a cut sees is applied here. What departed origins published is in the bases, and in every cut. */
  covers(cut: Cut): boolean {
    for (const [origin, seq] of cut) if (!this.includes({ origin, seq })) return false
    return true
  }

  /**
   * Whether what stands at a place is applied here, or in the bases since its origin has departed. A place that nobody knew of
   * when it departed is not: what stands there gets another place from whoever adopts it.
   */
  includes({ origin, seq }: Coordinates): boolean {
    return seq <= this.seqOf(origin) || this.isInEveryCut({ origin, seq })
  }

  /** Whether a place is one of a departed origin: whatever a cut says of it, what stands there is in the bases. */
  isInEveryCut({ origin, seq }: Coordinates): boolean {
    return seq <= (this.#lastOfDeparted.get(origin) ?? 0)
  }

  /** Whether a cut sees what stands at a place that a watermark names, though it need not name the origin: see `WatermarkRounds`. */
  seesUnnamed(cut: Cut, at: Coordinates): boolean {
    return this.isInEveryCut(at) || (this.#numberOfDeparted.get(at.origin) ?? Infinity) <= departuresOf(cut)
  }

  get departed(): ReadonlySet<Origin> {
    return this.#departed
  }

  /** Cuts do not name origins that departed under this number or a lower one. */
  get leftOut(): number {
    return this.#leftOut
  }

  /** Departures up to this number are known here. */
  get knownDepartures(): number {
    return Math.max(this.#leftOut, this.#departures.at(-1)?.number ?? 0)
  }

  /** Whether cuts do not name it any more. */
  isLeftOut(origin: Origin): boolean {
    return this.#unnamed.has(origin)
  }

  /**
   * Whether a cut is so old that it does not see all of an origin that has departed since: the bases may hold what it does not
   * see.
   */
  lacksDeparted(cut: Cut): boolean {
    const seen = departuresOf(cut)
    for (let i = this.#departures.length - 1; i >= 0; i--) {
      const { origin, last, number } = this.#departures[i]!
      if (number <= seen) return false
      if ((cut.get(origin) ?? 0) < last) return true
    }
    return false
  }

  /**
   * An origin is dead, and all that it ever published, up to a last place, is compacted: what a cut says of it makes no
   * difference any more. False: there is something here that stands at a place of this origin alone and is not compacted. It may be
   * so although it was looked for everywhere: told to this node alone, which was out of touch. It must be given another
   * place first.
   * @param number of the departure: each is told here once, and in their order
   */
  depart(origin: Origin, last: number, horizon: Hlc, number: number): boolean {
    this.foundCompacted(new Map([[origin, last]]), horizon)
    const order = this.#orders.get(origin)
    const left = order?.between(order.first, order.last).flatMap((txn) => this.#applied.get(txn) ?? [])
    if (left?.some(({ coordinates }) => coordinates.every((at) => at.origin === origin))) return false
    this.#departed.add(origin)
    this.#lastOfDeparted.set(origin, Math.max(last, this.seqOf(origin)))
    this.#departures.push({ origin, last, number })
    this.#numberOfDeparted.set(origin, number)
    return true
  }

  /**
   * Nobody's chains hold anything of these origins: cuts from now on leave them out.
   * @param through all that have departed under this number or a lower one are among them, or were left out by all before
   */
  leaveOut(origins: Iterable<Origin>, through: number): void {
    if (through > this.#leftOut) {
      this.#leftOut = through
      this.#cut = undefined
    }
    for (const origin of origins) {
      if (this.#unnamed.has(origin)) continue
      mark('depart.left-out')
      this.#unnamed.add(origin)
      this.#vector.delete(origin)
      this.#orders.delete(origin)
      this.#compacted.delete(origin)
      this.#cut = undefined
    }
  }

  seqOf(origin: Origin): number {
    return this.#vector.get(origin) ?? 0
  }

  has(txn: TxnId): boolean {
    return this.#applied.has(txn)
  }

  /** Of all decisions that are held. */
  txns(): Iterable<TxnId> {
    return this.#applied.keys()
  }

  find(txn: TxnId): Applied | undefined {
    return this.#applied.get(txn)
  }

  /** All versions of a key that are held, oldest first. Changes with the history. */
  chainOf(key: string): readonly Version[] {
    return this.#chains.get(key) ?? NO_CHAIN
  }

  /** The newest version of a key that the cut sees. Tombstones are versions like any other. */
  read(key: string, cut: Cut): Version | undefined {
    const chain = this.#chains.get(key)
    if (chain === undefined) return undefined
    for (let i = chain.length - 1; i >= 0; i--) {
      const version = chain[i]!
      if (isVisible(version.applied, cut)) return version
    }
    return undefined
  }

  /**
   * Applies a decision at the next place of an origin. Idempotent by transaction: a decision that is there already gets
   * the coordinates in addition. Places are taken in order and without gaps: a gap would let a cut promise what is not
   * here. Returns the applied decision.
   */
  apply(txn: TxnId, publication: Publication, at: Coordinates): Applied {
    this.#take(txn, at)
    let applied = this.#applied.get(txn)
    if (applied === undefined) applied = this.#insert(txn, publication, [at])
    else {
      mark('apply.known')
      applied.coordinates.push(at)
    }
    return applied
  }

  /**
   * Takes the next place of an origin for a decision that is here already, or is in the bases and so in every cut: for
   * places that are told without what stands there.
   */
  pass(txn: TxnId, at: Coordinates, hlc: Hlc = HLC_ZERO): void {
    this.#take(txn, at)
    const applied = this.#applied.get(txn)
    if (applied !== undefined) {
      applied.coordinates.push(at)
      return
    }
    this.#moment++
    this.#foundUpTo(hlc)
  }

  /** The first place of an origin that is remembered. */
  firstOf(origin: Origin): number {
    return this.#orders.get(origin)?.first ?? this.seqOf(origin) + 1
  }

  /** Transactions at an origin's places from `first` up to `last`, as far as they are remembered. */
  orderOf(origin: Origin, first: number, last: number): readonly TxnId[] {
    return this.#orders.get(origin)?.between(first, last) ?? []
  }

  /** What stands at a place. Undefined: it is not applied yet, or not remembered any more. */
  placed(origin: Origin, seq: number): Placed | undefined {
    const txn = this.#orders.get(origin)?.at(seq)
    if (txn === undefined) return undefined
    const applied = this.#applied.get(txn)
    if (applied === undefined) return { txn, kind: 'compacted', hlc: this.#horizon }
    return { txn, kind: 'decided', publication: publicationOf(applied) }
  }

  /** What nodes tell each other of a decision that is here. */
  stated(txn: TxnId): Publication | undefined {
    const applied = this.#applied.get(txn)
    return applied && publicationOf(applied)
  }

  /**
   * An origin is compacted up to `through`: what it published up to there is in the bases. Those versions leave their
   * chains, together with all older ones of their keys; they are returned, of each key older ones first. What is not
   * applied here yet is left for later.
   *
   * A version that is returned is not newer than its key's base, but may be older (`mayBeSuperseded`).
   */
  compact(origin: Origin, through: number): readonly Version[] {
    const order = this.#orders.get(origin)
    const last = Math.min(through, this.seqOf(origin))
    if (order === undefined || last <= (this.#compacted.get(origin) ?? 0)) return []
    const dropped: Version[] = []
    const txns = order.between(order.first, last)
    // The newest first: it takes the others of its key along at once. One by one, each would move all that are above it.
    for (let i = txns.length - 1; i >= 0; i--) {
      const applied = this.#applied.get(txns[i]!)
      if (applied === undefined) continue
      for (const version of applied.versions) this.#dropThrough(version, dropped)
      if (applied.hlc > this.#horizon) {
        mark('horizon.raised')
        this.#horizon = applied.hlc
      }
      this.#applied.delete(applied.txn)
    }
    order.forgetThrough(last)
    this.#compacted.set(origin, last)
    return dropped
  }

  /**
   * Whether a newer version of its key may have been compacted before this one left its chain. It may if one left before
   * this one came, or one was never here. One that left while this one was here took it along: so that the origins of a
   * cluster are compacted one after the other, each up to another clock, does not matter.
   */
  mayBeSuperseded({ applied }: Version): boolean {
    return applied.isLate || applied.hlc <= this.#unseen
  }

  /**
   * For a history that is made from storage, after every decision there was applied, and what is compacted has left: it is
   * in the bases, and no clock of it is above `horizon`.
   */
  foundCompacted(compacted: Cut, horizon: Hlc): void {
    for (const [origin, seq] of compacted) {
      if (seq <= this.seqOf(origin) || this.#unnamed.has(origin)) continue
      this.#vector.set(origin, seq)
      this.#orders.set(origin, new Order(seq))
      this.#compacted.set(origin, seq)
    }
    this.#foundUpTo(horizon)
    this.#moment++
    this.#cut = undefined
  }

  state(): HistoryState {
    return {
      vector: this.cut(),
      compacted: new Map(this.#compacted),
      horizon: this.#horizon,
      orders: [...this.#orders].map(([origin, order]) => ({
        origin,
        first: order.first,
        txns: order.between(order.first, order.last),
      })),
      applied: [...this.#applied.values()].map((applied) => ({
        txn: applied.txn,
        coordinates: applied.coordinates.filter(({ origin }) => !this.#unnamed.has(origin)),
        publication: publicationOf(applied),
      })),
    }
  }

  /**
   * Takes over all that another node has applied. Afterwards this history sees what either saw: what is in neither's
   * chains but in either's vector is in the bases. Versions that the other has compacted leave the chains here as well.
   */
  install(state: HistoryState): Installed {
    const dropped = [...state.compacted].flatMap(([origin, seq]) => this.compact(origin, seq))
    const added: Applied[] = []
    for (const { txn, coordinates, publication } of state.applied) {
      // What stands beyond the last place of an origin that has departed comes with a place of another.
      const places = coordinates.filter(({ origin }) => !this.#departed.has(origin))
      const known = this.#applied.get(txn)
      if (known !== undefined) for (const at of places) addPlace(known.coordinates, at)
      // What has left these chains must not come back: its place is forgotten, so nothing would ever take it out again.
      else if (places.length > 0 && !coordinates.some((at) => this.#isForgotten(at)))
        added.push(this.#insert(txn, publication, places))
    }
    for (const { origin, first, txns } of state.orders)
      if (!this.#departed.has(origin)) this.#extend(origin, first, txns)
    for (const [origin, seq] of union(this.#vector, state.vector))
      if (!this.#departed.has(origin)) this.#vector.set(origin, seq)
    for (const [origin, seq] of union(this.#compacted, state.compacted))
      if (!this.#departed.has(origin)) this.#compacted.set(origin, seq)
    this.#foundUpTo(state.horizon)
    this.#moment++
    this.#cut = undefined
    return { added, dropped }
  }

  /** Whether what stands at a place was compacted here. */
  #isForgotten(at: Coordinates): boolean {
    return sees(this.#compacted, at) || this.isInEveryCut(at)
  }

  /** Beyond what is applied. Where the other's begins later, what is between is in the bases. */
  #extend(origin: Origin, first: number, txns: readonly TxnId[]): void {
    let order = this.#orders.get(origin)
    if (first + txns.length - 1 <= this.seqOf(origin)) return
    if (order === undefined || order.last < first - 1) {
      order = new Order(first - 1)
      this.#orders.set(origin, order)
    }
    for (const txn of txns.slice(order.last + 1 - first)) order.push(txn)
  }

  #take(txn: TxnId, { origin, seq }: Coordinates): void {
    const expected = this.seqOf(origin) + 1
    if (seq !== expected) {
      throw new VirgaError('Internal', `place ${seq} of ${origin} applied where ${expected} is next`)
    }
    let order = this.#orders.get(origin)
    if (order === undefined) {
      order = new Order(seq - 1)
      this.#orders.set(origin, order)
    }
    order.push(txn)
    this.#vector.set(origin, seq)
    this.#cut = undefined
  }

  #insert(txn: TxnId, publication: Publication, coordinates: Coordinates[]): Applied {
    const { hlc, cut, writes } = publication
    // Of its length from the start: one that grows has room for 17.
    const versions = new Array<Version>(writes.length)
    const applied: Applied = {
      txn,
      hlc,
      cut,
      coordinates,
      moment: ++this.#moment,
      isLate: hlc <= this.#horizon,
      versions,
      plainAttempt: undefined,
    }
    for (let index = 0; index < writes.length; index++)
      versions[index] = this.#link(applied, index, writes[index]!)
    this.#applied.set(txn, applied)
    this.#versions += versions.length
    return applied
  }

  #link(applied: Applied, index: number, { key, value }: SharedWrite): Version {
    const chain = this.#chains.get(key)
    // All versions of a key share one text: each came in a frame of its own, and would keep its own.
    const version: Version = { key: chain?.[0]?.key ?? key, index, applied, source: sourceOf(value) }
    if (chain === undefined) {
      this.#chains.set(key, [version])
      return version
    }
    let place = chain.length
    while (place > 0 && compareStamps(chain[place - 1]!.applied, version.applied) > 0) place--
    if (place === chain.length) chain.push(version)
    else chain.splice(place, 0, version)
    return version
  }

  /** What was compacted elsewhere, and never was in the chains here, has clocks up to this one. */
  #foundUpTo(hlc: Hlc): void {
    if (hlc > this.#horizon) this.#horizon = hlc
    if (hlc > this.#unseen) this.#unseen = hlc
  }

  /** Drops a version and all older ones of its key, unless a newer one took it along before. */
  #dropThrough(version: Version, dropped: Version[]): void {
    const chain = this.#chains.get(version.key)
    const found = chain?.indexOf(version) ?? -1
    if (chain === undefined || found < 0) return
    for (const older of chain.splice(0, found + 1)) dropped.push(older)
    if (chain.length === 0) this.#chains.delete(version.key)
    this.#versions -= found + 1
  }
}

const NO_CHAIN: readonly Version[] = []

function addPlace(coordinates: Coordinates[], at: Coordinates): void {
  if (coordinates.some(({ origin, seq }) => origin === at.origin && seq === at.seq)) return
  mark('state.known')
  coordinates.push(at)
}
