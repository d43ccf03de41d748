import {
  type Fate,
  type Guard,
  givesWay,
  isIdle,
  type Known,
  knownWith,
  nextStep,
  released,
} from '../../src/core/claim.js'
import { EMPTY_CUT } from '../../src/core/cut.js'
import { fenceOver, judge, type Standing, type Try } from '../../src/core/decision.js'
import type { Hlc } from '../../src/core/hlc.js'
import type { Attempt, TxnId } from '../../src/core/ids.js'
import { Dice } from './dice.js'

/** The rules under test, so that a test can break one. */
export interface ClaimRules {
  readonly nextStep: typeof nextStep
  readonly released: typeof released
  readonly isIdle: typeof isIdle
  /** Undecided claimants are fenced before they are replaced. */
  readonly fencesRivals: boolean
  /** A claim is taken back after a fence of its attempt. */
  readonly fencesItself: boolean
  /** Once all claims are in place, the snapshot must still be one that compaction waits for. */
  readonly asksFresh: boolean
  /** What stands under a last writer's id is read after the guard that names it, even if it was read before. */
  readonly readsLastAgain: boolean
}

export const CLAIM_RULES: ClaimRules = {
  nextStep,
  released,
  isIdle,
  fencesRivals: true,
  fencesItself: true,
  asksFresh: true,
  readsLastAgain: true,
}

const NODES = 3
const STEPS = 700
const RUNNERS_MAX = 6

interface Committed {
  readonly cut: ReadonlySet<TxnId>
  readonly keys: readonly number[]
  readonly claimed: boolean
}

/** One coordinator that commits an attempt. Two of them may commit one attempt, each with keys of its own. */
interface Runner {
  readonly by: Try
  readonly node: number
  readonly cut: ReadonlySet<TxnId>
  readonly keys: readonly number[]
  readonly claims: boolean
  /** Compaction waits for its snapshot. */
  isLive: boolean
  phase: 'claiming' | 'deciding' | 'fencing' | 'releasing'
  readonly todo: Set<number>
  /** Guards as read, and what is known of what they name. */
  readonly read: Map<number, { readonly guard: Guard | undefined; readonly known: Known }>
  /** Claims that stand, or may. */
  readonly placed: Map<number, Guard>
  readonly remembered: Map<TxnId, Standing | undefined>
}

/**
 * Transactions on several nodes that claim, crash, are fenced, lose sight of their swaps, and commit, under a schedule
 * that a seed decides; and compaction and collection beside them. Cuts are sets of transactions here, which need no theory.
 */
export class ClaimModel {
  conflicts = 0
  readonly committed = new Map<TxnId, Committed>()
  readonly #rules: ClaimRules
  readonly #dice: Dice
  readonly #keys: number
  readonly #guards = new Map<number, Guard>()
  readonly #standings = new Map<TxnId, Standing>()
  readonly #everywhere = new Set<TxnId>()
  readonly #visible: readonly Set<TxnId>[] = Array.from({ length: NODES }, () => new Set())
  readonly #runners: Runner[] = []
  readonly #late: (() => void)[] = []
  #collecting: { readonly key: number; readonly guard: Guard; readonly idle: boolean } | undefined
  #txns = 0
  #attempts = 0

  constructor(seed: number, rules: ClaimRules = CLAIM_RULES) {
    this.#rules = rules
    this.#dice = new Dice(seed)
    this.#keys = this.#dice.between(1, 3)
  }

  /** Runs to the end, and tells of two committed transactions that wrote one key unseen by each other, if there are any. */
  run(): string | undefined {
    for (let i = 0; i < STEPS; i++) this.#step()
    const all = [...this.committed].filter(([, { claimed }]) => claimed)
    for (const [a, one] of all) {
      for (const [b, other] of all) {
        if (a >= b || !one.keys.some((key) => other.keys.includes(key))) continue
        if (!one.cut.has(b) && !other.cut.has(a)) return `neither ${a} nor ${b} sees the other`
      }
    }
    return undefined
  }

  #step(): void {
    const dice = this.#dice
    const what = dice.fraction()
    if (what < 0.1) this.#begin()
    else if (what < 0.2) this.#learn()
    else if (what < 0.26) this.#compact()
    else if (what < 0.3) this.#collect()
    else if (what < 0.32) this.#late.splice(dice.between(0, this.#late.length), 1)[0]?.()
    else if (what < 0.325) this.#lapse()
    else if (this.#runners.length > 0) this.#advance(dice.pick(this.#runners))
  }

  #begin(): void {
    if (this.#runners.length >= RUNNERS_MAX) return
    const dice = this.#dice
    const twin = this.#runners.length > 0 ? dice.pick(this.#runners) : undefined
    const node = dice.between(0, NODES - 1)
    const keys = [
      ...new Set(Array.from({ length: dice.between(1, this.#keys) }, () => dice.between(0, this.#keys - 1))),
    ]
    const kind = dice.fraction()
    // The same attempt in a second place, a later attempt, or a new transaction.
    const isTwin = twin !== undefined && kind < 0.1
    const by: Try = isTwin
      ? twin.by
      : {
          txn: twin !== undefined && kind < 0.35 ? twin.by.txn : txnOf(++this.#txns),
          attempt: attemptOf(++this.#attempts),
        }
    this.#runners.push({
      by,
      node: isTwin ? twin.node : node,
      cut: isTwin ? twin.cut : new Set(this.#visible[node]),
      keys,
      claims: isTwin ? twin.claims : dice.fraction() < 0.92,
      isLive: isTwin ? twin.isLive : true,
      phase: 'claiming',
      todo: new Set(keys),
      read: new Map(),
      placed: new Map(),
      remembered: new Map(),
    })
  }

  /** A node applies a commit, and what that saw. */
  #learn(): void {
    const { committed } = this
    if (committed.size === 0) return
    const txn = this.#dice.pick([...committed.keys()])
    this.#show(this.#dice.between(0, NODES - 1), txn)
  }

  #show(node: number, txn: TxnId): void {
    for (const seen of this.committed.get(txn)!.cut) this.#visible[node]!.add(seen)
    this.#visible[node]!.add(txn)
  }

  /** What every live snapshot sees becomes a marker; markers go. */
  #compact(): void {
    const cuts = [...this.#visible, ...this.#runners.filter(({ isLive }) => isLive).map(({ cut }) => cut)]
    for (const txn of this.committed.keys()) {
      if (!cuts.every((cut) => cut.has(txn))) continue
      const standing = this.#standings.get(txn)
      if (standing?.status === 'committed') {
        this.#everywhere.add(txn)
        const { attempt, hlc, result } = standing
        this.#standings.set(txn, { status: 'compacted', attempt, hlc, result, blobs: [] })
      } else if (this.#dice.fraction() < 0.1) {
        this.#standings.delete(txn)
      }
    }
  }

  /** Reads a guard and what stands under its names; later removes it. */
  #collect(): void {
    const found = this.#collecting
    this.#collecting = undefined
    if (found !== undefined) {
      if (found.idle) this.#swap(found.key, found.guard, undefined)
      return
    }
    const key = this.#dice.between(0, this.#keys - 1)
    const guard = this.#guards.get(key)
    if (guard === undefined) return
    const { last, claimant } = guard
    const idle = this.#rules.isIdle(guard, {
      last: last && this.#standings.get(last),
      claimant: claimant && this.#standings.get(claimant.txn),
    })
    this.#collecting = { key, guard, idle }
  }

  /** The lease of a node lapses: nobody waits for its snapshots any more. */
  #lapse(): void {
    const node = this.#dice.between(0, NODES - 1)
    for (const runner of this.#runners) if (runner.node === node) runner.isLive = false
  }

  #advance(runner: Runner): void {
    const crash = this.#dice.fraction()
    if (crash < 0.02) this.#end(runner)
    else if (crash < 0.03) this.#fence(runner.by)
    else if (runner.phase === 'deciding') this.#decide(runner)
    else if (runner.phase === 'fencing') this.#fenceItself(runner)
    else if (runner.phase === 'releasing') this.#release(runner)
    else if (runner.claims && runner.todo.size > 0) this.#claim(runner, this.#dice.pick([...runner.todo]))
    else this.#claimed(runner)
  }

  #fenceItself(runner: Runner): void {
    if (this.#rules.fencesItself) this.#fence(runner.by)
    if (isCommitted(this.#standings.get(runner.by.txn))) this.#end(runner)
    else runner.phase = 'releasing'
  }

  #release(runner: Runner): void {
    const [placed] = runner.placed
    if (placed === undefined) {
      this.#end(runner)
      return
    }
    const [key, guard] = placed
    runner.placed.delete(key)
    this.#swap(key, guard, this.#rules.released(guard))
  }

  #claim(runner: Runner, key: number): void {
    const read = runner.read.get(key)
    if (read === undefined) {
      const guard = this.#guards.get(key)
      runner.read.set(key, { guard, known: this.#fromHistory(runner, guard) })
      return
    }
    const { guard, known } = read
    const step = this.#rules.nextStep(guard, runner.by, known)
    switch (step.kind) {
      case 'look':
        runner.read.set(key, { guard, known: this.#look(runner, key, guard!, known) })
        break
      case 'held':
        runner.placed.set(key, guard!)
        runner.todo.delete(key)
        break
      case 'committed':
        runner.todo.delete(key)
        break
      case 'superseded':
      case 'conflict':
        this.conflicts++
        this.#fail(runner)
        break
      case 'contended':
        this.#contend(runner, key, guard!, known, step.whom)
        break
      case 'swap':
        this.#place(runner, key, guard, step.next)
        break
    }
  }

  #contend(runner: Runner, key: number, guard: Guard, known: Known, whom: Try): void {
    const dice = this.#dice.fraction()
    if (!this.#rules.fencesRivals) this.#place(runner, key, guard, { last: guard.last, claimant: runner.by })
    else if (dice < 0.3 && givesWay(runner.by, whom)) this.#fail(runner)
    else {
      if (dice < 0.6) this.#fence(whom)
      runner.read.set(key, { guard, known: { ...known, claimant: undefined } })
    }
  }

  #place(runner: Runner, key: number, guard: Guard | undefined, next: Guard): void {
    const fate = this.#dice.fraction()
    runner.read.delete(key)
    if (fate < 0.85) {
      if (!this.#swap(key, guard, next)) return
      runner.todo.delete(key)
    } else if (fate < 0.92) this.#late.push(() => this.#swap(key, guard, next))
    else this.#swap(key, guard, next)
    runner.placed.set(key, next)
  }

  #claimed(runner: Runner): void {
    if (runner.claims && this.#rules.asksFresh && !runner.isLive) this.#fail(runner)
    else runner.phase = 'deciding'
  }

  #decide(runner: Runner): void {
    const { by, cut, keys, claims, node } = runner
    const verdict = judge(this.#standings.get(by.txn), by.attempt)
    // The id of what everybody forgot is refused before.
    if (verdict === 'write' && !this.committed.has(by.txn)) {
      this.#standings.set(by.txn, {
        status: 'committed',
        attempt: by.attempt,
        hlc: (this.committed.size + 1) as Hlc,
        cut: EMPTY_CUT,
        writes: keys.map((key) => ({ key: String(key), value: { kind: 'tombstone' } })),
        claimed: claims,
        result: undefined,
      })
      this.committed.set(by.txn, { cut, keys, claimed: claims })
      if (this.#dice.fraction() < 0.8) this.#show(node, by.txn)
      this.#end(runner)
    } else if (verdict === 'ours' || verdict === 'replay') this.#end(runner)
    else this.#fail(runner)
  }

  #fromHistory(runner: Runner, guard: Guard | undefined): Known {
    const { last, claimant } = guard ?? {}
    const fate = (txn: TxnId | undefined): Fate | undefined => {
      if (txn === undefined || !this.#visible[runner.node]!.has(txn)) return undefined
      // What is compacted leaves the history at some moment.
      if (this.#everywhere.has(txn) && this.#dice.fraction() < 0.5) return undefined
      return runner.cut.has(txn) ? 'seen' : 'unseen'
    }
    const known = { claimant: fate(claimant?.txn), last: fate(last) }
    if (known.claimant !== 'seen' || known.last !== 'seen') return { ...known, ordered: false }
    const isInCut = this.committed.get(claimant!.txn)!.cut.has(last!)
    // Who adopted both knows the last writer by a place that the claimant's cut does not name.
    if (isInCut && this.#dice.fraction() < 0.7) return { ...known, ordered: true }
    const order = [...this.committed.keys()]
    return { ...known, ordered: order.indexOf(last!) < order.indexOf(claimant!.txn) ? undefined : false }
  }

  #look(runner: Runner, key: number, guard: Guard, known: Known): Known {
    const { last, claimant } = guard
    const asksClaimant = known.claimant === undefined || known.last === 'seen'
    return knownWith(known, String(key), guard, {
      claimant: claimant && asksClaimant ? this.#find(runner, claimant.txn, false) : undefined,
      last: known.last === undefined && last !== undefined ? this.#find(runner, last, true) : undefined,
    })
  }

  #find(runner: Runner, txn: TxnId, isLast: boolean): Standing | undefined {
    const isKnown = isLast && !this.#rules.readsLastAgain && runner.remembered.has(txn)
    if (!isKnown) runner.remembered.set(txn, this.#standings.get(txn))
    return runner.remembered.get(txn)
  }

  #fail(runner: Runner): void {
    runner.phase = 'fencing'
  }

  #fence({ txn, attempt }: Try): void {
    if (this.committed.has(txn)) return
    const fence = fenceOver(this.#standings.get(txn), attempt)
    if (fence !== undefined) this.#standings.set(txn, fence)
  }

  #swap(key: number, expected: Guard | undefined, next: Guard | undefined): boolean {
    if (!same(this.#guards.get(key), expected)) return false
    if (next === undefined) this.#guards.delete(key)
    else this.#guards.set(key, next)
    return true
  }

  #end(runner: Runner): void {
    this.#runners.splice(this.#runners.indexOf(runner), 1)
  }
}

function isCommitted(standing: Standing | undefined): boolean {
  return standing?.status === 'committed' || standing?.status === 'compacted'
}

/** Guards are compared by what they hold, as storage does: one that comes back is the same. */
function same(a: Guard | undefined, b: Guard | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return (
    a.last === b.last && a.claimant?.txn === b.claimant?.txn && a.claimant?.attempt === b.claimant?.attempt
  )
}

function txnOf(n: number): TxnId {
  return `t${String(n).padStart(4, '0')}` as TxnId
}

function attemptOf(n: number): Attempt {
  return `a${String(n).padStart(4, '0')}` as Attempt
}
