import { VirgaError } from '../errors.js'
import type { Coordinates, Cut } from './cut.js'
import type { Decision, StoredValue } from './decision.js'
import { HLC_ZERO, type Hlc } from './hlc.js'
import type { Origin, TxnId } from './ids.js'
import { type Applied, compareStamps, isVisible, type Source, type Version } from './version.js'

/**
 * Everything a node has applied and not yet dropped: per key a chain of versions, and the applied vector.
 *
 * The invariant that gives I1 to I3: a cut is a prefix of each origin's publication order, and a decision is applied
 * whole. So the set of transactions that a cut sees never changes, and the newest visible version of each key is a
 * function of the cut alone.
 */
export class History {
  /** Oldest first: the usual insertion is at the end. */
  readonly #chains = new Map<string, Version[]>()
  readonly #applied = new Map<TxnId, Applied>()
  readonly #vector = new Map<Origin, number>()
  #cut: Cut | undefined
  #horizon: Hlc = HLC_ZERO
  #versions = 0

  /** The applied vector, as a cut that stays as it is. Shared by all who ask between two applications. */
  cut(): Cut {
    this.#cut ??= new Map(this.#vector)
    return this.#cut
  }

  /** The highest clock that was ever dropped from a chain. Below it, a key's base in storage must be compared. */
  get horizon(): Hlc {
    return this.#horizon
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

  seqOf(origin: Origin): number {
    return this.#vector.get(origin) ?? 0
  }

  has(txn: TxnId): boolean {
    return this.#applied.has(txn)
  }

  find(txn: TxnId): Applied | undefined {
    return this.#applied.get(txn)
  }

  /**
   * Applies a decision at the next place of an origin. Idempotent by transaction: a decision that is there already gets
   * the coordinates in addition. Places are taken in order and without gaps: a gap would let a cut promise what is not
   * here. Returns the applied decision.
   */
  apply(txn: TxnId, decision: Decision, at: Coordinates): Applied {
    const expected = this.seqOf(at.origin) + 1
    if (at.seq !== expected) {
      throw new VirgaError('Internal', `place ${at.seq} of ${at.origin} applied where ${expected} is next`)
    }
    let applied = this.#applied.get(txn)
    if (applied === undefined) applied = this.#insert(txn, decision, at)
    else applied.coordinates.push(at)
    this.#vector.set(at.origin, at.seq)
    this.#cut = undefined
    return applied
  }

  /**
   * Gives a decision one more place, in an order that another origin published before it died. For snapshots that were
   * taken there and outlived it.
   */
  alsoAt(txn: TxnId, at: Coordinates): void {
    const applied = this.#applied.get(txn)
    if (applied === undefined) return
    if (applied.coordinates.some((c) => c.origin === at.origin && c.seq === at.seq)) return
    applied.coordinates.push(at)
  }

  /** Declares that everything up to `seq` of a past origin is here: each of its places was given by `alsoAt`. */
  declare(origin: Origin, seq: number): void {
    if (seq <= this.seqOf(origin)) return
    this.#vector.set(origin, seq)
    this.#cut = undefined
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
   * Drops the version that `txn` wrote to a key, together with all older ones of that key: their base is in storage now
   * and every live snapshot sees it. Returns what was dropped.
   */
  dropThrough(key: string, txn: TxnId): readonly Version[] {
    const chain = this.#chains.get(key)
    const found = chain?.findIndex((version) => version.applied.txn === txn) ?? -1
    if (chain === undefined || found < 0) return []
    const dropped = chain.splice(0, found + 1)
    if (chain.length === 0) this.#chains.delete(key)
    this.#versions -= dropped.length
    const newest = dropped[dropped.length - 1]!.applied.hlc
    if (newest > this.#horizon) this.#horizon = newest
    return dropped
  }

  /** Forgets a decision none of whose versions is held any more. */
  forget(txn: TxnId): void {
    this.#applied.delete(txn)
  }

  #insert(txn: TxnId, decision: Decision, at: Coordinates): Applied {
    const versions: Version[] = []
    const applied: Applied = { txn, hlc: decision.hlc, coordinates: [at], versions }
    const { writes } = decision
    for (let index = 0; index < writes.length; index++) {
      const { key, value } = writes[index]!
      const version: Version = { key, index, applied, source: sourceOf(value) }
      versions.push(version)
      this.#link(version)
    }
    this.#applied.set(txn, applied)
    this.#versions += versions.length
    return applied
  }

  #link(version: Version): void {
    const chain = this.#chains.get(version.key)
    if (chain === undefined) {
      this.#chains.set(version.key, [version])
      return
    }
    let place = chain.length
    while (place > 0 && compareStamps(chain[place - 1]!.applied, version.applied) > 0) place--
    if (place === chain.length) chain.push(version)
    else chain.splice(place, 0, version)
  }
}

function sourceOf(value: StoredValue): Source {
  return value.kind === 'blob' ? { blob: value.blob } : value.kind
}
