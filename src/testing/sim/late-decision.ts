import { makeTxnId, TXN_ID_ENTROPY_BYTES, type TxnId } from '../../core/ids.js'
import { CLUSTER_CHECKPOINT, MINUTE_MS, minuteClosesAtMs, txnMinute } from '../../core/layout.js'
import { VirgaError } from '../../errors.js'
import { decodeMinute } from '../../wire/records.js'
import type { Executor, Machine } from './machine.js'
import type { SimCluster } from './sim-cluster.js'
import { Tracked } from './workload/tracked.js'
import type { Work } from './workload/work.js'

/** As long as a plan allows. */
const DEADLINE_MS = 120_000
/** Within its deadline, by all clocks. */
const UNDER_WAY_MS_MAX = 100_000
const CLOSING_MS_MAX = 60_000
const WAITS_MAX = 30
const STEP_MS = 5_000
/** Beyond the closing of every minute that is open, and not of ids that are remembered for a short while only. */
const LEAP_MS = 13 * MINUTE_MS
/** More than twice as long as anything may go on. */
const UNSEEN_MS = 300_000
/** A minute that is closed and empty is passed within some rounds of collection. Clients wait for longer. */
const PASSED_MS_MAX = 8_000
const PASSED_STEP_MS = 250

/**
 * A transaction under an old id has put a large value into storage, and its decision is on its way for long. Meanwhile the minute of
 * its id closes, and what nobody needs there is removed.
 */
export async function decideLate(cluster: SimCluster, work: Work): Promise<void> {
  const { clock, machines, plan } = cluster
  const machine = servingOf(cluster)
  if (machine === undefined || plan.forgets) return
  const checkpoint = (): Promise<number> => checkpointOf(cluster)
  const nowMs = (): number => clock.now() + Math.min(...machines.map(({ offsetMs }) => offsetMs))
  let minute = await checkpoint()
  // A minute is passed one minute after it has closed by all clocks.
  for (let waits = 0; minuteClosesAtMs(minute) + MINUTE_MS > nowMs() + CLOSING_MS_MAX; waits++) {
    if (waits === WAITS_MAX) return
    await clock.advance(STEP_MS)
    minute = await checkpoint()
  }
  const executor = machine.addExecutor()
  const id = makeTxnId(minute * MINUTE_MS, work.dice.random.bytes(TXN_ID_ENTROPY_BYTES))
  const tracked = await write(cluster, work, machine, executor, id)
  const held = machine.gates.hold({ operation: 'compareAndSwap', bucket: 'decision/' }, 'before')
  const committing = committed(tracked)
  const endMs = clock.monotonic() + UNDER_WAY_MS_MAX
  while ((await checkpoint()) <= minute && clock.monotonic() < endMs) await clock.advance(STEP_MS)
  held.release()
  await clock.until(committing)
  executor.life.die()
}

/**
 * The clocks of all machines leap while a large value, or a decision, is on its way: the minute of its id is passed, and nobody
 * looks there any more. When it has committed, its node dies at once.
 */
export async function decideOverALeap(cluster: SimCluster, work: Work): Promise<void> {
  const { clock, machines } = cluster
  const machine = servingOf(cluster)
  if (machine === undefined) return
  const executor = machine.addExecutor()
  const id = work.idOf(machine, 0)
  const tracked = await write(cluster, work, machine, executor, id)
  const isDecision = work.dice.chance(0.6)
  const held = machine.gates.hold(
    isDecision
      ? { operation: 'compareAndSwap', bucket: 'decision/' }
      : { operation: 'put', bucket: 'value/' },
    'before',
  )
  const committing = committed(tracked)
  let isOver = false
  void committing.then(() => {
    isOver = true
  })
  void held.reached.then(() => {
    for (const each of machines) each.offsetMs += LEAP_MS
  })
  const endMs = clock.monotonic() + PASSED_MS_MAX
  while ((await checkpointOf(cluster)) <= txnMinute(id as TxnId) && clock.monotonic() < endMs && !isOver)
    await clock.advance(PASSED_STEP_MS)
  held.release()
  await clock.until(committing)
  machine.crash()
}

/**
 * A node and its executor die with a decision on its way, which comes when nobody looks any more for what that node wrote: it is
 * found when the minute of its id is passed.
 */
export async function decideUnseen(cluster: SimCluster, work: Work): Promise<void> {
  const { clock } = cluster
  const machine = servingOf(cluster)
  if (machine === undefined) return
  const executor = machine.addExecutor()
  const tracked = await write(cluster, work, machine, executor, work.idOf(machine, 0))
  const held = machine.gates.hold({ operation: 'compareAndSwap', bucket: 'decision/' }, 'before')
  // It may be refused before.
  await clock.until(Promise.race([held.reached, committed(tracked)]))
  executor.life.die()
  machine.crash()
  await clock.advance(UNSEEN_MS)
  held.release()
}

function servingOf({ machines }: SimCluster): Machine | undefined {
  return machines.find(({ isRetired, node }) => !isRetired && node !== undefined)
}

async function checkpointOf({ witness }: SimCluster): Promise<number> {
  const [record] = await witness.get([CLUSTER_CHECKPOINT])
  return record === undefined ? 0 : decodeMinute(record)
}

/** A transaction that writes one large value. */
async function write(
  { clock, plan }: SimCluster,
  work: Work,
  machine: Machine,
  executor: Executor,
  id: string,
): Promise<Tracked> {
  const { recorder } = work
  const beganAt = recorder.log.count
  const tx = await clock.until(executor.virga.begin({ id, deadlineMs: DEADLINE_MS }))
  const node = machine.name
  const begun = { txn: tx.id, mode: 'read-atomic', keyed: true, node, beganAt, after: [] } as const
  const tracked = new Tracked(recorder, tx, recorder.execution(recorder.snapshot(begun), node, []))
  tracked.put(work.writeKey('read-atomic'), plan.inlineBytes * 3)
  return tracked
}

async function committed(tracked: Tracked): Promise<void> {
  try {
    await tracked.commit(false)
  } catch (error) {
    // Its client may not wait for so long.
    if (!VirgaError.is(error)) throw error
  }
}
