import { expect } from 'vitest'
import type { Virga } from '../../src/client/virga.js'
import { transactionId } from '../../src/compose/transaction-id.js'
import type { Consistency } from '../../src/core/modes.js'
import { VirgaError } from '../../src/errors.js'
import type { ClusterNode } from './cluster-processes.js'
import { converged, readAll } from './convergence.js'
import { Dice } from './dice.js'

const ACCOUNTS = 1_000
const OPENING = 100
const TRIES_MAX = 10_000
const AGAIN_MS = 10
/** Transfers that one audit of entries looks at, the latest. */
const AUDITED_MAX = 2_000

export interface Transfer {
  readonly id: string
  readonly from: number
  readonly to: number
  readonly amount: number
}

/** How a transfer is booked, and what an audit makes of it. */
export interface Books {
  readonly consistency: Consistency
  open(virga: Virga): Promise<void>
  /** One attempt: a DAG of a root, a debit and a credit in parallel, and the commit, each at some node. */
  attempt(clients: () => Virga, transfer: Transfer): Promise<string>
  /** Fails if money was made or lost. Reads one snapshot. */
  audit(virga: Virga, begun: readonly Transfer[]): Promise<void>
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

  async open(virga) {
    await virga.transaction((tx) => {
      for (const key of ALL_ACCOUNTS) tx.put(key, OPENING)
    })
  },

  async attempt(clients, transfer) {
    const { id, from, to, amount } = transfer
    const root = await clients().step(undefined, (tx) => tx.put(booked(transfer), amount), {
      id,
      consistency: 'parallel-snapshot',
    })
    const move = (who: number, by: number) =>
      clients().step(root.context, async (tx) => {
        const key = account(who)
        tx.put(key, (await tx.get<number>(key))! + by)
      })
    const sides = await Promise.all([move(from, -amount), move(to, amount)])
    const { result } = await clients().commit<string>(
      sides.map(({ context }) => context),
      { result: id },
    )
    return result!
  },

  async audit(virga) {
    const balances = (await readAll(virga, ALL_ACCOUNTS)) as number[]
    expect(sumOf(balances), 'the sum of all accounts').toBe(ACCOUNTS * OPENING)
  },

  async close(nodes, acknowledged) {
    const balances = await converged(nodes, ALL_ACCOUNTS, 20_000)
    const due = ALL_ACCOUNTS.map(() => OPENING)
    for (const { from, to, amount } of acknowledged) {
      due[from]! -= amount
      due[to]! += amount
    }
    expect(balances).toEqual(due)
    const amounts = await converged(nodes, acknowledged.map(booked), 20_000)
    expect(amounts).toEqual(acknowledged.map(({ amount }) => amount))
  },
}

/** Each transfer makes two entries of its own: nobody may ever see one without the other. */
export const ENTRIES: Books = {
  consistency: 'read-atomic',

  async open() {},

  async attempt(clients, transfer) {
    const { id, amount } = transfer
    const root = await clients().step(undefined, () => undefined, { id })
    const book = (side: 'debit' | 'credit', value: number) =>
      clients().step(root.context, (tx) => tx.put(entry(transfer, side), value))
    const sides = await Promise.all([book('debit', -amount), book('credit', amount)])
    const { result } = await clients().commit<string>(
      sides.map(({ context }) => context),
      { result: id },
    )
    return result!
  },

  async audit(virga, begun) {
    const some = begun.slice(-AUDITED_MAX)
    const keys = some.flatMap((one) => [entry(one, 'debit'), entry(one, 'credit')])
    const values = (await readAll(virga, keys)) as (number | undefined)[]
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
    const values = await converged(nodes, keys, 20_000)
    expect(values).toEqual(acknowledged.flatMap(({ amount }) => [-amount, amount]))
  },
}

/** Transfers between accounts and audits beside them, until they are told to stop. */
export class Bank {
  readonly acknowledged: Transfer[] = []
  audits = 0
  retries = 0
  readonly #books: Books
  readonly #begun: Transfer[] = []
  readonly #loops: Promise<void>[] = []
  readonly #seed: number
  #failure: unknown
  #stopped = false

  constructor(books: Books, seed: number) {
    this.#books = books
    this.#seed = seed
  }

  /** One transfer after the other; the functions of each run at clients that are drawn. */
  transfers(clients: readonly Virga[]): void {
    const loop = this.#loops.length
    const dice = new Dice(this.#seed + loop)
    this.#start(async (n) => {
      const from = dice.between(0, ACCOUNTS - 1)
      const to = (from + dice.between(1, ACCOUNTS - 1)) % ACCOUNTS
      const id = transactionId(`${this.#seed} ${loop} ${n}`, Date.now())
      const transfer = { id, from, to, amount: dice.between(1, 50) }
      this.#begun.push(transfer)
      const result = await this.#persist(() => this.#books.attempt(() => dice.pick(clients), transfer))
      expect(result).toBe(id)
      this.acknowledged.push(transfer)
    })
  }

  audit(virga: Virga): void {
    this.#start(async () => {
      await this.#persist(() => this.#books.audit(virga, this.#begun))
      this.audits++
    })
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

  async #persist<T>(run: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await run()
      } catch (error) {
        if (!VirgaError.is(error) || !error.retryable || tries === TRIES_MAX) throw error
      }
      this.retries++
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS * Math.random()))
    }
  }

  #start(run: (n: number) => Promise<void>): void {
    const go = async (): Promise<void> => {
      for (let n = 0; !this.#stopped && this.#failure === undefined; n++) await run(n)
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
