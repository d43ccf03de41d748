import { sameCut } from '../../src/core/cut.js'
import { isCommit, type Standing } from '../../src/core/decision.js'
import type { TxnId } from '../../src/core/ids.js'
import { modeOf } from '../../src/core/modes.js'
import { compareStamps, isVisible } from '../../src/core/version.js'
import { cutText, type Replica } from './replica.js'
import { KEYS, type Key, type Run, type State, TXNS } from './state.js'
import { committedIn, indexOf, nameOf, recordOf, visibleIn, type World } from './world.js'

/** The invariants, from their definitions: each throws if a state, or the step to it, breaks one. */
export class Checks {
  readonly #world: World
  /** What was found to be right, and needs no second look. */
  readonly #known = new Set<string>()

  constructor(world: World) {
    this.#world = world
  }

  step(before: State, after: State): void {
    for (const [i, record] of after.records.entries()) checkMove(TXNS[i]!, before.records[i], record)
  }

  state(state: State): void {
    for (const [n, { replica, serves }] of state.nodes.entries()) {
      if (replica === undefined) continue
      this.#once(`node ${this.#recordsText(state)} ${this.#world.replicaNumber(replica)}`, () => {
        this.#checkDecided(state, replica)
        this.#checkClosed(state, replica)
      })
      if (serves) this.#checkAcknowledged(state, n, replica)
    }
    for (const [r, run] of state.runs.entries()) {
      if (run.phase === 'over') checkAnswer(this.#world, state, r, run)
      else this.#checkRun(state, r, run)
    }
    if (this.#world.scenario.mode === 'parallel-snapshot') this.#checkNoLostUpdate(state)
  }

  /** Nothing more happens but faults. */
  end(state: State): void {
    const committed = committedIn(state)
    const live = state.nodes.filter(({ replica }) => replica !== undefined)
    if (state.faults.restarts > 0 && live.length < state.nodes.length) fail('I8', 'a node is down')
    for (const { replica, serves, look } of live) {
      const { history, origin } = replica!
      if (!serves || look !== undefined) fail('I8', `${origin} is stuck`)
      const seen = visibleIn(history, history.cut())
      if (seen.length !== committed.length) fail('I8', `${origin} sees ${seen}, and ${committed} committed`)
      const other = live[0]!.replica!.history
      if (!sameCut(history.cut(), other.cut()))
        fail('I8', `${origin} has applied ${cutText(history.cut())}, another ${cutText(other.cut())}`)
      for (const key of KEYS) {
        const due = this.#newest(state, committed, key)
        const found = history.read(key, history.cut())?.applied.txn
        if (found !== due) fail('I8', `${origin} ends with ${key} of ${found}, not of ${due}`)
      }
    }
    for (const [r, { phase }] of state.runs.entries()) {
      const plan = this.#world.scenario.plans[r]!
      const lacksNode =
        plan.kind === 'attempt' && plan.path.some((n) => state.nodes[n]!.replica === undefined)
      if (phase !== 'over' && plan.kind === 'attempt' && !lacksNode)
        fail('I8', `attempt ${r + 1} is stuck: ${phase}`)
    }
  }

  /** I4: what is visible is what was decided. */
  #checkDecided(state: State, { origin, history }: Replica): void {
    for (const txn of TXNS) {
      const applied = history.find(txn)
      if (applied === undefined) continue
      const record = recordOf(state, txn)
      if (record?.status !== 'committed') fail('I4', `${txn} is visible at ${origin}, and not decided`)
      if (applied.hlc !== record.hlc || !sameCut(applied.cut, record.cut))
        fail('I4', `${origin} shows something else of ${txn} than was decided`)
      if (!isVisible(applied, history.cut())) fail('I1', `${txn} is at ${origin}, and no cut will see it`)
    }
  }

  /** I7: with a transaction goes all that it saw. */
  #checkClosed(state: State, { origin, history }: Replica): void {
    for (const txn of visibleIn(history, history.cut())) {
      for (const seen of this.#world.sawOf(recordOf(state, txn)!))
        if (!history.has(seen)) fail('I7', `${txn} is visible at ${origin}, and ${seen} is not, which it saw`)
    }
  }

  /** I7: who was told of a commit by a node sees it there from then on. */
  #checkAcknowledged({ runs }: State, n: number, { origin, history }: Replica): void {
    for (const [r, { phase, told, toldBy }] of runs.entries()) {
      if (phase !== 'over' || told !== 'committed' || toldBy !== origin) continue
      const plan = this.#world.scenario.plans[r]!
      if (plan.kind === 'attempt' && !history.has(plan.txn))
        fail('I7', `${plan.txn} was acknowledged by ${nameOf(n)}, and is not visible there`)
    }
  }

  /** I1 to I3: a snapshot is what it was when it began, on every node; of each key it has the newest. */
  #checkRun(state: State, r: number, { cut, saw, reads }: Run): void {
    const plan = this.#world.scenario.plans[r]!
    if (plan.kind !== 'attempt' || cut === undefined) return
    if (reads.length > 0) {
      this.#once(`reads ${this.#recordsText(state)} ${saw} ${reads} ${plan.keys}`, () =>
        this.#checkReads(state, plan.keys, saw, reads),
      )
    }
    for (const { replica } of state.nodes) {
      if (replica === undefined || !replica.history.covers(cut)) continue
      const number = this.#world.replicaNumber(replica)
      this.#once(`cut ${this.#recordsText(state)} ${number} ${cutText(cut)} ${saw}`, () => {
        const { history, origin } = replica
        const visible = visibleIn(history, cut)
        if (`${visible}` !== `${saw}`) fail('I1', `a cut that saw ${saw} sees ${visible} at ${origin}`)
        for (const key of KEYS) {
          const [found, due] = [history.read(key, cut)?.applied.txn, this.#newest(state, saw, key)]
          if (found !== due) fail('I3', `${key} is of ${found} at ${origin}, not of ${due}`)
        }
      })
    }
  }

  #checkReads(
    state: State,
    keys: readonly Key[],
    saw: readonly TxnId[],
    reads: readonly (TxnId | undefined)[],
  ): void {
    const { keepsCut } = modeOf(this.#world.scenario.mode)
    for (const [i, read] of reads.entries()) {
      if (read !== undefined && !isCommit(recordOf(state, read)))
        fail('I4', `${read} was read, and is not decided`)
      // Who read a transaction reads no other key older than it wrote that.
      for (const [j, other] of reads.entries()) {
        if (read === undefined || read === other || !this.#keysOf(state, read).includes(keys[j]!)) continue
        if (other === undefined || this.#compare(state, other, read) < 0)
          fail('I2', `${keys[i]} was read of ${read}, and ${keys[j]} of ${other ?? 'nobody'}`)
      }
      const due = this.#newest(state, saw, keys[i]!)
      if (keepsCut && read !== due) fail('I3', `${keys[i]} was read of ${read}, not of ${due}`)
    }
  }

  /** Of two that claimed and wrote one key, one saw the other. */
  #checkNoLostUpdate(state: State): void {
    const [one, other] = TXNS
    const [a, b] = [recordOf(state, one), recordOf(state, other)]
    if (a?.status !== 'committed' || b?.status !== 'committed') return
    const shared = this.#keysOf(state, one).filter((key) => this.#keysOf(state, other).includes(key))
    if (shared.length === 0) return
    if (this.#world.sawOf(a).includes(other) || this.#world.sawOf(b).includes(one)) return
    throw new Error(`lost update: neither ${one} nor ${other} saw the other, and both wrote ${shared}`)
  }

  #newest(state: State, txns: readonly TxnId[], key: Key): TxnId | undefined {
    return txns
      .filter((txn) => this.#keysOf(state, txn).includes(key))
      .sort((a, b) => this.#compare(state, a, b))
      .at(-1)
  }

  #keysOf(state: State, txn: TxnId): readonly Key[] {
    const record = recordOf(state, txn)
    return record?.status === 'committed' ? record.writes.map(({ key }) => key as Key) : []
  }

  #compare(state: State, a: TxnId, b: TxnId): number {
    const stampOf = (txn: TxnId) => {
      const record = recordOf(state, txn)
      if (record?.status !== 'committed') fail('I4', `${txn} is not decided`)
      return { hlc: record.hlc, txn }
    }
    return compareStamps(stampOf(a), stampOf(b))
  }

  #recordsText(state: State): string {
    return this.#world.recordsText(state)
  }

  #once(text: string, check: () => void): void {
    if (this.#known.has(text)) return
    check()
    this.#known.add(text)
  }
}

/** I5, I6: what is decided stays; a fence is never passed, nor lowered. */
function checkMove(txn: TxnId, before: Standing | undefined, after: Standing | undefined): void {
  if (before === after || before === undefined) return
  if (isCommit(before)) fail('I6', `the decision of ${txn} by ${before.attempt} was replaced`)
  if (before.status !== 'fenced' || after === undefined || after.status === 'aborted')
    fail('I6', `${txn} went back`)
  const attempt = after.status === 'fenced' ? after.upTo : after.attempt
  if (attempt <= before.upTo) fail('I6', `a fence of ${txn} was passed by ${attempt}`)
}

/** I5, I6: what anybody was told is so, now and in every later state. */
function checkAnswer({ scenario }: World, state: State, r: number, { told, attempt, named }: Run): void {
  if (told === undefined) return
  const plan = scenario.plans[r]!
  const { txn } =
    plan.kind === 'attempt' ? plan : (scenario.plans[plan.of] as Extract<typeof plan, { kind: 'attempt' }>)
  const standing = state.records[indexOf(txn)]
  const who = `attempt ${r + 1}, at ${txn},`
  if (told === 'committed') {
    if (!isCommit(standing) || standing.attempt !== named)
      fail(
        'I6',
        `${who} was told that ${named} committed, and ${standing && JSON.stringify(standing)} stands`,
      )
  } else if (isCommit(standing) && standing.attempt === attempt) {
    fail('I6', `${who} was told '${told}', and has committed`)
  }
}

function fail(rule: string, says: string): never {
  throw new Error(`${rule}: ${says}`)
}
