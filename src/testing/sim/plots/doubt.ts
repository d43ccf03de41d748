import { oneFunction } from '../workload/one-function.js'
import { isForeseen } from '../workload/work.js'
import type { Stage } from './stage.js'

const BEGINS_MS_MAX = 20_000
const DECISIONS = 'decision/'

/**
 * Nobody is told what came of a commit. It took its effect, and decisions can't be read for so long that its client gives up: each
 * later attempt fails for sure, and yet the transaction may have committed. Or it did not, and the transaction is cancelled.
 */
export async function doubt(stage: Stage): Promise<void> {
  const [at, other] = await stage.machines()
  const { gates } = at!
  const swap = { operation: 'compareAndSwap', bucket: DECISIONS } as const
  const isCancelled = other !== undefined && stage.dice.chance(0.4)
  const held = gates.hold(swap, 'before')
  const lost = isCancelled ? gates.lose(swap) : gates.swallow(swap)
  let isReached = false
  void held.reached.then(() => {
    isReached = true
  })
  // A new one: what is too old can't be cancelled.
  const txn = stage.work.idOf(at!, 0)
  const options = { txn, mode: 'read-atomic', writes: true, after: undefined } as const
  const running = oneFunction(stage.work, stage.executor(at!), options)
  let isOver = false
  const end = running.then(
    () => undefined,
    (error: unknown) => {
      if (!isForeseen(error)) throw error
    },
  )
  const over = (): void => {
    isOver = true
  }
  end.then(over, over)
  await stage.soon(() => isReached || isOver, BEGINS_MS_MAX)
  const away = gates.fail({ operation: 'get', bucket: DECISIONS })
  held.release()
  if (isCancelled) {
    await stage.cancel(other, txn)
    away()
    lost()
  }
  await stage.until(end)
}
