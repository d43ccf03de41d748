// @ts-check
/**
 * Those who use the bank: customers who send transfers until they are acknowledged, and auditors. Each transfer is a DAG
 * of four functions on different nodes, under an id that all its retries share.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { transactionId, VirgaError } from 'virga'
import { ACCOUNTS, asBooked, BALANCE } from './functions.mjs'

/** @typedef {import('./cluster.mjs').Machine} Machine */
/** @typedef {import('./executor-process.mjs').Task} Task */
/** @typedef {import('./functions.mjs').Transfer} Transfer */

/** A function whose node died under it is run again on another one; after so many, the transfer begins again. */
const RUNS_MAX = 3
/** What a function can't know of: its node or its executor is gone. */
const ELSEWHERE = new Set(['SessionLost', 'NodeUnavailable', 'Timeout', 'ShuttingDown'])
/** Begun this often without success, a transfer is a failure of the demo. */
const ROUNDS_MAX = 200
const BACKOFF_MS_MAX = 250

export class Bank {
  #machines
  #tally
  #consistency
  #run
  #numbers = 0
  /** What was acknowledged. @type {Transfer[]} */
  booked = []
  isOpen = true
  /** Called with each commit that was acknowledged, at once. @type {(on: Machine) => void} */
  onCommit = () => undefined

  /** @param {readonly Machine[]} machines @param {import('./tally.mjs').Tally} tally @param {import('virga').Consistency} consistency */
  constructor(machines, tally, consistency) {
    this.#consistency = consistency
    this.#machines = machines
    this.#tally = tally
    // Of this run of the demo: a storage that is used again holds the ids of the last one.
    this.#run = Date.now().toString(36)
  }

  /** What each account must hold by what was acknowledged. */
  get due() {
    const due = Array.from({ length: ACCOUNTS }, () => BALANCE)
    for (const { from, to, amount } of this.booked) {
      due[from] = /** @type {number} */ (due[from]) - amount
      due[to] = /** @type {number} */ (due[to]) + amount
    }
    return due
  }

  /** Sends one transfer after the other. */
  async customer() {
    while (this.isOpen) {
      const transfer = this.#newTransfer()
      const id = transactionId(`${this.#run}-${transfer.number}`, Date.now())
      const receipt = await this.#untilBooked(id, transfer)
      this.booked.push(transfer)
      if (transfer.number % 4 === 0) await this.#look(transfer, receipt.session)
      if (transfer.number % 10 === 0) {
        const again = await this.#untilBooked(id, transfer)
        const isSame = again.replayed && JSON.stringify(again.result) === JSON.stringify(receipt.result)
        this.#tally.check('replay', isSame, () => `transfer ${transfer.number}: ${JSON.stringify(again)}`)
      }
    }
  }

  /** Adds up all accounts, over and over: half of them on one node, half on another. */
  async auditor() {
    while (this.isOpen) {
      try {
        const first = await this.#anywhere({
          name: 'auditFirst',
          end: 'handoff',
          begin: { deadlineMs: 10_000 },
        })
        const second = await this.#anywhere(after('auditSecond', null, [first], 'leave'), first.on)
        const sum = Number(first.result) + Number(second.result)
        const where = `${sum}, read on ${first.on.name} and ${second.on.name}`
        this.#tally.check('audit', sum === ACCOUNTS * BALANCE, () => where)
      } catch (error) {
        if (!VirgaError.is(error) || !error.retryable) throw error
        this.#tally.retried(`audit ${error.code}`)
      }
      await sleep(50)
    }
  }

  /** Until it is acknowledged, by whichever attempt. @param {string} id @param {Transfer} transfer */
  async #untilBooked(id, transfer) {
    for (let round = 1; ; round++) {
      try {
        return await this.#transfer(id, transfer)
      } catch (error) {
        if (!VirgaError.is(error) || round === ROUNDS_MAX) throw error
        // The transaction has committed: the contexts are of no use any more, and its receipt is in the next answer.
        if (!error.retryable && error.code !== 'AlreadyCommitted') throw error
        this.#tally.retried(error.code)
      }
      await sleep(Math.random() * Math.min(BACKOFF_MS_MAX, 5 * 2 ** round))
      const standing = await this.#status(id)
      if (standing?.status === 'committed') return { ...standing, replayed: true }
    }
  }

  /** One attempt. @param {string} id @param {Transfer} transfer */
  async #transfer(id, transfer) {
    const begin = { id, consistency: this.#consistency }
    const end = transfer.number % 8 === 0 ? 'durable' : 'handoff'
    const opened = await this.#anywhere({ name: 'open', input: transfer, begin, end })
    const [debit, credit] = await Promise.all([
      this.#anywhere(after('debit', transfer, [opened], 'handoff'), opened.on),
      this.#anywhere(after('credit', transfer, [opened], 'handoff'), opened.on),
    ])
    const seen = [opened.result, debit.result, credit.result].map((balances) => JSON.stringify(balances))
    this.#tally.check('snapshot', new Set(seen).size === 1, () => seen.join(' '))
    const booked = await this.#anywhere(after('book', transfer, [debit, credit], 'commit'), debit.on)
    const receipt = /** @type {import('virga').CommitReceipt} */ (booked.receipt)
    this.onCommit(booked.on)
    const was = /** @type {import('./functions.mjs').Balances} */ (opened.result)
    const must = { from: was.from - transfer.amount, to: was.to + transfer.amount }
    const all = { ...must, status: 'open' }
    const told = JSON.stringify(booked.result)
    this.#tally.check('upstream', told === JSON.stringify(all), () => `${told} after ${seen[0]}`)
    return receipt
  }

  /** On another node than the one that committed, more often than not, and sooner than publications arrive there.
   *
   * @param {Transfer} transfer @param {string | undefined} session
   */
  async #look(transfer, session) {
    /** @type {Task} */
    const task = { name: 'look', input: transfer, begin: { after: session }, end: 'leave' }
    try {
      const { result, on } = await this.#anywhere(task)
      this.#tally.check(
        'session',
        result === asBooked(transfer),
        () => `${transfer.number} on ${on.name}: ${result}`,
      )
    } catch (error) {
      if (!VirgaError.is(error) || !error.retryable) throw error
      this.#tally.retried(`look ${error.code}`)
    }
  }

  /** Runs a function on any node that is up, if it can be, not on `not`; on another one if that one dies under it.
   *
   * @param {Task} task @param {Machine} [not]
   */
  async #anywhere(task, not) {
    for (let run = 1; ; run++) {
      const on = this.#pick(not)
      try {
        this.#tally.add('functions')
        return { ...(await on.run(task)), on }
      } catch (error) {
        if (!VirgaError.is(error) || !ELSEWHERE.has(error.code) || run === RUNS_MAX) throw error
        this.#tally.add('functions again')
      }
    }
  }

  /** @param {Machine} [not] */
  #pick(not) {
    const up = this.#machines.filter(({ isUp }) => isUp)
    const others = up.filter((machine) => machine !== not)
    const some = others.length > 0 ? others : up
    const picked = some[Math.floor(Math.random() * some.length)]
    if (picked === undefined) throw new VirgaError('NodeUnavailable', 'no node is up')
    return picked
  }

  /** Nobody could tell: the next attempt finds out. @param {string} id */
  async #status(id) {
    try {
      return await this.#pick().status(id)
    } catch (error) {
      if (!VirgaError.is(error) || !error.retryable) throw error
      return undefined
    }
  }

  /** @returns {Transfer} */
  #newTransfer() {
    const number = this.#numbers++
    const from = Math.floor(Math.random() * ACCOUNTS)
    const to = (from + 1 + Math.floor(Math.random() * (ACCOUNTS - 1))) % ACCOUNTS
    const amount = 1 + Math.floor(Math.random() * 5)
    return { number, from, to, amount, paperBytes: number % 5 === 0 ? 8_192 : 0 }
  }
}

/** A function that goes on from others.
 *
 * @param {Task['name']} name @param {unknown} input
 * @param {readonly import('./executor-process.mjs').Done[]} upstream @param {Task['end']} end @returns {Task}
 */
function after(name, input, upstream, end) {
  return { name, input, contexts: upstream.map(({ context }) => /** @type {string} */ (context)), end }
}
