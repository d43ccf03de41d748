import { makeTxnId, TXN_ID_ENTROPY_BYTES } from '../../src/core/ids.js'
import { seededRandom } from '../../src/testing/sim-clock.js'
import { Cluster } from './cluster-in-process.js'
import { describePlan, type Plan, Striker } from './strikes.js'
import { keysOf, type Told, type Workload, writePair } from './workloads.js'

/** What a node does by itself now and then stays in the background: here it is the commit that is struck. */
const CONFIG = {
  deadlineMs: 120_000,
  inlineWriteSetBytesMax: 1_024,
  leaseTtlMs: 120_000,
  collectEveryMs: 20_000,
  heartbeatMs: 10_000,
}
const READ_EVERY_MS = 50
const READ_EVERY_MS_LATER = 1_000
/** Every late effect and every resolution has come to its end by then. */
const SETTLE_MS = 45_000

export interface SweepRun {
  /** Storage operations of the node, from the workload's begin to its end. */
  readonly calls: number
}

/**
 * Runs a workload while a plan of strikes goes on, with a reader beside it and a node that is started again whenever it
 * died. Then heals everything, starts a node afresh on what storage holds, and compares that with what callers were told
 * (I1 to I6, as far as one node goes). Throws with the plan in the message.
 */
export async function sweep(workload: Workload, plan: Plan): Promise<SweepRun> {
  const cluster = new Cluster(1)
  const striker = new Striker(cluster, plan)
  try {
    return await run(cluster, striker, workload)
  } catch (cause) {
    const what = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`${workload.name}: ${describePlan(plan) || 'nothing strikes'}: ${what}`, { cause })
  } finally {
    striker.disarm()
    await cluster.close()
  }
}

async function run(cluster: Cluster, striker: Striker, workload: Workload): Promise<SweepRun> {
  const { clock } = cluster
  const supervising = cluster.supervise(CONFIG, striker.onCall)
  const entropy = seededRandom(7)
  let tokens = 0
  const tools = {
    virga: cluster.client(),
    other: cluster.client(),
    id: (agoMs = 0) => makeTxnId(clock.now() - agoMs, entropy.bytes(TXN_ID_ENTROPY_BYTES)),
    token: () => `token ${++tokens}`,
  }
  await cluster.until(Promise.all([tools.virga.up(), tools.other.up()]))
  const reader = new Reader(cluster)
  const reading = reader.start()
  striker.arm()
  const told = await cluster.until(workload.run(tools))
  const { calls } = striker
  striker.disarm()
  reader.slowDown()
  await clock.advance(SETTLE_MS)
  reader.stop()
  await cluster.until(reading)
  const live = await cluster.until(tools.virga.transaction((tx) => tx.getMany<string>(keysOf('p'))))
  await cluster.crash()
  await clock.advance(1_000)
  const values = await check(cluster, told, reader)
  // What the node that lived through it all has come to know is what storage holds, late outcomes included.
  if (String(live) !== String(values))
    throw new Error(`the node showed ${live} where storage holds ${values}`)
  await checkRetries(cluster, told, tools.token)
  if (cluster.witness.broken.length > 0) throw new Error(cluster.witness.broken.join('; '))
  if (cluster.logged.length > 0) throw new Error(`logged: ${cluster.logged.join('; ')}`)
  void supervising
  return { calls }
}

/** What a caller sees beside the work: pairs that are whole (I1, I2), and never go back to nothing (I7). */
class Reader {
  readonly seen = new Set<string>()
  readonly #cluster: Cluster
  #stopped = false
  #everyMs = READ_EVERY_MS

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  slowDown(): void {
    this.#everyMs = READ_EVERY_MS_LATER
  }

  stop(): void {
    this.#stopped = true
  }

  async start(): Promise<void> {
    const virga = this.#cluster.client()
    while (!this.#stopped) {
      const values = await virga.transaction((tx) => tx.getMany<string>(keysOf('p'))).catch(() => undefined)
      if (values !== undefined) this.#look(values)
      await new Promise<void>((resolve) => this.#cluster.clock.timer(this.#everyMs, resolve))
    }
  }

  #look([x, y]: readonly (string | undefined)[]): void {
    if (x !== y) throw new Error(`a reader saw ${x} and ${y}`)
    if (x === undefined && this.seen.size > 0) throw new Error('a reader saw something, and then nothing')
    if (x !== undefined) this.seen.add(x.replaceAll('.', ''))
  }
}

async function check(cluster: Cluster, told: readonly Told[], reader: Reader): Promise<unknown> {
  const virga = cluster.client()
  const values = await cluster.until(virga.transaction((tx) => tx.getMany<string>(keysOf('p'))))
  const [x, y] = values.map((value) => value?.replaceAll('.', ''))
  if (x !== y) throw new Error(`storage holds ${x} and ${y}`)
  const results = new Map<string, Set<unknown>>()
  for (const one of told) {
    const status = one.id === '' ? undefined : await cluster.until(virga.status(one.id))
    const tale = `${one.id || 'a transaction'} was told ${one.outcome} (${String(one.error)}), and is ${status?.status}`
    if (one.outcome === 'committed') {
      if (status !== undefined && status.status !== 'committed') throw new Error(tale)
      if (status !== undefined && status.result !== one.result)
        throw new Error(`${tale} with ${String(status.result)} where ${String(one.result)} was told`)
      const of = results.get(one.id) ?? new Set()
      results.set(one.id, of.add(one.result))
    }
    const others = told.some((other) => other.id === one.id && other.outcome !== 'surely not')
    if (one.outcome === 'surely not' && !others) {
      if (status?.status === 'committed') throw new Error(tale)
      if (told.length === 1 && x !== undefined) throw new Error(`${tale}, and ${x} is visible`)
    }
  }
  for (const [id, of] of results) if (of.size > 1) throw new Error(`${id} has results ${[...of].join(', ')}`)
  checkVisible(cluster, told, x, reader)
  return values
}

function checkVisible(
  cluster: Cluster,
  told: readonly Told[],
  now: string | undefined,
  reader: Reader,
): void {
  const acknowledged = told.filter(({ outcome }) => outcome === 'committed').map(({ result }) => result)
  if (acknowledged.length > 0 && now === undefined) throw new Error('an acknowledged commit is gone')
  const ids = new Set(told.map(({ id }) => id))
  if (ids.size === 1 && acknowledged.length > 0 && now !== acknowledged[0])
    throw new Error(`${now} is visible where ${String(acknowledged[0])} was acknowledged`)
  // Each id commits once: so many different values may have been seen, and no more (I4, I6).
  const values = new Set([...reader.seen, ...(now === undefined ? [] : [now])])
  if (values.size > ids.size)
    throw new Error(`values of ${ids.size} ids were seen: ${[...values].join(', ')}`)
  if (values.size > cluster.witness.committed.size) throw new Error('more was seen than was committed')
}

/** A retry of an id gets what was acknowledged, or what turns out to stand; afterwards exactly one execution counts. */
async function checkRetries(cluster: Cluster, told: readonly Told[], token: () => string): Promise<void> {
  const virga = cluster.client()
  for (const id of new Set(told.map((one) => one.id))) {
    if (id === '') continue
    const status = await cluster.until(virga.status(id))
    if (status.status === 'aborted') continue
    const result = await cluster.until(writePair({ virga, token }, id, 'p'))
    if (status.status === 'committed' && result !== status.result)
      throw new Error(`a retry of ${id} got ${result} where ${String(status.result)} stood`)
    const again = await cluster.until(virga.status(id))
    if (again.status !== 'committed' || again.result !== result)
      throw new Error(`${id} changed after a retry`)
  }
}
