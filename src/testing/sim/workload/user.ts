import type { CommitReceipt } from '../../../client/transaction.js'
import { VirgaError } from '../../../errors.js'
import type { Dice } from '../dice.js'
import type { Executor, Machine } from '../machine.js'
import { candidateOf } from '../recorder.js'
import { ask } from './ask.js'
import { type Dag, DagRun } from './dag.js'
import { byHand, oneFunction } from './one-function.js'
import { Tracked, told } from './tracked.js'
import { FunctionFailed, inside, isForeseen, type Past, type Work } from './work.js'

const DOINGS = {
  function: 6,
  dag: 6,
  audit: 4,
  longAudit: 1,
  twins: 1.5,
  again: 1.5,
  late: 1,
  lateAtBoot: 0.7,
  ask: 1,
  cancel: 0.3,
  cancelled: 0.8,
  crowd: 0.5,
  forge: 0.3,
  relay: 0.5,
  peek: 2,
} as const
/** About as long as a function takes. */
const CANCEL_AFTER_MS = 50
const RELAY_LEGS_MAX = 15

/** Someone who has one thing done after the other, and remembers the last commit. */
export class User {
  /** What went wrong that no user should meet. */
  readonly surprises: string[] = []
  readonly #work: Work
  readonly #dice: Dice
  #last: { readonly txn: string; readonly token: string } | undefined

  constructor(work: Work) {
    this.#work = work
    this.#dice = work.dice
  }

  async live(isOver: () => boolean): Promise<void> {
    const { cluster } = this.#work
    while (!isOver()) {
      const doing = this.#dice.weighted(DOINGS)
      try {
        await this.#do(doing)
      } catch (error) {
        if (!isForeseen(error)) this.surprises.push(`${doing}: ${describe(error)}`)
      }
      await cluster.sleep(this.#dice.wait(cluster.plan.thinkMs))
    }
  }

  async #do(doing: keyof typeof DOINGS): Promise<void> {
    const executor = this.#work.executor()
    if (executor === undefined) return
    switch (doing) {
      case 'function':
        return this.#function(executor)
      case 'dag':
        return this.#dag(executor, true)
      case 'longAudit':
        return this.#dag(executor, false)
      case 'audit':
        await oneFunction(this.#work, executor, { ...this.#settings(), txn: undefined, writes: false })
        return
      case 'twins':
        return this.#twins(executor)
      case 'again':
        return this.#again(executor)
      case 'late':
        this.#work.mischief['context delivered late']++
        return this.#late(executor)
      case 'lateAtBoot':
        this.#work.mischief['context delivered to a node that just came up']++
        return this.#late(this.#work.executor(this.#work.cluster.lastUp) ?? executor)
      case 'ask':
        return this.#ask(executor, this.#pastOne())
      case 'cancel':
        return this.#cancel(executor, this.#pastOne())
      case 'cancelled':
        return this.#cancelled(executor)
      case 'crowd':
        return this.#crowd()
      case 'forge':
        return this.#forge(executor)
      case 'relay':
        return this.#relay(executor)
      case 'peek':
        return this.#peek(executor)
    }
  }

  async #function(executor: Executor): Promise<void> {
    const txn = this.#dice.chance(0.6) ? this.#work.newId(executor.machine) : undefined
    const settings = this.#settings()
    if (txn !== undefined) this.#work.remember({ txn, mode: settings.mode, contexts: [] })
    if (this.#dice.chance(0.3))
      this.#keep(await byHand(this.#work, executor, { ...settings, txn, writes: true }))
    else await oneFunction(this.#work, executor, { ...settings, txn, writes: true })
  }

  /** Some of what follows begins after it, wherever that is. */
  #keep({ id, session }: CommitReceipt): void {
    if (session !== undefined) this.#last = { txn: id, token: session }
  }

  async #dag(executor: Executor, writes: boolean): Promise<void> {
    const txn = this.#work.newId(executor.machine)
    const keyed = writes && this.#dice.chance(0.7)
    this.#keep(await new DagRun(this.#work, { ...this.#settings(), txn, writes, keyed }).run())
  }

  /** The same request comes to two nodes at once. */
  async #twins(executor: Executor): Promise<void> {
    const txn = this.#work.newId(executor.machine)
    const settings = { ...this.#settings(), txn, writes: true }
    this.#work.remember({ txn, mode: settings.mode, contexts: [] })
    const elsewhere = this.#work.cluster.machines.filter((machine) => machine !== executor.machine)
    const other = (elsewhere.length > 0 && this.#work.executor(this.#dice.pick(elsewhere))) || executor
    if (this.#dice.chance(0.4)) {
      this.#work.mischief['same DAG on two nodes at once']++
      return this.#twinDags(settings, [executor.machine, other.machine])
    }
    this.#work.mischief['same transaction on two nodes at once']++
    const both = await Promise.allSettled([
      oneFunction(this.#work, executor, settings),
      oneFunction(this.#work, other, settings),
    ])
    for (const one of both) if (one.status === 'rejected') throw one.reason
  }

  /** Two runs of one DAG: their functions meet on nodes, and one of their attempts commits. */
  async #twinDags(settings: Omit<Dag, 'keyed'>, roots: readonly Machine[]): Promise<void> {
    const runs = roots.map((on) => new DagRun(this.#work, { ...settings, keyed: true, on }).run())
    for (const one of await Promise.allSettled(runs)) if (one.status === 'rejected') throw one.reason
  }

  async #again(executor: Executor): Promise<void> {
    const past = this.#pastOne()
    if (past === undefined) return
    if (this.#dice.chance(0.3)) {
      this.#work.mischief['DAG again under an old id']++
      const { txn, mode } = past
      await new DagRun(this.#work, { txn, mode, writes: true, keyed: true, after: undefined }).run()
      return
    }
    this.#work.mischief['retry under an old id']++
    await oneFunction(this.#work, executor, {
      txn: past.txn,
      mode: past.mode,
      writes: true,
      after: undefined,
    })
  }

  /** A context is delivered long after others went on without it, or to a node that has never heard of it. */
  async #late(executor: Executor): Promise<void> {
    const past = this.#pastOne()
    if (past === undefined || past.contexts.length === 0) return
    const { recorder } = this.#work
    const { execution: from, context } = this.#dice.pick(past.contexts)
    await inside(executor, async () => {
      if (this.#dice.chance(0.5)) {
        const tx = await executor.virga.resume(context)
        const tracked = new Tracked(
          recorder,
          tx,
          recorder.execution(from.snapshot, executor.machine.name, [from]),
        )
        await tracked.getMany([this.#work.readKey(), this.#work.readKey()])
        await tracked.abort()
        return
      }
      const execution = recorder.execution(from.snapshot, executor.machine.name, [from])
      const result = `r${execution.number}`
      const call = recorder.commit(past.txn, executor.machine.name, [candidateOf(execution, result)])
      await told(recorder, call, executor.virga.commit(context, { result }))
    })
  }

  async #ask(executor: Executor, past: Past | undefined): Promise<void> {
    if (past === undefined) return
    const { session } = await ask(this.#work, executor, past.txn)
    if (session !== undefined) this.#last = { txn: past.txn, token: session }
  }

  /** A request is cancelled elsewhere while it is on its way. */
  async #cancelled(executor: Executor): Promise<void> {
    const txn = this.#work.newId(executor.machine)
    const settings = { ...this.#settings(), txn }
    this.#work.remember({ txn, mode: settings.mode, contexts: [] })
    const running = oneFunction(this.#work, executor, { ...settings, writes: true })
    running.catch(() => undefined)
    await this.#work.cluster.sleep(this.#dice.wait(CANCEL_AFTER_MS))
    await this.#cancel(this.#work.executor() ?? executor, { txn, mode: settings.mode, contexts: [] })
    await running
  }

  /** Many at once want to know what became of a transaction of just now, each at another node; then all go on with what they saw. */
  async #crowd(): Promise<void> {
    const past = this.#work.past.at(-1)
    if (past === undefined) return
    const executors = this.#work.cluster.machines.flatMap((machine) => this.#work.executor(machine) ?? [])
    const asking = executors.map(async (executor) => {
      await this.#ask(executor, past)
      await new DagRun(this.#work, { ...this.#settings(), txn: past.txn, writes: false, keyed: false }).run()
    })
    const all = await Promise.allSettled(asking)
    for (const one of all) if (one.status === 'rejected') throw one.reason
  }

  /** One after the other on one node, without a pause: each may have read what the one before wrote. */
  async #relay(executor: Executor): Promise<void> {
    const settings = { mode: 'read-atomic', txn: undefined, after: undefined, writes: true } as const
    for (let legs = this.#dice.between(5, RELAY_LEGS_MAX); legs > 0; legs--)
      await oneFunction(this.#work, executor, settings)
  }

  /** Someone changes a context on its way: no node may take it up. */
  async #forge(executor: Executor): Promise<void> {
    const past = this.#pastOne()
    if (past === undefined || past.contexts.length === 0) return
    const { context } = this.#dice.pick(past.contexts)
    // Anywhere, or in the code that authenticates it: then all that it says can be read.
    const at = this.#dice.chance(0.5)
      ? this.#dice.between(0, context.length - 2)
      : context.length - this.#dice.between(2, 40)
    const changed = `${context.slice(0, at)}${context[at] === 'A' ? 'B' : 'A'}${context.slice(at + 1)}`
    const taken = await inside(executor, () => executor.virga.resume(changed)).catch((error: unknown) => {
      if (VirgaError.is(error)) return undefined
      throw error
    })
    if (taken !== undefined) this.surprises.push(`a context of ${past.txn} that was changed was taken up`)
  }

  async #cancel(executor: Executor, past: Past | undefined): Promise<void> {
    if (past === undefined) return
    const askedAt = this.#work.recorder.log.count
    try {
      await inside(executor, () => executor.virga.cancel(past.txn))
      this.#work.recorder.say(past.txn, askedAt, 'cancelled', undefined)
    } catch (error) {
      if (VirgaError.is(error) && error.code === 'TransactionExpired')
        this.#work.recorder.say(past.txn, askedAt, 'expired', undefined)
      if (!VirgaError.is(error) || error.code !== 'AlreadyCommitted') throw error
      this.#work.recorder.say(past.txn, askedAt, 'not cancelled', undefined)
    }
  }

  /** One key, outside any transaction: what the node has newest. */
  async #peek(executor: Executor): Promise<void> {
    const { recorder } = this.#work
    const key = this.#work.readKey()
    const beganAt = recorder.log.count
    await inside(executor, async () => {
      const value = await executor.virga.get(key)
      const node = executor.machine.name
      const txn = `peek ${recorder.snapshots.length}`
      const begun = { txn, mode: 'read-atomic', keyed: false, node, beganAt, after: [] } as const
      const snapshot = recorder.snapshot(begun)
      recorder.read(recorder.execution(snapshot, node, []), key, valueTag(value))
    })
  }

  #settings() {
    const after = this.#dice.chance(0.3) ? this.#last : undefined
    return { mode: this.#work.mode(), after }
  }

  #pastOne(): Past | undefined {
    return this.#work.past.length === 0 ? undefined : this.#dice.pick(this.#work.past)
  }
}

function valueTag(value: unknown): string | null {
  return typeof value === 'string' ? value.split(' ', 1)[0]! : null
}

function describe(error: unknown): string {
  if (error instanceof FunctionFailed) return 'a function failed'
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
