import type { Coordinates } from '../../core/cut.js'
import type { Decision } from '../../core/decision.js'
import type { History } from '../../core/history.js'
import type { HybridClock } from '../../core/hlc.js'
import type { Origin, TxnId } from '../../core/ids.js'
import type { Counters } from '../counters.js'
import type { ValueCache } from '../reading/value-cache.js'

/**
 * Where decisions enter this node's history. A decision gets the next place in this node's publication order, all its
 * versions become visible at once, and from then on every snapshot that begins includes it.
 */
export class Ledger {
  readonly origin: Origin
  readonly #history: History
  readonly #clock: HybridClock
  readonly #values: ValueCache
  readonly #counters: Counters
  /** `#order[i]` is at place `i + 1`. */
  readonly #order: TxnId[] = []

  constructor(origin: Origin, history: History, clock: HybridClock, values: ValueCache, counters: Counters) {
    this.origin = origin
    this.#history = history
    this.#clock = clock
    this.#values = values
    this.#counters = counters
  }

  /** Places given out. */
  get seq(): number {
    return this.#order.length
  }

  /** Transactions at the places from `first` up to `last`, both included. */
  orderOf(first: number, last: number): readonly TxnId[] {
    return this.#order.slice(first - 1, last)
  }

  /** Applies a decision made here. Idempotent. Returns its place. */
  publish(txn: TxnId, decision: Decision): Coordinates {
    const known = this.#history.find(txn)
    if (known !== undefined) return known.coordinates[0]!
    this.#clock.observe(decision.hlc)
    const at: Coordinates = { origin: this.origin, seq: this.#order.length + 1 }
    const applied = this.#history.apply(txn, decision, at)
    this.#order.push(txn)
    for (const version of applied.versions) {
      const { value } = decision.writes[version.index]!
      if (value.kind === 'inline') this.#values.put(version, value.bytes)
    }
    return at
  }

  /** Applies a decision that was found in storage: its origin died before anyone heard of it. */
  adopt(txn: TxnId, decision: Decision): Coordinates {
    if (!this.#history.has(txn)) this.#counters.adoptions++
    return this.publish(txn, decision)
  }
}
