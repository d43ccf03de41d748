import type { TransactionStatus } from '../../../client/virga.js'
import type { Executor } from '../machine.js'
import { inside, type Work } from './work.js'

/** Asks what became of a transaction, and writes down what is said. */
export async function ask({ recorder }: Work, executor: Executor, txn: string): Promise<TransactionStatus> {
  const askedAt = recorder.log.count
  const said = await inside(executor, () => executor.virga.status(txn))
  recorder.say(txn, askedAt, said.status, said.result)
  return said
}
