import type { CommitReceipt, Transaction } from '../../../client/transaction.js'
import type { Consistency } from '../../../core/modes.js'
import { VirgaError } from '../../../errors.js'
import type { CommitCall } from '../../checkers/history.js'
import type { Executor } from '../machine.js'
import { candidateOf } from '../recorder.js'
import { act } from './functions.js'
import { type Beginning, begin, Tracked, tellFailure } from './tracked.js'
import { inside, type Work } from './work.js'

export interface OneFunction extends Beginning {
  readonly writes: boolean
}

/** One function as one transaction, begun and committed by hand: so its caller gets a token. It is tried once. */
export async function byHand(work: Work, executor: Executor, options: OneFunction): Promise<CommitReceipt> {
  const { recorder, counts } = work
  counts.transactions++
  try {
    const receipt = await inside(executor, async () => {
      const tracked = await begin(recorder, executor, options)
      try {
        await act(work, executor, tracked, options)
        return await tracked.commit(work.dice.chance(0.8))
      } finally {
        await tracked.abort()
      }
    })
    counts.committed++
    return receipt
  } catch (error) {
    counts[VirgaError.is(error) && error.outcome === 'indefinite' ? 'unknown' : 'failed']++
    throw error
  }
}

/** One function as one transaction, tried again by the client. What its caller was told is written down. */
export async function oneFunction(
  work: Work,
  executor: Executor,
  options: OneFunction,
): Promise<CommitCall | undefined> {
  const { recorder } = work
  const { txn, mode, after } = options
  const node = executor.machine.name
  const calledAt = recorder.log.count
  let call = txn === undefined ? undefined : recorder.commit(txn, node, [])
  let beganAt = recorder.log.count
  const attempt = async (tx: Transaction): Promise<string> => {
    if (txn !== undefined) recorder.ran.push({ txn: tx.id, calledAt })
    call ??= recorder.commit(tx.id, node, [])
    const shown = after === undefined ? [] : [after.txn]
    const keyed = txn !== undefined
    const snapshot = recorder.snapshot({ txn: tx.id, mode, keyed, node, beganAt, after: shown })
    const execution = recorder.execution(snapshot, node, [])
    const tracked = new Tracked(recorder, tx, execution)
    try {
      await act(work, executor, tracked, options)
    } finally {
      beganAt = recorder.log.count
    }
    const said = `r${execution.number}`
    call.candidates.push(candidateOf(execution, txn === undefined ? undefined : said, said))
    return said
  }
  const settings = { id: txn, consistency: mode as Consistency, after: after?.token }
  work.counts.transactions++
  try {
    const result = await inside(executor, () => executor.virga.transaction(attempt, settings))
    if (call !== undefined) recorder.tell(call, 'committed', { result })
    work.counts.committed++
    return call
  } catch (error) {
    if (call === undefined) throw error
    if (VirgaError.is(error)) tellFailure(recorder, call, error)
    // The function's own failure tells nothing of earlier attempts that were lost sight of.
    else if (call.candidates.length === 0) recorder.tell(call, 'failed', { code: 'its own' })
    work.counts[call.outcome === 'failed' ? 'failed' : 'unknown']++
    throw error
  }
}
