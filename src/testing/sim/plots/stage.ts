import { VirgaError } from '../../../errors.js'
import type { Mode, Tag, Violation } from '../../checkers/history.js'
import type { Dice } from '../dice.js'
import type { Executor, Machine } from '../machine.js'
import type { SimCluster } from '../sim-cluster.js'
import { Tracked } from '../workload/tracked.js'
import type { Work } from '../workload/work.js'

/** As long as a plan allows. */
const DEADLINE_MS = 120_000
const LOOK_EVERY_MS = 50
const STARTS_MS_MAX = 30_000

export interface Beginning {
  readonly mode?: Mode
  readonly txn?: string
  /** Reads all from its node, nothing from the view. */
  readonly isBlind?: boolean
}

/** What a plot plays with: one cluster that nothing else befalls, and whatever is done on it written down. */
export class Stage {
  readonly cluster: SimCluster
  readonly work: Work
  readonly dice: Dice
  /** What is wrong whatever the history says. */
  readonly found: Violation[] = []
  readonly #executors = new Map<string, Executor>()

  constructor(cluster: SimCluster, work: Work) {
    this.cluster = cluster
    this.work = work
    this.dice = cluster.dice.fork()
  }

  /** Machines in any order, all of which serve. */
  async machines(): Promise<readonly Machine[]> {
    const { machines } = this.cluster
    await this.soon(() => machines.every(({ node }) => node !== undefined), STARTS_MS_MAX)
    return this.dice.shuffle(machines)
  }

  get ttlMs(): number {
    return this.cluster.plan.config.leaseTtlMs!
  }

  /** In which what every snapshot sees is collected for sure, as long as nothing is in the way. */
  get collectedMs(): number {
    const { collectEveryMs } = this.cluster.plan.config
    return 4_000 + 2 * this.ttlMs + 4 * collectEveryMs!
  }

  /** Of a value that lies apart from its decision, where a node may hold one at all. */
  get largeBytes(): number {
    const { inlineBytes, config } = this.cluster.plan
    return Math.min(inlineBytes + 100, config.heldBytesMax! / 2)
  }

  /** Keys that one mode writes, the same ones each time. */
  keys(mode: Mode, count: number): readonly string[] {
    const group = mode === 'parallel-snapshot' ? 'p' : 'a'
    return Array.from({ length: count }, (_, i) => `${group}/cold/${i + 1}`)
  }

  sleep(ms: number): Promise<void> {
    return this.cluster.clock.advance(ms)
  }

  until<T>(promise: Promise<T>): Promise<T> {
    return this.cluster.clock.until(promise)
  }

  /** Waits until something is so. False: it was not within that time. */
  async soon(isSo: () => boolean, msMax: number): Promise<boolean> {
    const { clock } = this.cluster
    const endMs = clock.monotonic() + msMax
    while (!isSo()) {
      if (clock.monotonic() >= endMs) return false
      await clock.advance(LOOK_EVERY_MS)
    }
    return true
  }

  /** Waits until a transaction has become the base of some key. */
  collected(txn: string, msMax = this.collectedMs): Promise<boolean> {
    return this.soon(() => this.isCollected(txn), msMax)
  }

  isCollected(txn: string): boolean {
    return this.cluster.recorder.raised.some((base) => base.txn === txn)
  }

  /** What may fail: undefined if it does. */
  async may<T>(promise: Promise<T>): Promise<T | undefined> {
    try {
      return await this.until(promise)
    } catch (error) {
      if (VirgaError.is(error)) return undefined
      throw error
    }
  }

  /** What nothing is in the way of. */
  async must<T>(what: string, promise: Promise<T>): Promise<T | undefined> {
    try {
      return await this.until(promise)
    } catch (error) {
      if (!VirgaError.is(error)) throw error
      this.found.push({
        rule: 'answers when calm',
        what: `${what} was refused: ${error.code}, ${error.message}`,
      })
      return undefined
    }
  }

  executor(on: Machine, isBlind = false): Executor {
    const name = `${on.name}${isBlind ? ' blind' : ''}`
    const known = this.#executors.get(name)
    if (known?.life.isAlive) return known
    const made = on.addExecutor(isBlind)
    this.#executors.set(name, made)
    return made
  }

  async begin(on: Machine, { mode = 'read-atomic', txn, isBlind = false }: Beginning = {}): Promise<Tracked> {
    const { recorder } = this.cluster
    const beganAt = recorder.log.count
    const { virga } = this.executor(on, isBlind)
    const beginning = virga.begin({ id: txn, consistency: mode as 'read-atomic', deadlineMs: DEADLINE_MS })
    const tx = await this.until(beginning)
    const begun = { txn: tx.id, mode, keyed: txn !== undefined, node: on.name, beganAt, after: [] }
    return new Tracked(recorder, tx, recorder.execution(recorder.snapshot(begun), on.name, []))
  }

  /** Goes on from a context. Undefined: it is refused. */
  async resume(on: Machine, from: Tracked, context: string, isBlind = false): Promise<Tracked | undefined> {
    const { recorder } = this.cluster
    const tx = await this.may(this.executor(on, isBlind).virga.resume(context))
    if (tx === undefined) return undefined
    const { execution } = from
    return new Tracked(recorder, tx, recorder.execution(execution.snapshot, on.name, [execution]))
  }

  /** One transaction that reads keys and overwrites them. Returns its id; it is an error of the plot if it fails. */
  async write(on: Machine, keys: readonly string[], mode: Mode = 'read-atomic', bytes = 0): Promise<string> {
    const { counts } = this.work
    counts.transactions++
    const tracked = await this.begin(on, { mode })
    await this.until(tracked.getMany(keys))
    for (const key of keys) tracked.put(key, bytes)
    const { id } = await this.until(tracked.commit(false))
    counts.committed++
    return id
  }

  /** One that claims its keys, and then finds itself cancelled. */
  async writeInVain(on: Machine, keys: readonly string[], mode: Mode): Promise<void> {
    const tracked = await this.begin(on, { mode })
    await this.may(tracked.getMany(keys))
    for (const key of keys) tracked.put(key, 0)
    await this.cancel(on, tracked.execution.snapshot.txn)
    await this.may(tracked.commit(false))
  }

  /** Of one that has not committed. */
  async cancel(on: Machine, txn: string): Promise<void> {
    const { recorder } = this.cluster
    const askedAt = recorder.log.count
    await this.until(this.executor(on).virga.cancel(txn))
    recorder.say(txn, askedAt, 'cancelled', undefined)
  }

  /** What a new snapshot of a node sees. */
  async audit(on: Machine, keys: readonly string[]): Promise<readonly Tag[] | undefined> {
    const { counts } = this.work
    counts.transactions++
    const tracked = await this.begin(on)
    const tags = await this.may(tracked.getMany(keys))
    await this.may(tracked.abort())
    counts[tags === undefined ? 'failed' : 'committed']++
    return tags
  }

  /** The node is started anew, and answers: nothing of it is cached. */
  async restart(machine: Machine): Promise<void> {
    const before = machine.node
    machine.crash()
    await this.soon(() => machine.node !== undefined && machine.node !== before, STARTS_MS_MAX)
    await this.#isFound(machine)
    await this.sleep(1_000)
  }

  /** Waits until an executor there has found the node, which was started anew. */
  async #isFound(machine: Machine): Promise<void> {
    const { clock } = this.cluster
    const { virga } = this.executor(machine)
    const endMs = clock.monotonic() + STARTS_MS_MAX
    while (clock.monotonic() < endMs) {
      if ((await this.may(virga.inspect())) !== undefined) return
      await clock.advance(LOOK_EVERY_MS)
    }
  }

  isolate(machine: Machine): void {
    const { fabric, machines } = this.cluster
    fabric.partBoth(
      [machine.name],
      machines.filter((other) => other !== machine).map(({ name }) => name),
    )
  }

  /** Undoes what a plot has done, and lets its executors die. */
  end(): void {
    const { fabric, machines } = this.cluster
    fabric.heal()
    for (const machine of machines) machine.mend()
    for (const { life } of this.#executors.values()) life.die()
  }
}
