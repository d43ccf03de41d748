import type { Guard } from '../../src/core/claim.js'
import { type Decision, isCommit, type Standing } from '../../src/core/decision.js'
import type { History } from '../../src/core/history.js'
import type { Attempt, Origin, TxnId } from '../../src/core/ids.js'
import type { Consistency } from '../../src/core/modes.js'
import { isVisible } from '../../src/core/version.js'
import { Numbered } from './numbered.js'
import { cutText, type Event, placedText, Replica } from './replica.js'
import {
  type Faults,
  type Flying,
  IDLE,
  KEYS,
  type Key,
  type Look,
  type Message,
  type Node,
  type Plan,
  type Run,
  type State,
  TXNS,
} from './state.js'

export interface Scenario {
  readonly nodes: number
  readonly plans: readonly Plan[]
  readonly mode: Consistency
  /** What the wall clock of each node says, all the time. */
  readonly clocksMs: readonly number[]
  readonly faults: Faults
}

/** The rules that nodes follow around core. A test breaks one, to show that it is missed. */
export interface Rules {
  /** What a peer published is applied only after its cut. */
  readonly gates: boolean
  /** A decision is published once it stands in storage, not before. */
  readonly decidesFirst: boolean
  /** The decision replaces what it expects, and nothing else. */
  readonly compares: boolean
  /** An attempt that was not told what became of its swap is fenced. A mere look does not tell. */
  readonly fencesInDoubt: boolean
  /** Storage is listed until nothing new turns up. */
  readonly listsAgain: boolean
  /** A commit is visible on the node before it is the answer. */
  readonly showsBeforeAnswer: boolean
  /** A retry is told of the decision that stands, whoever made it. */
  readonly obeysRecord: boolean
  /** The last writer of a key outlives a claimant that failed. */
  readonly keepsLastWriter: boolean
  /** An undecided claimant is fenced before it is replaced. */
  readonly fencesRivals: boolean
}

export const RULES: Rules = {
  gates: true,
  decidesFirst: true,
  compares: true,
  fencesInDoubt: true,
  listsAgain: true,
  showsBeforeAnswer: true,
  obeysRecord: true,
  keepsLastWriter: true,
  fencesRivals: true,
}

/** A scenario with all that its states are made of. */
export class World {
  readonly scenario: Scenario
  readonly rules: Rules
  readonly #records = new Numbered<Standing>()
  readonly #guards = new Numbered<Guard>()
  readonly #runs = new Numbered<Run>()
  readonly #nodes = new Numbered<Node>()
  readonly #messages = new Numbered<Message>()
  readonly #replicas = new Numbered<Replica>()
  /** What follows from an event, by both. */
  readonly #after = new Map<string, Replica>()
  readonly #saw = new Map<Standing, readonly TxnId[]>()

  constructor(scenario: Scenario, rules: Rules = RULES) {
    this.scenario = scenario
    this.rules = rules
  }

  start(): State {
    const { nodes, plans, faults } = this.scenario
    return {
      records: TXNS.map(() => undefined),
      guards: KEYS.map(() => undefined),
      flying: [],
      nodes: Array.from({ length: nodes }, (_, n) => this.node(n, 1, this.boot(n, 1), true)),
      runs: plans.map(() => this.run(IDLE)),
      messages: [],
      faults,
    }
  }

  /** Equal for equal states, and for no others. */
  keyOf(state: State): string {
    const { records, guards, flying, nodes, runs, messages, faults } = state
    // Numbers with a stop between them, and the parts of which there may be any number come last.
    let key = ''
    for (const record of records) key += `${this.#records.numberOf(record)},`
    for (const guard of guards) key += `${this.#guards.numberOf(guard)},`
    for (const node of nodes) key += `${this.#nodes.numberOf(node)},`
    for (const run of runs) key += `${this.#runs.numberOf(run)},`
    for (const message of messages) key += `${this.#messages.numberOf(message)},`
    key += `;${faultsText(faults)}`
    if (flying.length > 0) key += `;${flying.map((one) => this.#flightText(one)).sort()}`
    return key
  }

  #flightText({ txn, expected, next }: Flying): string {
    return `${txn} ${this.#records.numberOf(expected)} ${this.#records.numberOf(next)}`
  }

  record(txn: TxnId, standing: Standing, saw: readonly TxnId[] = []): Standing {
    const text = JSON.stringify([
      txn,
      standing.status,
      standing.status === 'fenced' ? standing.upTo : '',
      standing.status === 'committed' ? decisionText(standing) : '',
      saw,
    ])
    const one = this.#records.one(text, () => standing)
    this.#saw.set(one, saw)
    return one
  }

  decision(txn: TxnId, decision: Decision, saw: readonly TxnId[]): Decision {
    return this.record(txn, decision, saw) as Decision
  }

  /** What a committed transaction's snapshot saw. */
  sawOf(standing: Standing): readonly TxnId[] {
    return this.#saw.get(standing)!
  }

  guard(guard: Guard | undefined): Guard | undefined {
    if (guard === undefined) return undefined
    return this.#guards.one(guardText(guard), () => guard)
  }

  run(run: Run): Run {
    const { phase, at, attempt, cut, saw, reads, contests, decision, expected, met, look } = run
    const numberOf = (one: Standing | undefined) => this.#records.numberOf(one)
    const text = `${phase} ${at} ${attempt} ${cut && cutText(cut)} ${saw} ${reads.map((read) => read ?? 'nobody')} ${look} ${contests.map(
      (one) => `${one.phase}${this.#guards.numberOf(one.guard)}`,
    )} ${numberOf(decision)} ${numberOf(expected)} ${numberOf(met)} ${run.told} ${run.named} ${run.toldBy}`
    return this.#runs.one(text, () => run)
  }

  node(n: number, boots: number, replica: Replica | undefined, serves: boolean, look?: Look): Node {
    const looks = look && `${look.passed}/${look.before ?? 'nothing'}/${look.restores}`
    const text = `${n} ${boots} ${this.#replicas.numberOf(replica)} ${serves} ${looks}`
    return this.#nodes.one(text, () => ({ boots, replica, serves, look }))
  }

  replicaNumber(replica: Replica): number {
    return this.#replicas.numberOf(replica)
  }

  message(to: number, origin: Origin, seq: number, placed: Message['placed']): Message {
    const text = `${to} ${origin} ${seq} ${placedText(placed)}`
    return this.#messages.one(text, () => ({ to, origin, seq, placed }))
  }

  /** How many different states of nodes there were. */
  get replicas(): number {
    return this.#replicas.size
  }

  recordsText({ records }: State): string {
    return records.map((record) => this.#records.numberOf(record)).join()
  }

  /** An incarnation of a node, as it begins. */
  boot(n: number, boots: number): Replica {
    return this.#replica(originOf(n, boots), [])
  }

  after(replica: Replica, event: Event): Replica {
    const text = `${this.#replicas.numberOf(replica)} ${this.#eventText(event)}`
    let next = this.#after.get(text)
    if (next === undefined) {
      next = this.#replica(replica.origin, [...replica.events, event])
      this.#after.set(text, next)
    }
    return next
  }

  #replica(origin: Origin, events: readonly Event[]): Replica {
    const replica = new Replica(origin, events, this.rules.gates)
    return this.#replicas.one(replica.text, () => replica)
  }

  #eventText(event: Event): string {
    switch (event.kind) {
      case 'tick':
        return `tick ${event.nowMs}`
      case 'publish':
      case 'adopt':
        return `${event.kind} ${this.#records.numberOf(event.decision)}`
      case 'take':
        return `take ${this.#messages.numberOf(this.message(0, event.origin, event.seq, event.placed))}`
      case 'lapse':
        return `lapse ${event.origin}`
      case 'install':
        return `install ${this.#replicas.numberOf(event.from)}`
      case 'look':
      case 'looked':
        return event.kind
    }
  }

  /** Something happens to a node; what it publishes by that is on its way to all others. */
  act(state: State, n: number, ...events: readonly Event[]): State {
    const node = state.nodes[n]!
    let replica = node.replica!
    const first = replica.history.seqOf(replica.origin) + 1
    for (const event of events) replica = this.after(replica, event)
    const next = withNode(state, n, this.node(n, node.boots, replica, node.serves, node.look))
    const last = replica.history.seqOf(replica.origin)
    return last < first ? next : this.#tell(next, n, replica, first, last)
  }

  #tell(state: State, n: number, { origin, history }: Replica, first: number, last: number): State {
    let next = state
    for (let seq = first; seq <= last; seq++) {
      for (const [to, { replica }] of state.nodes.entries()) {
        if (to === n || replica === undefined) continue
        next = this.send(next, this.message(to, origin, seq, history.placed(origin, seq)!))
      }
    }
    return next
  }

  send(state: State, message: Message): State {
    if (state.messages.includes(message)) return state
    const numberOf = (one: Message) => this.#messages.numberOf(one)
    const messages = [...state.messages, message].sort((a, b) => numberOf(a) - numberOf(b))
    return { ...state, messages }
  }

  withRun(state: State, r: number, changes: Partial<Run>): State {
    const run = this.run({ ...state.runs[r]!, ...changes })
    return { ...state, runs: state.runs.map((each, i) => (i === r ? run : each)) }
  }

  /** Whatever it remembers is of no use any more. */
  end(state: State, r: number, told: Run['told'], named?: Attempt): State {
    const { at, attempt } = state.runs[r]!
    const toldBy = told === 'committed' ? state.nodes[at]!.replica?.origin : undefined
    const run = this.run({ ...IDLE, phase: 'over', attempt, told, named, toldBy })
    return { ...state, runs: state.runs.map((each, i) => (i === r ? run : each)) }
  }
}

export function withNode(state: State, n: number, node: Node): State {
  return { ...state, nodes: state.nodes.map((each, i) => (i === n ? node : each)) }
}

export function withRecord(state: State, txn: TxnId, record: Standing): State {
  const at = indexOf(txn)
  return { ...state, records: state.records.map((each, i) => (i === at ? record : each)) }
}

export function withGuard(state: State, key: Key, guard: Guard | undefined): State {
  const at = KEYS.indexOf(key)
  return { ...state, guards: state.guards.map((each, i) => (i === at ? guard : each)) }
}

export function withFault(state: State, fault: keyof Faults): State {
  if (state.faults[fault] === Number.POSITIVE_INFINITY) return state
  return { ...state, faults: { ...state.faults, [fault]: state.faults[fault] - 1 } }
}

export function recordOf(state: State, txn: TxnId): Standing | undefined {
  return state.records[indexOf(txn)]
}

export function committedIn(state: State): readonly TxnId[] {
  return TXNS.filter((txn) => isCommit(recordOf(state, txn)))
}

export function indexOf(txn: TxnId): number {
  return TXNS.indexOf(txn)
}

export function originOf(n: number, boots: number): Origin {
  return `${nameOf(n)}${boots}` as Origin
}

export function nameOf(n: number): string {
  return 'abc'[n]!
}

const FAULTS = new WeakMap<Faults, string>()

function faultsText(faults: Faults): string {
  let text = FAULTS.get(faults)
  if (text === undefined) {
    text = Object.values(faults).join()
    FAULTS.set(faults, text)
  }
  return text
}

/** All transactions that a cut sees in a history. */
export function visibleIn(history: History, cut: ReturnType<History['cut']>): readonly TxnId[] {
  return TXNS.filter((txn) => {
    const applied = history.find(txn)
    return applied !== undefined && isVisible(applied, cut)
  })
}

function decisionText({ attempt, hlc, cut, writes, claimed }: Decision): string {
  return `${attempt} ${hlc} ${cutText(cut)} ${writes.map(({ key }) => key).join()} ${claimed}`
}

function guardText({ last, claimant }: Guard): string {
  return `${last ?? ''} ${claimant?.txn ?? ''} ${claimant?.attempt ?? ''}`
}
