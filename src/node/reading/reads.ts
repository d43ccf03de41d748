import type { Cut } from '../../core/cut.js'
import type { History } from '../../core/history.js'
import { checkKey } from '../../core/keys.js'
import type { Limits } from '../../limits.js'
import type { OpenTransaction } from '../executors/transaction.js'
import type { ValueCache } from './value-cache.js'

/** Values in one answer; the client asks again for what is left. */
const ANSWER_BYTES_MAX = 4 * 1024 * 1024
/** Reads from storage that one request has under way at once. */
const LOADS_MAX = 32

type Value = Uint8Array | null

/** Reads: own writes, then upstream ones, then the newest version that the snapshot sees. */
export class Reads {
  readonly #history: History
  readonly #values: ValueCache
  readonly #limits: Limits

  constructor(history: History, values: ValueCache, limits: Limits) {
    this.#history = history
    this.#values = values
    this.#limits = limits
  }

  /**
   * Values in the order of `keys`, null where absent; fewer than asked for if they would make the answer too large, but
   * at least one. Answers at once what is cached. Without a transaction the newest applied versions are read, of one
   * cut.
   */
  read(transaction: OpenTransaction | undefined, keys: readonly string[]): Value[] | Promise<Value[]> {
    const cut = this.#cutOf(transaction)
    const values: Value[] = []
    let bytes = 0
    for (let i = 0; i < keys.length; i++) {
      const value = this.#readNow(transaction, cut, keys[i]!)
      if (value === undefined) return this.#readOn(transaction, cut, keys, values, bytes)
      bytes += value?.length ?? 0
      if (i > 0 && bytes > ANSWER_BYTES_MAX) return values
      values.push(value)
    }
    return values
  }

  #cutOf(transaction: OpenTransaction | undefined): Cut {
    const now = this.#history.cut()
    return transaction === undefined ? now : transaction.start.mode.readCut(transaction.start.cut, now)
  }

  /** Undefined: storage must be asked. */
  #readNow(transaction: OpenTransaction | undefined, cut: Cut, key: string): Value | undefined {
    checkKey(key, this.#limits)
    const written = transaction?.written(key)
    if (written !== undefined) return written
    const version = this.#history.read(key, cut)
    return version === undefined ? null : this.#values.peek(version)
  }

  async #readOn(
    transaction: OpenTransaction | undefined,
    cut: Cut,
    keys: readonly string[],
    values: Value[],
    bytesBefore: number,
  ): Promise<Value[]> {
    let bytes = bytesBefore
    while (values.length < keys.length) {
      const some = keys.slice(values.length, values.length + LOADS_MAX)
      const loaded = await Promise.all(some.map((key) => this.#readOne(transaction, cut, key)))
      for (const value of loaded) {
        bytes += value?.length ?? 0
        if (values.length > 0 && bytes > ANSWER_BYTES_MAX) return values
        values.push(value)
      }
    }
    return values
  }

  #readOne(transaction: OpenTransaction | undefined, cut: Cut, key: string): Value | Promise<Value> {
    const now = this.#readNow(transaction, cut, key)
    if (now !== undefined) return now
    return this.#values.load(this.#history.read(key, cut)!)
  }
}
