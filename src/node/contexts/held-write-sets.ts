import type { TxnId } from '../../core/ids.js'
import type { Writes } from '../../core/write-set.js'
import type { Budget } from '../executors/budget.js'

interface Held {
  readonly writes: Writes
  readonly bytes: number
}

interface HeldByTransaction {
  readonly byId: Map<string, Held>
  deadlineMs: number
}

/** Write sets that were handed off and are too large to travel: kept until their transaction is decided or its deadline. */
export class HeldWriteSets {
  readonly #byTxn = new Map<TxnId, HeldByTransaction>()
  readonly #budget: Budget

  constructor(budget: Budget) {
    this.#budget = budget
  }

  /** Throws `Busy` if there is no room. */
  keep(txn: TxnId, id: string, writes: Writes, bytes: number, deadlineMs: number): void {
    this.#budget.take(bytes)
    let held = this.#byTxn.get(txn)
    if (held === undefined) {
      held = { byId: new Map(), deadlineMs }
      this.#byTxn.set(txn, held)
    }
    held.deadlineMs = Math.max(held.deadlineMs, deadlineMs)
    held.byId.set(id, { writes, bytes })
  }

  find(txn: TxnId, id: string): Writes | undefined {
    return this.#byTxn.get(txn)?.byId.get(id)?.writes
  }

  drop(txn: TxnId): void {
    const held = this.#byTxn.get(txn)
    if (held === undefined) return
    for (const { bytes } of held.byId.values()) this.#budget.give(bytes)
    this.#byTxn.delete(txn)
  }

  dropExpired(nowMs: number): void {
    for (const [txn, { deadlineMs }] of this.#byTxn) if (nowMs > deadlineMs) this.drop(txn)
  }
}
