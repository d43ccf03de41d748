import type { CommitReceipt, Transaction } from '../../../client/transaction.js'
import type { Consistency } from '../../../core/modes.js'
import { VirgaError } from '../../../errors.js'
import type { CommitCall, Execution, Mode, Tag } from '../../checkers/history.js'
import type { Executor } from '../machine.js'
import type { Recorder } from '../recorder.js'
import { candidateOf } from '../recorder.js'
import { tagIn } from '../witness.js'

/** A transaction as a function uses it, with all that it does and sees written down. */
export class Tracked {
  readonly execution: Execution
  readonly #tx: Transaction
  readonly #recorder: Recorder

  constructor(recorder: Recorder, tx: Transaction, execution: Execution) {
    this.#recorder = recorder
    this.#tx = tx
    this.execution = execution
    this.#noteAttempt()
  }

  async get(key: string): Promise<Tag> {
    const value = await this.#tx.get(key).catch((error: unknown) => this.#refused(error))
    this.#noteAttempt()
    return this.#saw(key, value)
  }

  async getMany(keys: readonly string[]): Promise<readonly Tag[]> {
    const values = await this.#tx.getMany(keys).catch((error: unknown) => this.#refused(error))
    this.#noteAttempt()
    return keys.map((key, i) => this.#saw(key, values[i]))
  }

  /** Writes a value of its own, of about so many bytes. */
  put(key: string, bytes: number): void {
    const tag = this.#recorder.newTag()
    this.#tx.put(key, bytes <= tag.length ? tag : `${tag} ${'.'.repeat(bytes - tag.length)}`)
    this.execution.writes.set(key, tag)
  }

  delete(key: string): void {
    this.#tx.delete(key)
    this.execution.writes.set(key, null)
  }

  async handoff(durable: boolean): Promise<string> {
    const { txn } = this.execution.snapshot
    this.#recorder.handoff(txn, durable)
    const context = await this.#tx.handoff({ durable })
    this.#recorder.handoff(txn, durable)
    this.#noteAttempt()
    this.#recorder.log.add(`e${this.execution.number} handed off`)
    return context
  }

  /** Commits with a result of its own. Whatever comes of it is written down. */
  async commit(withResult = true): Promise<CommitReceipt> {
    const { number, snapshot } = this.execution
    const result = withResult ? `r${number}` : undefined
    const candidate = candidateOf(this.execution, result)
    const call = this.#recorder.commit(snapshot.txn, this.execution.node, [candidate])
    return told(this.#recorder, call, this.#tx.commit({ result }))
  }

  async abort(): Promise<void> {
    await this.#tx.abort()
  }

  #refused(error: unknown): never {
    const { execution } = this
    const at = this.#recorder.log.count
    if (VirgaError.is(error)) this.#recorder.refusals.push({ at, execution, code: error.code })
    throw error
  }

  #saw(key: string, value: unknown): Tag {
    const tag = value === undefined ? null : (tagIn(value) ?? `strange ${typeof value}`)
    this.#recorder.read(this.execution, key, tag)
    return tag
  }

  #noteAttempt(): void {
    this.execution.snapshot.attempt ??= this.#tx.attempt
  }
}

export interface Beginning {
  /** Undefined: the client makes one. */
  readonly txn: string | undefined
  readonly mode: Mode
  /** The commit that it begins after, and its token. */
  readonly after: { readonly txn: string; readonly token: string } | undefined
}

export async function begin(
  recorder: Recorder,
  { virga, machine }: Executor,
  { txn, mode, after }: Beginning,
): Promise<Tracked> {
  const node = machine.name
  const beganAt = recorder.log.count
  const settings = { consistency: mode as Consistency, after: after?.token, id: txn }
  const tx = await virga.begin(settings).catch((error: unknown) => {
    if (txn !== undefined && VirgaError.is(error) && error.code === 'TransactionExpired')
      recorder.say(txn, beganAt, 'expired', undefined)
    throw error
  })
  const shown = after === undefined ? [] : [after.txn]
  const begun = { txn: tx.id, mode, keyed: txn !== undefined, node, beganAt, after: shown }
  return new Tracked(recorder, tx, recorder.execution(recorder.snapshot(begun), node, []))
}

/** Writes down what the caller of a commit is told. */
export async function told(
  recorder: Recorder,
  call: CommitCall,
  committing: Promise<CommitReceipt>,
): Promise<CommitReceipt> {
  try {
    const receipt = await committing
    recorder.tell(call, 'committed', { result: receipt.result })
    return receipt
  } catch (error) {
    tellFailure(recorder, call, error)
    throw error
  }
}

export function tellFailure(recorder: Recorder, call: CommitCall, error: unknown): void {
  if (!VirgaError.is(error)) throw error
  recorder.tell(call, error.outcome === 'definite' ? 'failed' : 'unknown', { code: error.code })
}
