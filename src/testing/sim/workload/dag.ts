import type { CommitReceipt } from '../../../client/transaction.js'
import { VirgaError } from '../../../errors.js'
import type { Mode } from '../../checkers/history.js'
import type { Executor, Machine } from '../machine.js'
import { candidateOf } from '../recorder.js'
import { ask } from './ask.js'
import { act } from './functions.js'
import { drawShape, leavesOf, type Shape } from './shapes.js'
import { begin, Tracked, told } from './tracked.js'
import { type Done, inside, isForeseen, type Work } from './work.js'

export interface Dag {
  readonly txn: string
  readonly mode: Mode
  readonly writes: boolean
  readonly keyed: boolean
  readonly after: { readonly txn: string; readonly token: string } | undefined
  /** Where its first function runs, if anything runs there. Undefined: anywhere. */
  readonly on?: Machine
}

const ATTEMPTS_MAX = 4
const TRIES_MAX = 4
const PAUSE_MS = 100

/** The functions of one DAG, each run wherever there is an executor, and again where it failed; then one commit, or two. */
export class DagRun {
  readonly #work: Work
  readonly #dag: Dag
  readonly #shape: Shape
  readonly #durable: number
  /** What functions of earlier attempts handed off. */
  readonly #stale: Done[] = []

  constructor(work: Work, dag: Dag) {
    this.#work = work
    this.#dag = dag
    this.#shape = drawShape(work.dice)
    this.#durable = work.dice.pick([0, 0.3, 1])
  }

  /** Throws what the last attempt failed with. */
  async run(): Promise<CommitReceipt> {
    const { counts, cluster, dice } = this.#work
    counts.transactions++
    for (let round = 1; ; round++) {
      try {
        const receipt = await this.#attempt()
        counts.committed++
        return receipt
      } catch (error) {
        if (!isForeseen(error)) throw error
        if (VirgaError.is(error) && error.code === 'AlreadyCommitted') await this.#askResult()
        const again = !VirgaError.is(error) || error.retryable
        if (!again || round >= ATTEMPTS_MAX || !cluster.isCruel) {
          counts[VirgaError.is(error) && error.outcome === 'definite' ? 'failed' : 'unknown']++
          throw error
        }
      }
      await cluster.sleep(dice.wait(PAUSE_MS))
    }
  }

  /** Another run of the DAG has committed, and a function of this one was told so: the result must be there to be had. */
  async #askResult(): Promise<void> {
    const executor = this.#work.executor()
    const { txn, keyed } = this.#dag
    if (executor === undefined || !keyed) return
    this.#work.recorder.say(txn, this.#work.recorder.log.count, 'not cancelled', undefined)
    await ask(this.#work, executor, txn).catch((error: unknown) => {
      if (!isForeseen(error)) throw error
    })
  }

  async #attempt(): Promise<CommitReceipt> {
    const done: Promise<Done>[] = []
    for (const parents of this.#shape) {
      const running = Promise.all(parents.map((i) => done[i]!)).then((upstream) => this.#function(upstream))
      running.then(
        (one) => this.#stale.push(one),
        () => undefined,
      )
      done.push(running)
    }
    await this.#mixAttempts(done[0]!)
    const leaves = await Promise.all(leavesOf(this.#shape).map((i) => done[i]!))
    const all = await Promise.all(done)
    // Where the caller chose no id, the client made one.
    const { txn, mode } = all[0]!.execution.snapshot
    this.#work.remember({ txn, mode, contexts: this.#work.dice.some(all, 2) })
    const committing = [this.#commit(leaves)]
    // The message that asks for the commit is delivered twice.
    if (this.#work.dice.chance(0.15)) {
      this.#work.mischief['commit asked for twice']++
      committing.push(this.#commit(leaves))
    }
    const outcomes = await Promise.allSettled(committing)
    const first = outcomes.find((outcome) => outcome.status === 'fulfilled') ?? outcomes[0]!
    if (first.status === 'rejected') throw first.reason
    return first.value
  }

  /** A message of an earlier attempt comes late, and meets one of this attempt at a join: no node may join them. */
  async #mixAttempts(first: Promise<Done>): Promise<void> {
    const stale = this.#stale.at(-1)
    const executor = this.#work.executor()
    if (stale === undefined || executor === undefined) return
    const { execution, context } = await first
    if (execution.snapshot === stale.execution.snapshot) return
    const joined = await inside(executor, () => executor.virga.resume([context, stale.context])).catch(
      (error: unknown) => {
        if (isForeseen(error)) return undefined
        throw error
      },
    )
    if (joined !== undefined)
      throw new Error(`contexts of two attempts at ${execution.snapshot.txn} were joined`)
  }

  /** Tries at one function, from the same contexts. */
  async #function(upstream: readonly Done[]): Promise<Done> {
    const { cluster, dice } = this.#work
    for (let round = 1; ; round++) {
      const first = upstream.length === 0 ? this.#work.executor(this.#dag.on) : undefined
      const executor = first ?? this.#work.executor()
      if (executor !== undefined) {
        try {
          const done = await inside(executor, () => this.#try(executor, upstream))
          // The message that started the function is delivered once more, and nobody waits for what comes of it.
          if (dice.chance(0.05) && upstream.length > 0) {
            const other = this.#work.executor()
            if (other !== undefined) {
              this.#work.mischief['context delivered twice']++
              inside(other, () => this.#try(other, upstream)).catch(() => undefined)
            }
          }
          return done
        } catch (error) {
          if (!isForeseen(error) || round >= TRIES_MAX || (VirgaError.is(error) && !error.retryable))
            throw error
        }
      }
      await cluster.sleep(dice.wait(PAUSE_MS))
    }
  }

  async #try(executor: Executor, upstream: readonly Done[]): Promise<Done> {
    const tracked = await this.#enter(executor, upstream)
    try {
      await act(this.#work, executor, tracked, this.#dag)
      const context = await tracked.handoff(this.#work.dice.chance(this.#durable))
      return { execution: tracked.execution, context }
    } finally {
      await tracked.abort()
    }
  }

  async #enter(executor: Executor, upstream: readonly Done[]): Promise<Tracked> {
    const { recorder } = this.#work
    const node = executor.machine.name
    if (upstream.length > 0) {
      const onBranchConflict = this.#work.dice.chance(0.1) ? 'error' : 'latest'
      const tx = await executor.virga.resume(
        upstream.map(({ context }) => context),
        { onBranchConflict },
      )
      const from = upstream.map(({ execution }) => execution)
      return new Tracked(recorder, tx, recorder.execution(from[0]!.snapshot, node, from))
    }
    const { txn, keyed, ...dag } = this.#dag
    return begin(recorder, executor, { ...dag, txn: keyed ? txn : undefined })
  }

  /** Resumes what is last and commits: by hand, with a last function before it, or in one call. */
  async #commit(leaves: readonly Done[]): Promise<CommitReceipt> {
    const { dice, recorder } = this.#work
    const executor = this.#work.executor()
    if (executor === undefined) throw new VirgaError('NodeUnavailable', 'no executor is left')
    const node = executor.machine.name
    return inside(executor, async () => {
      if (dice.chance(0.5)) {
        const tracked = await this.#enter(executor, leaves)
        try {
          if (dice.chance(0.5)) await act(this.#work, executor, tracked, this.#dag)
          return await tracked.commit(dice.chance(0.8))
        } finally {
          await tracked.abort()
        }
      }
      const from = leaves.map(({ execution }) => execution)
      const execution = recorder.execution(from[0]!.snapshot, node, from)
      const result = `r${execution.number}`
      const call = recorder.commit(execution.snapshot.txn, node, [candidateOf(execution, result)])
      const contexts = leaves.map(({ context }) => context)
      return told(recorder, call, executor.virga.commit(contexts, { result }))
    })
  }
}
