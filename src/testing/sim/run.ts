import { VirgaError } from '../../errors.js'
import { countMarks, type Mark, stopCountingMarks } from '../../marks.js'
import { checkHistory } from '../checkers/check.js'
import { checkExported } from '../checkers/exported.js'
import type { History, Violation } from '../checkers/history.js'
import type { FaultKind } from '../faulty-storage.js'
import type { Traffic } from '../sim-network.js'
import { checkAftermath } from './aftermath.js'
import { checkCalm } from './calm.js'
import { MemoryWatch } from './memory-watch.js'
import { Nemesis } from './nemesis.js'
import type { Mishap, Plan } from './plan.js'
import { PLOTS } from './plots/all.js'
import { Stage } from './plots/stage.js'
import { SimCluster, type SimClusterOptions } from './sim-cluster.js'
import { User } from './workload/user.js'
import { Work } from './workload/work.js'

export interface RunOptions extends SimClusterOptions {
  /** Ends work and faults after so much simulated time, where the plan has more. */
  readonly chaosMsMax?: number | undefined
}

export interface RunReport {
  readonly seed: number
  readonly plan: Plan
  readonly violations: readonly Violation[]
  /** Equal for two runs of one seed. */
  readonly digest: string
  readonly simulatedMs: number
  readonly events: number
  readonly transactions: Work['counts']
  readonly mischief: Work['mischief']
  readonly mishaps: Readonly<Record<Mishap, number>>
  readonly storageFaults: Readonly<Record<FaultKind, number>>
  readonly traffic: Readonly<Traffic>
  readonly nodes: SimCluster['counts']
  /** Where nodes died at storage: before, during or after which operation on what. */
  readonly deaths: SimCluster['deaths']
  readonly decided: number
  /** What nodes counted. */
  readonly counters: Readonly<Record<string, number>>
  /** How often each branch of the protocols was taken, in all nodes and clients. */
  readonly marks: Readonly<Record<Mark, number>>
  /** How often callers of commits were told what. */
  readonly codes: Readonly<Record<string, number>>
  readonly log: readonly string[]
  /** What it was judged by. */
  readonly history: History
}

/** In which all that is under way when the faults stop comes to an end. */
const ENDING_MS_MAX = 180_000

/** One seed: a cluster, its users, its mishaps; then the faults stop, and it is judged. */
export async function runSeed(seed: number, options: RunOptions = {}): Promise<RunReport> {
  const cluster = new SimCluster(seed, options)
  const violations: Violation[] = []
  const onUnhandled = (reason: unknown): void => {
    violations.push({ rule: 'unhandled rejection', what: describe(reason) })
  }
  process.on('unhandledRejection', onUnhandled)
  const work = new Work(cluster)
  const nemesis = new Nemesis(cluster)
  const marks = countMarks()
  try {
    violations.push(...(await live(cluster, work, nemesis, options)))
  } catch (error) {
    violations.push({ rule: 'broke down', what: describe(error) })
  } finally {
    process.off('unhandledRejection', onUnhandled)
    stopCountingMarks()
  }
  const { witness, surprises, recorder } = cluster
  cluster.lookForPlaces()
  violations.push(
    ...witness.broken,
    ...surprises,
    ...checkCalm(cluster),
    ...checkHistory(recorder),
    ...checkExported(recorder),
  )
  return {
    seed,
    plan: cluster.plan,
    violations,
    digest: cluster.log.digest(),
    simulatedMs: cluster.clock.monotonic(),
    events: cluster.clock.events,
    transactions: work.counts,
    mischief: work.mischief,
    mishaps: nemesis.met,
    storageFaults: sumFaults(cluster),
    traffic: cluster.fabric.traffic,
    nodes: cluster.counts,
    deaths: cluster.deaths,
    decided: cluster.recorder.committed.size,
    counters: cluster.counters,
    marks: marks(),
    codes: countCodes(cluster),
    log: cluster.log.lines,
    history: cluster.recorder,
  }
}

async function live(
  cluster: SimCluster,
  work: Work,
  nemesis: Nemesis,
  options: RunOptions,
): Promise<Violation[]> {
  const { clock, plan, machines } = cluster
  for (const machine of machines) {
    machine.keepRunning()
    for (let i = 0; i < plan.executorsPerNode; i++) machine.addExecutor()
  }
  await clock.advance(1_000)
  const played = await play(cluster, work)
  const memory = new MemoryWatch(cluster)
  memory.start()
  let isOver = false
  const users = Array.from({ length: plan.users }, () => new User(work))
  const lives = users.map((user) => user.live(() => isOver))
  cluster.setCruel(true)
  nemesis.start()
  await clock.advance(Math.min(plan.chaosMs, options.chaosMsMax ?? plan.chaosMs))
  nemesis.stop()
  isOver = true
  cluster.setCruel(false)
  const stuck = await end(cluster, Promise.all(lives))
  memory.stop()
  const judged = stuck.length > 0 ? stuck : await checkAftermath(cluster, work)
  for (const machine of machines) {
    machine.exorcise()
    machine.crash()
  }
  await clock.advance(1)
  const surprises = users.flatMap((user) => user.surprises.map((what) => ({ rule: 'surprise', what })))
  return [...surprises, ...played, ...memory.found, ...judged]
}

/** Once the faults have stopped, whoever waits gets an answer. */
async function end({ clock }: SimCluster, lives: Promise<unknown>): Promise<Violation[]> {
  let isOver = false
  const over = lives.then(() => {
    isOver = true
  })
  try {
    await clock.until(over, ENDING_MS_MAX)
    return []
  } catch (error) {
    if (isOver || !VirgaError.is(error) || error.code !== 'Timeout') throw error
    const what = `users still wait, ${ENDING_MS_MAX} ms after the faults had stopped`
    return [{ rule: 'no progress', what }]
  }
}

async function play(cluster: SimCluster, work: Work): Promise<Violation[]> {
  const { plot } = cluster.plan
  if (plot === undefined) return []
  cluster.log.add(`plot: ${plot}`)
  const stage = new Stage(cluster, work)
  try {
    await PLOTS[plot].play(stage)
  } catch (error) {
    if (!VirgaError.is(error)) throw error
    stage.found.push({ rule: 'answers when calm', what: `in the plot ${plot}: ${describe(error)}` })
  } finally {
    stage.end()
  }
  cluster.log.add('the plot has ended')
  return stage.found
}

function sumFaults({ machines }: SimCluster): Record<FaultKind, number> {
  const out: Record<FaultKind, number> = { before: 0, after: 0, lost: 0, timeout: 0, partial: 0, latency: 0 }
  for (const { storage } of machines) {
    for (const [kind, count] of Object.entries(storage.faults.met)) out[kind as FaultKind] += count
  }
  return out
}

function countCodes({ recorder }: SimCluster): Record<string, number> {
  const out: Record<string, number> = {}
  for (const { outcome, code } of recorder.commits) {
    const name = code === undefined ? outcome : `${code} ${outcome}`
    out[name] = (out[name] ?? 0) + 1
  }
  return out
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
