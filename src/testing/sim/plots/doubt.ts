import { oneFunction } from '../workload/one-function.js'
import type { Stage } from './stage.js'

const BEGINS_MS_MAX = 20_000
const DECISIONS = 'decision/'

/**
 * A commit takes its effect and nobody is told; then decisions can't be read for so long that its client gives up. Each later attempt
 * fails for sure, and yet the transaction may have committed.
 */
export async function doubt(stage: Stage): Promise<void> {
  const [at] = await stage.machines()
  const { gates } = at!
  gates.swallow({ operation: 'compareAndSwap', bucket: DECISIONS })
  const held = gates.hold({ operation: 'compareAndSwap', bucket: DECISIONS }, 'before')
  let isReached = false
  void held.reached.then(() => {
    isReached = true
  })
  const txn = stage.work.newId(at!)
  const options = { txn, mode: 'read-atomic', writes: true, after: undefined } as const
  const running = oneFunction(stage.work, stage.executor(at!), options)
  let isOver = false
  const end = running.then(
    () => undefined,
    () => undefined,
  )
  void end.then(() => {
    isOver = true
  })
  await stage.soon(() => isReached || isOver, BEGINS_MS_MAX)
  gates.fail({ operation: 'get', bucket: DECISIONS })
  held.release()
  await stage.until(end)
}
