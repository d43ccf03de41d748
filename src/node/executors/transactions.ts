import type { Context } from '../../core/context.js'
import type { Cut } from '../../core/cut.js'
import { type Commit, isCommit, type Standing } from '../../core/decision.js'
import { ATTEMPT_ENTROPY_BYTES, makeAttempt, type Origin, type TxnId, txnTimeMs } from '../../core/ids.js'
import { modeOf } from '../../core/modes.js'
import { VirgaError } from '../../errors.js'
import { mark } from '../../marks.js'
import type { Reply, RequestOf } from '../../wire/messages.js'
import { decodeToken } from '../../wire/token.js'
import type { Membership } from '../cluster/membership.js'
import type { Committed } from '../committing/coordinator.js'
import type { Handoffs } from '../contexts/handoffs.js'
import type { Adoption } from '../sharing/adoption.js'
import type { NodeState } from '../state.js'
import type { View } from '../view/view.js'
import { committedReply } from './replies.js'
import type { Handle, Session } from './session.js'
import { deadlineExceeded, NO_UPSTREAM, OpenTransaction, type TransactionStart } from './transaction.js'

/** A deadline is told to a caller this much late at most: how often open transactions are looked through. */
export const SWEEP_MS = 1_000

export interface TransactionsParts {
  readonly state: NodeState
  readonly handoffs: Handoffs
  readonly adoption: Adoption
  /** Waits until a cut is applied here. False: nobody who can be reached knows it. */
  readonly reach: (cut: Cut, hint: Origin) => Promise<boolean>
  readonly membership: Pick<Membership, 'isFresh' | 'isLive'>
  readonly view: View
}

/** The open transactions of all sessions: how they begin, how they are found, how they end without a commit. */
export class Transactions {
  readonly #state: NodeState
  readonly #handoffs: Handoffs
  readonly #adoption: Adoption
  readonly #reach: TransactionsParts['reach']
  readonly #membership: TransactionsParts['membership']
  readonly #view: View
  #open = 0
  #draining = false

  constructor({ state, handoffs, adoption, reach, membership, view }: TransactionsParts) {
    this.#state = state
    this.#handoffs = handoffs
    this.#adoption = adoption
    this.#reach = reach
    this.#membership = membership
    this.#view = view
  }

  /** Open transactions, failed ones included whose executors have not been told yet. */
  get open(): number {
    return this.#open
  }

  /** From now on nothing begins. What is open goes on. */
  drain(): void {
    this.#draining = true
  }

  begin(session: Session, request: RequestOf<'begin'>): Reply | Promise<Reply> {
    this.#state.counters.begins++
    this.#admit(session, request.handle, request.snapshot !== null)
    if (request.after === null && !request.lookup) {
      try {
        const transaction = this.#start(request)
        session.handles.set(request.handle, transaction)
        return begunReply(request.request, transaction)
      } catch (error) {
        // Requests that were sent along with the begin are told the same.
        session.handles.set(request.handle, asVirgaError(error))
        throw error
      }
    }
    return this.#beginLater(session, request)
  }

  resume(session: Session, request: RequestOf<'resume'>): Reply | Promise<Reply> {
    this.#state.counters.resumes++
    this.#admit(session, request.handle, false)
    let contexts: readonly Context[]
    try {
      contexts = this.#handoffs.read(request.contexts)
    } catch (error) {
      mark('fail.context-refused')
      this.#state.counters.refusedContexts++
      session.handles.set(request.handle, asVirgaError(error))
      throw error
    }
    const one = request.brief && contexts.length === 1 ? contexts[0] : undefined
    const start = one && this.#handoffs.resumeAtOnce(one)
    if (start === undefined) return this.#resumeLater(session, request, contexts)
    const transaction = new OpenTransaction(start, this.#state.config.limits, this.#state.life)
    session.handles.set(request.handle, transaction)
    // Of one of this node the executor knows where to read.
    const isOwn = one?.sender === this.#state.ledger.origin
    return begunReply(request.request, transaction, isOwn ? null : this.#snapshotFor(session, transaction))
  }

  async #resumeLater(
    session: Session,
    request: RequestOf<'resume'>,
    contexts: readonly Context[],
  ): Promise<Reply> {
    const starting = (async () => {
      const start = await this.#handoffs.resume(contexts, request.onBranchConflict)
      return new OpenTransaction(start, this.#state.config.limits, this.#state.life)
    })()
    let transaction: OpenTransaction
    try {
      transaction = await this.#settle(session, request.handle, starting)
    } catch (error) {
      const committed = await this.#committedMeanwhile(contexts[0]?.txn, error)
      if (committed === undefined) throw error
      this.end(session, request.handle)
      return committedReply(request.request, committed)
    }
    if (request.brief)
      return begunReply(request.request, transaction, this.#snapshotFor(session, transaction))
    const { txn, attempt, deadlineMs, keyed, upstream } = transaction.start
    const entries: [string, boolean, Uint8Array | null][] = []
    let bytes = 0
    for (const [key, value] of upstream.overlay ?? []) {
      bytes += value?.length ?? 0
      const sent = bytes <= UPSTREAM_BYTES_MAX
      entries.push([key, sent, sent ? value : null])
    }
    return {
      type: 'resumed',
      request: request.request,
      id: txn,
      attempt,
      deadlineMs,
      keyed,
      complete: upstream.overlay !== undefined,
      upstream: entries,
      // Without what only the node can find, it must be asked anyway.
      snapshot: upstream.overlay === undefined ? null : this.#snapshotFor(session, transaction),
    }
  }

  /** What an executor may read at in the view; null: it must ask. */
  #snapshotFor({ viewPath }: Session, { start: { mode, cut } }: OpenTransaction): Uint8Array | null {
    return viewPath === undefined || !mode.keepsCut ? null : this.#view.recordOf(cut)
  }

  /** The transaction of a handle. Throws what the executor must be told if there is none that goes on. */
  of(session: Session, handle: number): OpenTransaction | Promise<OpenTransaction> {
    const found = session.handles.get(handle)
    if (found === undefined) {
      throw new VirgaError('TransactionUnknown', `transaction ${handle} of this session is not open`)
    }
    if (VirgaError.is(found)) throw found
    if (found instanceof Promise) return found
    return this.usable(found)
  }

  /**
   * Requests that follow on a handle are told what went wrong, as those that follow a failed begin are: also those that have had
   * their turn, and waited for the begin while the handle was ended.
   */
  fail(session: Session, handle: number, transaction: OpenTransaction, error: unknown): void {
    transaction.failure ??= asVirgaError(error)
    const found = session.handles.get(handle)
    if (found === undefined) return
    this.#release(found)
    session.handles.set(handle, asVirgaError(error))
  }

  /** Throws what went wrong with an earlier request on the handle. */
  checkFailed(session: Session, handle: number): void {
    const found = session.handles.get(handle)
    if (VirgaError.is(found)) throw found
  }

  /** Forgets a handle, whatever became of it. */
  end(session: Session, handle: number): void {
    const found = session.handles.get(handle)
    if (found === undefined) return
    this.#release(found)
    session.handles.delete(handle)
    this.#open--
  }

  endAll(session: Session): void {
    this.#open -= session.handles.size
    this.#state.counters.transactionsDropped += session.handles.size
    if (session.handles.size > 0) mark('fail.session-lost')
    for (const found of session.handles.values()) this.#release(found)
    session.handles.clear()
    session.life++
  }

  /** Counts writes that an executor sends ahead. Throws `Busy` if the node has no room, and for a handle that has ended. */
  takeAhead(session: Session, handle: number, transaction: OpenTransaction, bytes: number): void {
    if (session.handles.get(handle) !== transaction) {
      throw new VirgaError('TransactionUnknown', 'the transaction has ended')
    }
    this.#state.budget.take(bytes)
    transaction.aheadBytes += bytes
  }

  /** Fails what is past its deadline, so that it holds no memory. */
  expire(session: Session, nowMs: number): void {
    for (const [handle, found] of session.handles) {
      if (!(found instanceof OpenTransaction) || found.busy || nowMs <= found.start.deadlineMs) continue
      mark('fail.deadline')
      this.#state.counters.deadlinesExceeded++
      this.#release(found)
      session.handles.set(handle, deadlineExceeded(found.start.txn))
    }
  }

  /** Throws `TransactionExpired` for an id outside the window in which a decision of it would be found. */
  checkAge(txn: TxnId): void {
    const now = this.#state.world.clock.now()
    const ageMs = now - txnTimeMs(txn)
    if (ageMs > this.#state.config.idempotencyWindowMs) {
      mark('begin.expired')
      throw new VirgaError(
        'TransactionExpired',
        `${txn} is older than ${this.#state.config.idempotencyWindowMs} ms`,
      )
    }
    if (-ageMs > this.#state.config.clockSkewMsMax) {
      throw new VirgaError(
        'InvalidArgument',
        `${txn} is of a time that is ${-ageMs} ms ahead of this node's clock`,
      )
    }
  }

  #release(found: Handle): void {
    if (!(found instanceof OpenTransaction)) return
    this.#state.budget.give(found.aheadBytes)
    found.aheadBytes = 0
  }

  /** Throws if the transaction is being ended, or past its deadline. */
  usable(transaction: OpenTransaction): OpenTransaction {
    if (transaction.busy) {
      throw new VirgaError(
        'TransactionClosed',
        `${transaction.start.txn} is being committed or handed off already`,
      )
    }
    if (transaction.failure !== undefined) throw transaction.failure
    transaction.checkDeadline(this.#state.world.clock.now())
    transaction.checkSnapshot()
    return transaction
  }

  /** The snapshots of all open transactions of some sessions. */
  *cuts(sessions: Iterable<Session>): Iterable<Cut> {
    for (const { handles } of sessions)
      for (const found of handles.values()) if (found instanceof OpenTransaction) yield found.start.cut
  }

  /** @param hasBegun what it begins was open before the node was told of it */
  #admit(session: Session, handle: number, hasBegun: boolean): void {
    if (this.#draining && !hasBegun)
      throw new VirgaError('ShuttingDown', 'the node is stopping and begins nothing')
    if (handle === 0 || session.handles.has(handle)) {
      throw new VirgaError('InvalidArgument', `handle ${handle} is ${handle === 0 ? 'reserved' : 'in use'}`)
    }
    const { transactionsMax, transactionsPerSessionMax } = this.#state.config
    if (this.#open >= transactionsMax || session.handles.size >= transactionsPerSessionMax) {
      mark(this.#open >= transactionsMax ? 'busy.transactions' : 'busy.session-transactions')
      throw new VirgaError(
        'Busy',
        `${this.#open} transactions are open, ${session.handles.size} of them this executor's`,
      )
    }
    this.#open++
    session.handles.set(handle, NOT_BEGUN)
  }

  #start(request: RequestOf<'begin'>): OpenTransaction {
    this.checkAge(request.id)
    const now = this.#state.world.clock.precise()
    const { deadlineMs, deadlineMsMax, consistency, limits } = this.#state.config
    const wanted = request.deadlineMs ?? deadlineMs
    if (wanted > deadlineMsMax) {
      throw new VirgaError(
        'InvalidArgument',
        `a deadline of ${wanted} ms is above the limit of ${deadlineMsMax}`,
      )
    }
    const start: TransactionStart = {
      txn: request.id,
      attempt: makeAttempt(
        this.#state.clock.tick(now),
        this.#state.world.random.bytes(ATTEMPT_ENTROPY_BYTES),
      ),
      deadlineMs: Math.floor(now) + wanted,
      mode: modeOf(request.consistency ?? consistency),
      keyed: request.keyed,
      cut: request.snapshot === null ? this.#state.history.cut() : this.#view.snapshotOf(request.snapshot),
      upstream: NO_UPSTREAM,
    }
    return new OpenTransaction(start, limits, this.#state.life)
  }

  async #beginLater(session: Session, request: RequestOf<'begin'>): Promise<Reply> {
    let standing: Standing | undefined
    let starting: Promise<OpenTransaction> | undefined
    starting = (async () => {
      this.checkAge(request.id)
      if (request.after !== null) await this.#catchUp(request.after)
      if (request.lookup) standing = await this.#lookUp(request.id)
      const transaction = this.#start(request)
      // In the same moment that its snapshot is taken: from then on the lease counts it.
      if (session.handles.get(request.handle) === starting) session.handles.set(request.handle, transaction)
      return transaction
    })()
    const transaction = await this.#settle(session, request.handle, starting)
    if (!isCommit(standing))
      return begunReply(request.request, transaction, this.#snapshotFor(session, transaction))
    mark('begin.replayed')
    this.end(session, request.handle)
    return committedReply(request.request, await this.#replay(request.id, standing))
  }

  /**
   * A context that can't be served any more, of a transaction that has committed: its decision is the answer. What a
   * commit needs no more is dropped, so a commit that is retried meets this.
   */
  async #committedMeanwhile(txn: TxnId | undefined, error: unknown): Promise<Committed | undefined> {
    if (txn === undefined || !VirgaError.is(error) || !GONE.has(error.code)) return undefined
    const standing = await this.#state.decisions.find(txn)
    if (!isCommit(standing)) return undefined
    mark('resume.replayed')
    return this.#replay(txn, standing)
  }

  async #replay(txn: TxnId, commit: Commit): Promise<Committed> {
    this.#state.counters.commitsReplayed++
    await this.#adoption.adopt(txn, commit)
    return { txn, commit, at: this.#state.ledger.placeOf(txn), replayed: true }
  }

  /** What stands already: a decision is the answer. A fence is passed, since the attempt is made after it was met. */
  async #lookUp(txn: TxnId): Promise<Standing | undefined> {
    const standing = await this.#state.decisions.find(txn)
    if (standing?.status === 'aborted') {
      throw new VirgaError('TransactionAborted', 'the transaction was cancelled for good')
    }
    return standing
  }

  /** Makes a commit that the caller has seen elsewhere visible here: its origin tells of it any moment, and storage knows it. */
  async #catchUp(after: string): Promise<void> {
    const { txn, at } = decodeToken(after)
    const { history, decisions } = this.#state
    const cut: Cut = new Map([[at.origin, at.seq]])
    // What was compacted before it was told has no place: all that begins on a node in touch sees it.
    if (history.has(txn) || (at.seq === 0 ? this.#membership.isFresh() : history.covers(cut))) {
      mark('token.here')
      return
    }
    if (at.seq === 0) throw behind(txn)
    // Of a dead origin storage can tell, and nobody else may.
    if (this.#membership.isLive(at.origin) && (await this.#reach(cut, at.origin))) {
      mark('token.reached')
      return
    }
    mark('token.adopted')
    const standing = await decisions.find(txn)
    if (!isCommit(standing)) {
      throw new VirgaError('SnapshotUnavailable', `the commit of ${txn}, to begin after, is not to be found`)
    }
    if (standing.status === 'compacted' && !this.#membership.isFresh()) throw behind(txn)
    await this.#adoption.adopt(txn, standing)
  }

  /** Keeps the handle up with a transaction that is on its way. The session may be gone when it arrives. */
  async #settle(
    session: Session,
    handle: number,
    starting: Promise<OpenTransaction>,
  ): Promise<OpenTransaction> {
    const keep = (now: Handle): void => {
      if (session.handles.get(handle) === starting) session.handles.set(handle, now)
    }
    session.handles.set(handle, starting)
    try {
      const transaction = await starting
      keep(transaction)
      return transaction
    } catch (error) {
      keep(asVirgaError(error))
      throw error
    }
  }
}

/** Why a context can't be served any more. */
const GONE: ReadonlySet<string> = new Set([
  'WriteSetLost',
  'SnapshotUnavailable',
  'SnapshotTooOld',
  'DeadlineExceeded',
])

/** Holds the place of a handle until its begin has come to something. Made once: an error records its stack. */
const NOT_BEGUN = new VirgaError('TransactionUnknown', 'the transaction did not begin')

/** Upstream writes that a resuming executor is sent at once; it asks for others when it reads them. */
const UPSTREAM_BYTES_MAX = 256 * 1024

function begunReply(request: number, { start }: OpenTransaction, snapshot: Uint8Array | null = null): Reply {
  return { type: 'begun', request, attempt: start.attempt, deadlineMs: start.deadlineMs, snapshot }
}

function behind(txn: TxnId): VirgaError {
  return new VirgaError('SnapshotUnavailable', `this node is out of touch, and may not have ${txn} yet`)
}

function asVirgaError(error: unknown): VirgaError {
  if (VirgaError.is(error)) return error
  return new VirgaError('Internal', 'the transaction did not begin', { cause: error })
}
