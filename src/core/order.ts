import type { TxnId } from './ids.js'

/** The transactions at the places of one origin, in the order in which it published them; forgotten from the beginning. */
export class Order {
  #txns: TxnId[] = []
  /** How many places were forgotten. */
  #forgotten = 0
  /** How many of `#txns` are forgotten too: cut off when they are half of it, since each cut moves the rest. */
  #dead = 0

  constructor(forgotten = 0) {
    this.#forgotten = forgotten
  }

  /** The first place that is remembered. */
  get first(): number {
    return this.#forgotten + this.#dead + 1
  }

  /** The last place given out. */
  get last(): number {
    return this.#forgotten + this.#txns.length
  }

  push(txn: TxnId): void {
    this.#txns.push(txn)
  }

  at(seq: number): TxnId | undefined {
    return seq < this.first ? undefined : this.#txns[seq - this.#forgotten - 1]
  }

  /** Transactions at the places from `first` up to `last`, both included, as far as they are remembered. */
  between(first: number, last: number): readonly TxnId[] {
    const from = Math.max(first, this.first) - this.#forgotten - 1
    return this.#txns.slice(from, Math.max(from, last - this.#forgotten))
  }

  forgetThrough(seq: number): void {
    this.#dead = Math.max(this.#dead, Math.min(seq - this.#forgotten, this.#txns.length))
    if (this.#dead * 2 < this.#txns.length) return
    this.#txns = this.#txns.slice(this.#dead)
    this.#forgotten += this.#dead
    this.#dead = 0
  }
}
