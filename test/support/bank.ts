import { setImmediate } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Transaction } from '../../src/client/transaction.js'
import type { Virga } from '../../src/client/virga.js'
import { transactionId } from '../../src/compose/transaction-id.js'
import type { Consistency } from '../../src/core/modes.js'
import { VirgaError } from '../../src/errors.js'
import { HistoryRecorder, type TransactionRecord } from '../../src/testing/history/recorded.js'
import type { ClusterNode } from './cluster-processes.js'
import { converged, readAll } from './convergence.js'
import { Dice } from './dice.js'

const ACCOUNTS = 1_000
const OPENING = 100
const TRIES_MAX = 10_000
const AGAIN_MS = 10
/** Transfers that one audit of entries looks at, the latest. */
const AUDITED_MAX = 2_000
const SETTLING_MS_MAX = 20_000
const AUDIT_RECORDED_EVERY_MS = 500

export interface Transfer {
  readonly id: string
  readonly from: number
  readonly to: number
  readonly amount: number
}

/** Somebody who has things booked: a client, and the node it is at. */
export interface Teller {
  readonly node: string
  readonly virga: Virga
}

/** What stands under a key. No two writes have the same number, so that a history tells which of them was read. */
interface Entry {
  readonly value: number
  readonly write: number
}

let writes = 0

function put(tx: Transaction, record: TransactionRecord, key: string, value: number): void {
  const write = ++writes
  tx.put(key, { value, write } satisfies Entry)
  record.write(key, write)
}

/** All of `keys` in one snapshot. */
async function audited(
  { virga }: Teller,
  record: TransactionRecord,
  keys: readonly string[],
): Promise<readonly (number | undefined)[]> {
  const entries = (await readAll(virga, keys)) as (Entry | undefined)[]
  for (const [i, key] of keys.entries()) record.read(key, entries[i]?.write)
  return entries.map((entry) => entry?.value)
}

/** What all nodes hold under `keys`, once they agree. */
async function settled(nodes: readonly ClusterNode[], keys: readonly string[]): Promise<readonly unknown[]> {
  const entries = await converged(nodes, keys, SETTLING_MS_MAX)
  return entries.map((entry) => (entry as Entry | undefined)?.value)
}

/** How a transfer is booked, and what an audit makes of it. */
export interface Books {
  readonly consistency: Consistency
  open(teller: Teller, record: TransactionRecord): Promise<void>
  /** Functions of one attempt, from a DAG's root on: a debit and a credit in parallel. Returns what is to be committed. */
  book(
    root: Teller,
    tellers: () => Teller,
    transfer: Transfer,
    record: TransactionRecord,
  ): Promise<readonly string[]>
  /** Fails if money was made or lost. Reads one snapshot. */
  audit(teller: Teller, begun: readonly Transfer[], record: TransactionRecord): Promise<void>
  /** Once all is over: what all nodes hold is what was acknowledged. */
  close(nodes: readonly ClusterNode[], acknowledged: readonly Transfer[]): Promise<void>
}

const account = (n: number): string => `account/${n}`
const ALL_ACCOUNTS = Array.from({ length: ACCOUNTS }, (_, n) => account(n))
const booked = ({ id }: Transfer): string => `booked/${id}`
const entry = ({ id }: Transfer, side: 'debit' | 'credit'): string => `entry/${id}/${side}`

/** Each account has a balance that transfers read and write: no update may be lost. */
export const BALANCES: Books = {
  consistency: 'parallel-snapshot',

  async open({ virga }, record) {
    await virga.transaction((tx) => {
      for (const key of ALL_ACCOUNTS) put(tx, record, key, OPENING)
    })
  },

  async book(rootTeller, tellers, transfer, record) {
    const { id, from, to, amount } = transfer
    const root = await rootTeller.virga.step(undefined, (tx) => put(tx, record, booked(transfer), amount), {
      id,
      consistency: 'parallel-snapshot',
    })
    const move = (who: number, by: number) =>
      tellers().virga.step(root.context, async (tx) => {
        const key = account(who)
        const { value, write } = (await tx.get<Entry>(key))!
        record.read(key, write)
        put(tx, record, key, value + by)
      })
    const sides = await Promise.all([move(from, -amount), move(to, amount)])
    return sides.map(({ context }) => context)
  },

  async audit(teller, _, record) {
    const balances = (await audited(teller, record, ALL_ACCOUNTS)) as number[]
    expect(sumOf(balances), 'the sum of all accounts').toBe(ACCOUNTS * OPENING)
  },

  async close(nodes, acknowledged) {
    const balances = await settled(nodes, ALL_ACCOUNTS)
    const due = ALL_ACCOUNTS.map(() => OPENING)
    for (const { from, to, amount } of acknowledged) {
      due[from]! -= amount
      due[to]! += amount
    }
    expect(balances).toEqual(due)
    const amounts = await settled(nodes, acknowledged.map(booked))
    expect(amounts).toEqual(acknowledged.map(({ amount }) => amount))
  },
}

/** Each transfer makes two entries of its own: nobody may ever see one without the other. */
export const ENTRIES: Books = {
  consistency: 'read-atomic',

  async open() {},

  async book(rootTeller, tellers, transfer, record) {
    const { id, amount } = transfer
    const root = await rootTeller.virga.step(undefined, () => undefined, { id })
    const book = (side: 'debit' | 'credit', value: number) =>
      tellers().virga.step(root.context, (tx) => put(tx, record, entry(transfer, side), value))
    const sides = await Promise.all([book('debit', -amount), book('credit', amount)])
    return sides.map(({ context }) => context)
  },

  async audit(teller, begun, record) {
    const some = begun.slice(-AUDITED_MAX)
    const keys = some.flatMap((one) => [entry(one, 'debit'), entry(one, 'credit')])
    const values = await audited(teller, record, keys)
    for (const [i, one] of some.entries()) {
      const [debit, credit] = values.slice(2 * i, 2 * i + 2)
      expect([debit, credit], one.id).toEqual(
        debit === undefined ? [undefined, undefined] : [-one.amount, one.amount],
      )
    }
    expect(sumOf(values.map((value) => value ?? 0)), 'the sum of all entries').toBe(0)
  },

  async close(nodes, acknowledged) {
    const keys = acknowledged.flatMap((one) => [entry(one, 'debit'), entry(one, 'credit')])
    const values = await settled(nodes, keys)
    expect(values).toEqual(acknowledged.flatMap(({ amount }) => [-amount, amount]))
  },
}

/** Transfers between accounts and audits beside them, until they are told to stop. */
export class Bank {
  readonly acknowledged: Transfer[] = []
  audits = 0
  retries = 0
  /** What clients did and saw. */
  readonly history = new HistoryRecorder()
  readonly #books: Books
  #auditRecordedAtMs = Number.NEGATIVE_INFINITY
  readonly #begun: Transfer[] = []
  readonly #loops: Promise<void>[] = []
  readonly #seed: number
  readonly #pauses: Dice
  #failure: unknown
  #stopped = false

  constructor(books: Books, seed: number) {
    this.#books = books
    this.#seed = seed
    this.#pauses = new Dice(seed)
  }

  async open(teller: Teller): Promise<void> {
    const record = this.history.begin(teller.node)
    await this.#books.open(teller, record)
    record.committed(teller.node)
  }

  /** One transfer after the other; the functions of each run at tellers that are drawn. */
  transfers(tellers: readonly Teller[]): void {
    const loop = this.#loops.length
    const dice = new Dice(this.#seed + loop)
    this.#start(async (n) => {
      const from = dice.between(0, ACCOUNTS - 1)
      const to = (from + dice.between(1, ACCOUNTS - 1)) % ACCOUNTS
      const id = transactionId(`${this.#seed} ${loop} ${n}`, Date.now())
      const transfer = { id, from, to, amount: dice.between(1, 50) }
      this.#begun.push(transfer)
      const result = await this.#persist(() => this.#attempt(() => dice.pick(tellers), transfer))
      expect(result).toBe(id)
      this.acknowledged.push(transfer)
    })
  }

  audit(teller: Teller): void {
    this.#start(async () => {
      await this.#persist(async () => {
        const record = this.#auditRecord(teller.node)
        await this.#books.audit(teller, this.#begun, record)
        record.committed()
      })
      this.audits++
    })
  }

  /** An audit reads a thousand keys, and there are hundreds of them a second: of most, the history says nothing. */
  #auditRecord(node: string): TransactionRecord {
    const nowMs = performance.now()
    if (nowMs - this.#auditRecordedAtMs < AUDIT_RECORDED_EVERY_MS) return new HistoryRecorder().begin(node)
    this.#auditRecordedAtMs = nowMs
    return this.history.begin(node)
  }

  /** Throws what went wrong beyond what a retry mends. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#loops)
    this.check()
  }

  /** One attempt: a DAG of a root, a debit and a credit in parallel, and the commit, each at some node. */
  async #attempt(tellers: () => Teller, transfer: Transfer): Promise<string> {
    const root = tellers()
    const record = this.history.begin(root.node)
    const last = tellers()
    const contexts = await this.#books.book(root, tellers, transfer, record).catch((error: unknown) => {
      record.aborted()
      throw error
    })
    try {
      const { result, replayed } = await last.virga.commit<string>(contexts, { result: transfer.id })
      // What was replayed may be what another attempt committed: then who reads it tells.
      if (!replayed) record.committed(last.node)
      return result!
    } catch (error) {
      if (VirgaError.is(error) && error.outcome === 'definite') record.aborted()
      throw error
    }
  }

  async #persist<T>(run: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await run()
      } catch (error) {
        if (!VirgaError.is(error) || !error.retryable || tries === TRIES_MAX) throw error
      }
      this.retries++
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS * this.#pauses.fraction()))
    }
  }

  #start(run: (n: number) => Promise<void>): void {
    const go = async (): Promise<void> => {
      for (let n = 0; !this.#stopped && this.#failure === undefined; n++) {
        await run(n)
        // An audit whose keys are all in the view waits for nothing: a loop of such would never let anything else happen.
        await setImmediate()
      }
    }
    this.#loops.push(
      go().catch((error: unknown) => {
        this.#failure ??= error
      }),
    )
  }
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0)
}
