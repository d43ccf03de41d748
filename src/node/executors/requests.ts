import { type Commit, isCommit } from '../../core/decision.js'
import { hlcAt } from '../../core/hlc.js'
import { attemptCeiling, type TxnId } from '../../core/ids.js'
import { checkKey } from '../../core/keys.js'
import { WriteSetBuilder } from '../../core/write-set.js'
import { VirgaError } from '../../errors.js'
import { limitExceeded } from '../../limits.js'
import { mark } from '../../marks.js'
import type { Reply, Request, RequestOf } from '../../wire/messages.js'
import type { Committed, Coordinator } from '../committing/coordinator.js'
import type { Handoffs } from '../contexts/handoffs.js'
import type { Inspection } from '../inspection.js'
import type { Reads } from '../reading/reads.js'
import type { Adoption } from '../sharing/adoption.js'
import type { NodeState } from '../state.js'
import type { View } from '../view/view.js'
import { committedReply } from './replies.js'
import type { Session } from './session.js'
import type { OpenTransaction } from './transaction.js'
import type { Transactions } from './transactions.js'

type Answer = Reply | Promise<Reply>

/** What waits for its turn. Sessions see to `hello` and `bye`; `passed` counts from when it comes. */
export type Queued = Exclude<Request, { type: 'hello' | 'bye' | 'passed' }>

export interface RequestParts {
  readonly transactions: Transactions
  readonly reads: Reads
  readonly coordinator: Coordinator
  readonly handoffs: Handoffs
  readonly adoption: Adoption
  readonly view: View
  /** A transaction ended without a decision: nobody will ask for anything of it. */
  readonly onEnded: (txn: TxnId) => void
  readonly inspect: () => Inspection
}

/** What each request of an executor does. Answers at once where nothing has to be waited for. */
export class Requests {
  readonly #state: NodeState
  readonly #transactions: Transactions
  readonly #reads: Reads
  readonly #coordinator: Coordinator
  readonly #handoffs: Handoffs
  readonly #adoption: Adoption
  readonly #view: View
  readonly #onEnded: (txn: TxnId) => void
  readonly #inspect: () => Inspection
  /** Commits and handoffs that are under way: a stopping node waits for them. */
  #deciding = 0

  constructor(state: NodeState, parts: RequestParts) {
    this.#state = state
    this.#transactions = parts.transactions
    this.#reads = parts.reads
    this.#coordinator = parts.coordinator
    this.#handoffs = parts.handoffs
    this.#adoption = parts.adoption
    this.#view = parts.view
    this.#onEnded = parts.onEnded
    this.#inspect = parts.inspect
  }

  get deciding(): number {
    return this.#deciding
  }

  /** Throws, or rejects with, what the executor is told instead of an answer. */
  answer(session: Session, request: Queued): Answer {
    switch (request.type) {
      case 'begin':
        return this.#transactions.begin(session, request)
      case 'read':
        return this.#read(session, request)
      case 'spill':
        return this.#with(session, request, (transaction) => this.#spill(session, request, transaction))
      case 'commit':
        return this.#with(session, request, (transaction) => this.#commit(session, request, transaction))
      case 'end':
        this.#transactions.end(session, request.handle)
        return done(request)
      case 'handoff':
        return this.#with(session, request, (transaction) => this.#handoff(session, request, transaction))
      case 'resume':
        return this.#transactions.resume(session, request)
      case 'status':
        return this.#status(request)
      case 'cancel':
        return this.#cancel(request)
      case 'resolve':
        return this.#resolve(request)
      case 'ping':
        return done(request)
      case 'inspect':
        return { type: 'inspected', request: request.request, ...this.#inspect() }
      case 'attach':
        return this.#attach(session, request)
      case 'detach':
        this.#view.detach(session)
        return done(request)
      case 'used':
        this.#state.counters.viewReads += request.reads
        this.#view.used(request.keys)
        return done(request)
    }
  }

  #with(
    session: Session,
    request: { readonly handle: number },
    run: (transaction: OpenTransaction) => Answer,
  ): Answer {
    const transaction = this.#transactions.of(session, request.handle)
    if (!(transaction instanceof Promise)) return run(transaction)
    const { life } = session
    // Looked at in the turn of each: of several that wait for one begin, one before may have ended it, or failed.
    return transaction.then((begun) => {
      if (session.life !== life) throw new VirgaError('SessionLost', 'the session has ended')
      this.#transactions.checkFailed(session, request.handle)
      return run(this.#transactions.usable(begun))
    })
  }

  #read(session: Session, request: RequestOf<'read'>): Answer {
    if (request.keys.length > this.#state.config.limits.writeSetKeysMax) {
      throw limitExceeded('a read', request.keys.length, this.#state.config.limits.writeSetKeysMax, 'keys')
    }
    this.#state.counters.keysRead += request.keys.length
    if (request.handle === 0) return this.#readWith(session, undefined, request)
    return this.#with(session, request, (transaction) => {
      if (transaction.upstream !== undefined) return this.#readWith(session, transaction, request)
      return this.#handoffs.load(transaction).then(() => this.#readWith(session, transaction, request))
    })
  }

  #readWith(
    session: Session,
    transaction: OpenTransaction | undefined,
    { request, keys }: RequestOf<'read'>,
  ): Answer {
    const values = this.#reads.read(transaction, keys)
    if (!(values instanceof Promise)) return this.#values(session, request, keys, values)
    return values.then((loaded) => this.#values(session, request, keys, loaded))
  }

  /** What was asked for once may be again: next time it is in the view. */
  #values(
    session: Session,
    request: number,
    keys: readonly string[],
    values: readonly (Uint8Array | null)[],
  ): Reply {
    if (session.viewPath !== undefined) this.#view.want(keys)
    return { type: 'values', request, values }
  }

  #attach(session: Session, { request }: RequestOf<'attach'>): Reply {
    const { config } = this.#state
    const { consistency, deadlineMs, deadlineMsMax, inlineWriteSetBytesMax, inlineContextBytesMax } = config
    return {
      type: 'attached',
      request,
      path: this.#view.attach(session),
      consistency,
      deadlineMs,
      deadlineMsMax,
      inlineWriteSetBytesMax,
      inlineContextBytesMax,
    }
  }

  #write(transaction: OpenTransaction, writes: RequestOf<'spill'>['writes']): void {
    for (const [key, value] of writes) {
      checkKey(key, this.#state.config.limits)
      transaction.own.set(key, value)
    }
  }

  #spill(session: Session, request: RequestOf<'spill'>, transaction: OpenTransaction): Reply {
    try {
      const bytes = WriteSetBuilder.sizeOf(request.writes)
      this.#transactions.takeAhead(session, request.handle, transaction, bytes)
      // Copies: what stays for a while must not hold a whole frame in memory.
      this.#write(
        transaction,
        request.writes.map(([key, value]) => [key, value && Uint8Array.from(value)] as const),
      )
    } catch (error) {
      // A commit may be on its way already: it must not commit the half that was taken.
      this.#transactions.fail(session, request.handle, transaction, error)
      throw error
    }
    return done(request)
  }

  async #commit(
    session: Session,
    request: RequestOf<'commit'>,
    transaction: OpenTransaction,
  ): Promise<Reply> {
    return this.#finish(session, request.handle, transaction, async () => {
      this.#write(transaction, request.writes)
      const { result } = request
      const { resultBytesMax } = this.#state.config.limits
      if (result !== null && result.length > resultBytesMax) {
        throw limitExceeded('a result', result.length, resultBytesMax, 'bytes')
      }
      if (result === null && !transaction.start.keyed && transaction.isReadOnly) {
        return this.#commitReadOnly(request, transaction)
      }
      this.#state.counters.commits++
      try {
        // Again, since a deadline may be longer than what is left of the window.
        this.#transactions.checkAge(transaction.start.txn)
        const committed = await this.#coordinator.commit(transaction, result ?? undefined)
        return committedReply(request.request, committed)
      } catch (error) {
        if (VirgaError.is(error) && error.outcome === 'indefinite') this.#state.counters.outcomesUnknown++
        else this.#state.counters.commitsFailed++
        throw error
      }
    })
  }

  /** Nothing to make durable: its snapshot was whole, and it leaves no trace. */
  #commitReadOnly({ request }: RequestOf<'commit'>, { start }: OpenTransaction): Reply {
    mark('commit.read-only')
    this.#onEnded(start.txn)
    const { txn: id, attempt } = start
    const hlc = this.#state.clock.last
    return { type: 'committed', request, id, attempt, hlc, replayed: false, result: null, session: null }
  }

  async #handoff(
    session: Session,
    request: RequestOf<'handoff'>,
    transaction: OpenTransaction,
  ): Promise<Reply> {
    return this.#finish(session, request.handle, transaction, async () => {
      this.#state.counters.handoffs++
      this.#write(transaction, request.writes)
      const context = await this.#handoffs.handoff(transaction, request.durable)
      return { type: 'handed', request: request.request, context }
    })
  }

  /** Throws what the executor is told; else it is told nothing. */
  passed(request: RequestOf<'passed'>): void {
    this.#state.counters.passed++
    this.#handoffs.passed(request)
  }

  /** A function's part ends here, whatever comes of it: its handle is not used again. */
  async #finish(
    session: Session,
    handle: number,
    transaction: OpenTransaction,
    run: () => Promise<Reply>,
  ): Promise<Reply> {
    transaction.busy = true
    this.#deciding++
    try {
      return await run()
    } finally {
      this.#deciding--
      this.#transactions.end(session, handle)
    }
  }

  async #status(request: RequestOf<'status'>): Promise<Reply> {
    const state = { type: 'state', request: request.request, result: null, session: null } as const
    try {
      this.#transactions.checkAge(request.id)
    } catch (error) {
      if (VirgaError.is(error) && error.code === 'TransactionExpired') return { ...state, status: 'expired' }
      throw error
    }
    const standing = await this.#state.decisions.find(request.id)
    if (isCommit(standing)) {
      const { result, session } = committedReply(request.request, await this.#adopted(request.id, standing))
      return { ...state, status: 'committed', result, session }
    }
    return { ...state, status: standing?.status === 'aborted' ? 'aborted' : 'open' }
  }

  async #cancel(request: RequestOf<'cancel'>): Promise<Reply> {
    this.#transactions.checkAge(request.id)
    const commit = await this.#state.decisions.abort(request.id)
    if (commit !== undefined) {
      await this.#adopted(request.id, commit)
      throw new VirgaError('AlreadyCommitted', `${request.id} has committed and can't be cancelled`)
    }
    this.#onEnded(request.id)
    return done(request)
  }

  /** An executor lost sight of a commit: from now on its attempt has committed, or never will. */
  async #resolve(request: RequestOf<'resolve'>): Promise<Reply> {
    const now = this.#state.world.clock.precise()
    const attempt = request.attempt ?? attemptCeiling(this.#state.clock.tick(now))
    // A fence far ahead of all clocks would keep every later attempt from committing.
    if (attempt > attemptCeiling(hlcAt(now + this.#state.config.clockSkewMsMax))) {
      throw new VirgaError('InvalidArgument', 'an attempt of a time that is far ahead of this node')
    }
    mark('fail.outcome-looked-up')
    const commit = await this.#state.decisions.fence(request.id, attempt)
    if (commit !== undefined) {
      const replayed = commit.attempt !== request.attempt
      return committedReply(request.request, { ...(await this.#adopted(request.id, commit)), replayed })
    }
    return { type: 'state', request: request.request, status: 'open', result: null, session: null }
  }

  async #adopted(txn: TxnId, commit: Commit): Promise<Committed> {
    await this.#adoption.adopt(txn, commit)
    return { txn, commit, at: this.#state.ledger.placeOf(txn), replayed: true }
  }
}

function done({ request }: { readonly request: number }): Reply {
  return { type: 'done', request }
}
