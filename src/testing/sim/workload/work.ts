import { makeTxnId, TXN_ID_ENTROPY_BYTES } from '../../../core/ids.js'
import { CONSISTENCIES } from '../../../core/modes.js'
import { VirgaError } from '../../../errors.js'
import type { Execution, Mode } from '../../checkers/history.js'
import type { Dice } from '../dice.js'
import type { Executor, Machine } from '../machine.js'
import type { Recorder } from '../recorder.js'
import type { SimCluster } from '../sim-cluster.js'

/** A user function that fails of itself. */
export class FunctionFailed extends Error {}
/** The process died under whoever waited for it. */
export class ExecutorDied extends Error {}

/** A transaction of the past, to be retried, asked for, or met by a message that comes late. */
export interface Past {
  readonly txn: string
  readonly mode: Mode
  /** Handed off by functions of it. */
  readonly contexts: readonly Done[]
}

/** A function that has been run, and what it handed on. */
export interface Done {
  readonly execution: Execution
  readonly context: string
}

const PAST_MAX = 200

/** What all users of one run share. */
export class Work {
  readonly cluster: SimCluster
  readonly recorder: Recorder
  readonly dice: Dice
  readonly past: Past[] = []
  /** What the callers of functions did that good ones never do. */
  readonly mischief = {
    'context delivered twice': 0,
    'context delivered late': 0,
    'context delivered to a node that just came up': 0,
    'commit asked for twice': 0,
    'same transaction on two nodes at once': 0,
    'same DAG on two nodes at once': 0,
    'retry under an old id': 0,
    'DAG again under an old id': 0,
  }
  readonly counts = { transactions: 0, committed: 0, failed: 0, unknown: 0, functions: 0 }

  constructor(cluster: SimCluster) {
    this.cluster = cluster
    this.recorder = cluster.recorder
    this.dice = cluster.dice.fork()
  }

  remember(past: Past): void {
    if (this.past.length >= PAST_MAX) this.past.splice(this.dice.between(0, PAST_MAX - 1), 1)
    this.past.push(past)
  }

  /** Now, by the clock of one machine; now and then of a while ago, as a request that waited in a queue. */
  newId(machine: Machine): string {
    return this.idOf(machine, this.dice.chance(0.05) ? this.dice.between(0, 900_000) : 0)
  }

  /** Of so long ago, by the clock of one machine. */
  idOf(machine: Machine, agoMs: number): string {
    const nowMs = Math.floor(this.cluster.clock.now() + machine.offsetMs)
    return makeTxnId(nowMs - agoMs, this.dice.random.bytes(TXN_ID_ENTROPY_BYTES))
  }

  mode(): Mode {
    const hasClaims = (CONSISTENCIES as readonly string[]).includes('parallel-snapshot')
    return this.dice.weighted({ 'read-atomic': 6, 'parallel-snapshot': hasClaims ? 3 : 0, lww: 1 })
  }

  /** Keys that transactions of this mode write: those with claims see only each other's. */
  writeKey(mode: Mode): string {
    const group = mode === 'parallel-snapshot' ? 'p' : 'a'
    const { hot, cold } = this.cluster.plan.keys
    if (this.dice.chance(0.7)) return `${group}/hot/${this.dice.between(1, hot)}`
    return `${group}/cold/${this.dice.between(1, cold)}`
  }

  readKey(): string {
    return this.writeKey(this.dice.chance(0.7) ? 'read-atomic' : 'parallel-snapshot')
  }

  /** All keys that are ever written. */
  keys(): readonly string[] {
    const { hot, cold } = this.cluster.plan.keys
    return ['a', 'p'].flatMap((group) => [
      ...Array.from({ length: hot }, (_, i) => `${group}/hot/${i + 1}`),
      ...Array.from({ length: cold }, (_, i) => `${group}/cold/${i + 1}`),
    ])
  }

  bytes(): number {
    const { inlineBytes } = this.cluster.plan
    return this.dice.pick([0, 0, 0, 0, 30, inlineBytes - 20, inlineBytes + 20, inlineBytes * 3])
  }

  executor(on?: Machine): Executor | undefined {
    const machine = on ?? this.dice.pick(this.cluster.machines)
    return machine.executors.length === 0 ? undefined : this.dice.pick(machine.executors)
  }
}

/** Runs something in an executor's process: not before the process goes on, and not beyond its death. */
export async function inside<T>({ life }: Executor, run: () => Promise<T>): Promise<T> {
  const death = life.death.then((): never => {
    throw new ExecutorDied()
  })
  // Whoever runs first may end before the process dies: that then is nobody's failure.
  death.catch(() => undefined)
  if (!life.isAlive) throw new ExecutorDied()
  await Promise.race([life.passed(), death])
  return Promise.race([run(), death])
}

/** What a user may meet; anything else is a bug. */
export function isForeseen(error: unknown): boolean {
  if (error instanceof FunctionFailed || error instanceof ExecutorDied) return true
  return VirgaError.is(error) && !BUGS.has(error.code)
}

const BUGS: ReadonlySet<string> = new Set([
  'Internal',
  'StorageCorrupt',
  'Malformed',
  'Unauthorized',
  'Unsupported',
])
