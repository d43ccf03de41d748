import { makeTxnId, TXN_ID_ENTROPY_BYTES } from '../../core/ids.js'
import { CLUSTER_CHECKPOINT, MINUTE_MS, minuteClosesAtMs } from '../../core/layout.js'
import { VirgaError } from '../../errors.js'
import { decodeMinute } from '../../wire/records.js'
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

/**
 * A transaction under an old id has put a large value into storage, and its decision is on its way for long. Meanwhile the minute of
 * its id closes, and what nobody needs there is removed.
 */
export async function decideLate(cluster: SimCluster, work: Work): Promise<void> {
  const { clock, machines, plan, witness } = cluster
  const machine = machines.find(({ isRetired, node }) => !isRetired && node !== undefined)
  if (machine === undefined || plan.forgets) return
  const checkpoint = async (): Promise<number> => {
    const [record] = await witness.get([CLUSTER_CHECKPOINT])
    return record === undefined ? 0 : decodeMinute(record)
  }
  const nowMs = (): number => clock.now() + Math.min(...machines.map(({ offsetMs }) => offsetMs))
  let minute = await checkpoint()
  // A minute is passed one minute after it has closed by all clocks.
  for (let waits = 0; minuteClosesAtMs(minute) + MINUTE_MS > nowMs() + CLOSING_MS_MAX; waits++) {
    if (waits === WAITS_MAX) return
    await clock.advance(STEP_MS)
    minute = await checkpoint()
  }
  const { recorder } = work
  const executor = machine.addExecutor()
  const beganAt = recorder.log.count
  const id = makeTxnId(minute * MINUTE_MS, work.dice.random.bytes(TXN_ID_ENTROPY_BYTES))
  const tx = await clock.until(executor.virga.begin({ id, deadlineMs: DEADLINE_MS }))
  const node = machine.name
  const begun = { txn: tx.id, mode: 'read-atomic', keyed: true, node, beganAt, after: [] } as const
  const tracked = new Tracked(recorder, tx, recorder.execution(recorder.snapshot(begun), node, []))
  tracked.put(work.writeKey('read-atomic'), plan.inlineBytes * 3)
  const held = machine.gates.hold({ operation: 'compareAndSwap', bucket: 'decision/' }, 'before')
  const committing = tracked.commit(false).catch((error: unknown) => {
    // Its client does not wait for so long.
    if (!VirgaError.is(error)) throw error
  })
  const endMs = clock.monotonic() + UNDER_WAY_MS_MAX
  while ((await checkpoint()) <= minute && clock.monotonic() < endMs) await clock.advance(STEP_MS)
  held.release()
  await clock.until(committing)
  executor.life.die()
}
