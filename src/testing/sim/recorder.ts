import type { Coordinates } from '../../core/cut.js'
import type {
  Candidate,
  CommitCall,
  Committed,
  Execution,
  History,
  Raised,
  Read,
  Snapshot,
  Tag,
  Told,
} from '../checkers/history.js'
import type { EventLog } from './event-log.js'

/** Writes down what clients do and see, as checkers want it. */
export class Recorder implements History {
  readonly committed = new Map<string, Committed>()
  readonly snapshots: Snapshot[] = []
  readonly executions: Execution[] = []
  readonly reads: Read[] = []
  readonly commits: CommitCall[] = []
  readonly told: Told[] = []
  readonly raised: Raised[] = []
  readonly places = new Map<string, readonly Coordinates[]>()
  readonly shrunk = new Map<string, number>()
  readonly departures = new Map<string, { readonly number: number; readonly last: number }>()
  readonly ran: { readonly txn: string; readonly calledAt: number }[] = []
  /** By transaction: when a function of it last began to hand off, and when durably. */
  readonly handoffs = new Map<string, { readonly lastMs: number; readonly durableMs: number }>()
  /** Reads of open transactions that were not answered, and why. */
  readonly refusals: { readonly at: number; readonly execution: Execution; readonly code: string }[] = []
  readonly log: EventLog
  readonly idempotencyWindowMs: number
  /** Of an id, its age by the clock that was furthest ahead of all since then. */
  readonly #ageMsMax: (txn: string, sinceMs: number) => number
  #tags = 0

  constructor(
    log: EventLog,
    idempotencyWindowMs: number,
    ageMsMax: (txn: string, sinceMs: number) => number,
  ) {
    this.log = log
    this.idempotencyWindowMs = idempotencyWindowMs
    this.#ageMsMax = ageMsMax
  }

  /** A value never written before: its first word is its tag. */
  newTag(): string {
    return `v${++this.#tags}`
  }

  snapshot(begun: Omit<Snapshot, 'number' | 'openAt' | 'attempt'>): Snapshot {
    const number = this.snapshots.length + 1
    const snapshot: Snapshot = { ...begun, number, openAt: this.log.count, attempt: undefined }
    this.snapshots.push(snapshot)
    return snapshot
  }

  execution(snapshot: Snapshot, node: string, upstream: readonly Execution[]): Execution {
    const number = this.executions.length + 1
    const execution: Execution = { number, snapshot, node, upstream, writes: new Map() }
    this.executions.push(execution)
    const from = upstream.map((each) => each.number).join('+')
    this.log.add(`e${number} runs on ${node}: s${snapshot.number} ${snapshot.txn} after [${from}]`)
    return execution
  }

  read(execution: Execution, key: string, tag: Tag): void {
    const own = expectedOf(execution).get(key)
    const at = this.log.add(`e${execution.number} reads ${key}: ${tag}`)
    this.reads.push({ at, execution, key, tag, own })
  }

  handoff(txn: string, isDurable: boolean): void {
    const nowMs = this.log.msOf(this.log.count)
    const durableMs = isDurable ? nowMs : (this.handoffs.get(txn)?.durableMs ?? Number.NEGATIVE_INFINITY)
    this.handoffs.set(txn, { lastMs: nowMs, durableMs })
  }

  commit(txn: string, node: string, candidates: Candidate[]): CommitCall {
    const call: CommitCall = {
      txn,
      node,
      candidates,
      outcome: 'unknown',
      askedAt: this.log.count,
      toldAt: undefined,
      result: undefined,
      code: undefined,
    }
    this.commits.push(call)
    return call
  }

  tell(call: CommitCall, outcome: CommitCall['outcome'], detail: { result?: unknown; code?: string }): void {
    call.outcome = outcome
    call.result = detail.result
    call.code = detail.code
    const said = detail.code ?? String(detail.result)
    call.toldAt = this.log.add(`${call.txn} was told ${outcome} at ${call.node}: ${said}`)
    if (detail.code === 'TransactionExpired') this.say(call.txn, call.askedAt, 'expired', undefined)
  }

  say(txn: string, askedAt: number, said: Told['said'], result: unknown): void {
    const at = this.log.add(`${txn} is said to be ${said}`)
    const ageMsMax = this.#ageMsMax(txn, this.log.msOf(askedAt))
    this.told.push({ txn, askedAt, at, said, result, ageMsMax })
  }
}

/** All that would be committed if this execution were the last of its transaction. */
export function candidateOf(execution: Execution, result: unknown, said: unknown = result): Candidate {
  return { snapshot: execution.snapshot, writes: expectedOf(execution), result, said }
}

/**
 * For each key written by the function or upstream of it, what may count: its own write; else those of functions upstream
 * that no function between has overwritten. Of several, which were written on parallel branches, any.
 */
function expectedOf(execution: Execution): Map<string, ReadonlySet<Tag>> {
  const lineage = lineageOf(execution)
  const out = new Map<string, Set<Tag>>()
  for (const one of lineage) {
    for (const [key, tag] of one.writes) {
      const isOverwritten = lineage.some(
        (other) => other !== one && other.writes.has(key) && lineageOf(other).includes(one),
      )
      if (isOverwritten) continue
      const tags = out.get(key) ?? new Set()
      out.set(key, tags.add(tag))
    }
  }
  return out
}

const LINEAGES = new WeakMap<Execution, readonly Execution[]>()

/** An execution and all upstream of it. */
function lineageOf(execution: Execution): readonly Execution[] {
  const known = LINEAGES.get(execution)
  if (known !== undefined) return known
  const seen = new Set<Execution>([execution])
  for (const each of execution.upstream) for (const one of lineageOf(each)) seen.add(one)
  const lineage = [...seen]
  LINEAGES.set(execution, lineage)
  return lineage
}
