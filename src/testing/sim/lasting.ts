import type { Violation } from '../checkers/history.js'
import type { Executor, Machine } from './machine.js'
import type { SimCluster } from './sim-cluster.js'
import { Tracked } from './workload/tracked.js'
import type { Work } from './workload/work.js'

const KEYS = 4
/** Until what the snapshot does not see would have been collected, were it not pinned. */
const COLLECTED_MS = 6_000
/** As long as a plan allows. */
const DEADLINE_MS = 120_000
/** Tries to take a context up: nodes that have just started may have to look for what it needs. */
const TRIES_MAX = 20
const PAUSE_MS = 1_000

/** A function that handed off durably, and what it had read. */
export interface Lasting {
  readonly tracked: Tracked
  readonly context: string
  readonly keys: readonly string[]
}

/**
 * A durable context survives the crash of every node: one is made, what it read is overwritten and would be collected.
 * Undefined: nobody is there to make one.
 */
export async function handOffToLast({ clock }: SimCluster, work: Work): Promise<Lasting | undefined> {
  const executor = executorOf(work)
  if (executor === undefined) return undefined
  const keys = Array.from({ length: KEYS }, () => work.writeKey('read-atomic'))
  const { recorder } = work
  const begin = async (): Promise<Tracked> => {
    const beganAt = recorder.log.count
    const tx = await executor.virga.begin({ deadlineMs: DEADLINE_MS })
    const node = executor.machine.name
    const begun = { txn: tx.id, mode: 'read-atomic', keyed: false, node, beganAt, after: [] } as const
    return new Tracked(recorder, tx, recorder.execution(recorder.snapshot(begun), node, []))
  }
  const tracked = await clock.until(begin())
  await clock.until(tracked.getMany(keys))
  tracked.put(keys[0]!, 0)
  const context = await clock.until(tracked.handoff(true))
  const after = await clock.until(begin())
  for (const key of keys) after.put(key, 0)
  await clock.until(after.commit(false))
  await clock.advance(COLLECTED_MS)
  return { tracked, context, keys }
}

/** Takes it up where all that was in memory is gone, reads what it read, and commits. */
export async function takeUp(
  { clock }: SimCluster,
  work: Work,
  lasting: Lasting,
): Promise<readonly Violation[]> {
  const { recorder } = work
  const { execution } = lasting.tracked
  await clock.advance(COLLECTED_MS)
  let trouble = 'nobody was there to take it up'
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const executor = executorOf(work)
    try {
      if (executor !== undefined) {
        const tx = await clock.until(executor.virga.resume(lasting.context))
        const node = executor.machine.name
        const tracked = new Tracked(recorder, tx, recorder.execution(execution.snapshot, node, [execution]))
        await clock.until(tracked.getMany(lasting.keys))
        await clock.until(tracked.commit(false))
        return []
      }
    } catch (error) {
      trouble = error instanceof Error ? error.message : String(error)
    }
    await clock.advance(PAUSE_MS)
  }
  return [{ rule: 'I5 durable contexts', what: `${execution.snapshot.txn} can not go on: ${trouble}` }]
}

function executorOf(work: Work): Executor | undefined {
  const machine: Machine | undefined = work.cluster.machines.find(({ isRetired }) => !isRetired)
  return machine && (machine.executors[0] ?? machine.addExecutor())
}
