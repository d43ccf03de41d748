import { makeTxnId, parseTxnId, TXN_ID_ENTROPY_BYTES, type TxnId } from '../core/ids.js'
import { checkKey } from '../core/keys.js'
import { type Consistency, modeOf } from '../core/modes.js'
import { VirgaError } from '../errors.js'
import { contextBytes } from '../wire/context.js'
import type { Reply, ReplyOf, Request, Unnumbered } from '../wire/messages.js'
import { decodeValue, encodeValue } from '../wire/value.js'
import { Attachment } from './attachment.js'
import { AttemptResults } from './attempt-results.js'
import { pause } from './backoff.js'
import { type Carried, carriedBy } from './carried.js'
import { findOutcome, NotCommitted } from './commit-outcome.js'
import { LateBegins } from './late-begins.js'
import { type ClientOptions, completeOptions } from './options.js'
import { OwnContexts } from './own-contexts.js'
import { Session } from './session.js'
import { type Sight, sightAt } from './sight.js'
import {
  type CommitReceipt,
  receiptOf,
  Transaction,
  type TransactionParts,
  type TransactionState,
} from './transaction.js'
import { lastWord, Tries } from './tries.js'
import { NOT_SEEN } from './view.js'
import type { ClientWorld } from './world.js'

export interface BeginOptions {
  /**
   * The transaction's id, a UUIDv7: one that the request carries, or `transactionId(key, at)`. All attempts under one id
   * apply once. Default: a new one.
   */
  readonly id?: string | undefined
  /** How long the transaction may take until it is decided. Default: the node's, 5 minutes. */
  readonly deadlineMs?: number | undefined
  /** Default: the node's, `read-atomic`. */
  readonly consistency?: Consistency | undefined
  /** The `session` of a commit, made on any node, that must be visible. */
  readonly after?: string | undefined
  /** Ends waiting. The transaction is aborted, or its commit goes on without its caller (`Interrupted`, indefinite). */
  readonly signal?: AbortSignal | undefined
}

export interface ResumeOptions {
  /** Two branches wrote one key, neither upstream of the other: take the one sealed later, or fail with `BranchConflict`. */
  readonly onBranchConflict?: 'latest' | 'error'
  /** Ends waiting, as that of `BeginOptions` does. */
  readonly signal?: AbortSignal | undefined
}

/** `id`, `deadlineMs`, `consistency` and `after` are of a DAG's first step: with contexts to go on from they are `InvalidArgument`. */
export interface StepOptions extends BeginOptions, ResumeOptions {
  /** As that of `HandoffOptions`. Default: false. */
  readonly durable?: boolean
}

export interface StepResult<R> {
  /** For the downstream functions, or for `commit`. */
  readonly context: string
  /** What the function returned. */
  readonly result: R
  /** Of the transaction: the same in all steps of a DAG. */
  readonly id: string
}

export interface CommitContextOptions extends ResumeOptions {
  /** Recorded with the decision, and given to every retry of its id. */
  readonly result?: unknown
}

/** What is known of a transaction under its id. Result and session are those of its commit. */
export interface TransactionStatus<R = unknown> {
  readonly status: 'committed' | 'open' | 'aborted' | 'expired'
  readonly result: R | undefined
  readonly session: string | undefined
}

/** Times that a request is made which the node went away under. */
const ASKED_MAX = 3
const NOTHING: TransactionState['upstream'] = new Map()

/** A connection to this machine's node. Made by `connect`. */
export class Virga implements AsyncDisposable {
  readonly #session: Session
  readonly #world: ClientWorld
  readonly #options: Required<ClientOptions>
  readonly #attachment: Attachment
  readonly #parts: TransactionParts
  readonly #makeId = (): TxnId => this.#newId()
  #lastHandle = 0

  /** @internal */
  constructor(world: ClientWorld, options: ClientOptions = {}) {
    this.#world = world
    this.#options = completeOptions(options)
    this.#session = new Session(world, this.#options, {
      onUp: () => {
        if (this.#options.view === 'auto') this.#attachment.begin()
      },
      onDown: () => this.#attachment.end(),
    })
    this.#attachment = new Attachment(this.#session, world)
    this.#parts = {
      session: this.#session,
      world,
      options: this.#options,
      lateBegins: new LateBegins(world.clock),
      attachment: this.#attachment,
      contexts: new OwnContexts(world, this.#session.client),
    }
  }

  /** @internal Resolves when the node has greeted, and it is known whether there is a view. */
  async up(signal?: AbortSignal): Promise<void> {
    await this.#session.up(signal)
    // A view is of use, and not needed.
    const { connectTimeoutMs } = this.#options
    await Promise.race([this.#attachment.settled(), pause(this.#world.clock, connectTimeoutMs, signal)])
  }

  /**
   * Runs one function as one transaction: commits when it returns, aborts when it throws, and runs it again when what
   * failed may go better next time. With an `id`, a decision that stands already is the answer, and the function is not
   * run; its result must then be a value that can be stored.
   * Rejects with what `run` throws where that is no `VirgaError`, else with that of the last attempt, `indefinite` if any may have committed.
   */
  async transaction<R>(run: (tx: Transaction) => R | Promise<R>, options: BeginOptions = {}): Promise<R> {
    const keyed = options.id !== undefined
    let id = keyed ? parseTxnId(options.id) : options.after === undefined ? undefined : this.#newId()
    const results = new AttemptResults<R>()
    let unsure = false
    const tries = new Tries(this.#options)
    for (;;) {
      let tx: Transaction | ReplyOf<'committed'> | undefined
      try {
        tx = await this.#begin(id, keyed, keyed || tries.count > 0, options)
        if (!(tx instanceof Transaction)) return this.#replayed(tx, keyed, results)
        return await this.#attempt(tx, keyed, run, results)
      } catch (error) {
        if (!VirgaError.is(error)) {
          // Without an id nothing got as far as a commit.
          if (!unsure || id === undefined) throw error
          return await this.#earlier(id, keyed, results, error, options.signal)
        }
        // The next attempt is one at the same transaction.
        id ??= tx?.id as TxnId | undefined
        if (!error.retryable || !tries.mayTryAfter(error)) throw lastWord(error, unsure)
        unsure ||= error.outcome === 'indefinite'
        await pause(this.#world.clock, tries.waitMs(error, this.#world.random), options.signal)
      }
    }
  }

  /** Begins a transaction by hand. Dispose of it, or end it by `commit`, `handoff` or `abort`. */
  begin(options: BeginOptions = {}): Promise<Transaction> {
    return this.#begin(options.id, options.id !== undefined, false, options) as Promise<Transaction>
  }

  /** Goes on with a handed-off transaction, here or on any node; with several contexts, joins parallel branches. */
  async resume(context: string | readonly string[], options: ResumeOptions = {}): Promise<Transaction> {
    const tx = await this.#resume(context, options)
    if (tx instanceof Transaction) return tx
    throw new VirgaError('AlreadyCommitted', `the DAG of ${tx.id} has committed`)
  }

  /**
   * One function of a DAG: begins (`undefined`) or resumes its upstream contexts, runs, and hands off. When the function
   * throws, its writes are gone, and the same step may be run again from the same contexts.
   */
  async step<R>(
    upstream: undefined | string | readonly string[],
    run: (tx: Transaction) => R | Promise<R>,
    options: StepOptions = {},
  ): Promise<StepResult<Awaited<R>>> {
    if (upstream !== undefined) refuseBeginOptions(options)
    const tx = upstream === undefined ? await this.begin(options) : await this.resume(upstream, options)
    try {
      const result = await run(tx)
      const context = await tx.handoff({ durable: options.durable ?? false })
      return { context, result, id: tx.id }
    } finally {
      await tx.abort()
    }
  }

  /** Commits a DAG from the context of its last function, or of its last functions. */
  async commit<R = unknown>(
    context: string | readonly string[],
    options: CommitContextOptions = {},
  ): Promise<CommitReceipt<R>> {
    const tx = await this.#resume(context, options)
    if (!(tx instanceof Transaction)) return receiptOf<R>(tx)
    try {
      return await tx.commit<R>({ result: options.result })
    } finally {
      // A result that is refused here has not ended it, and nobody else has it.
      await tx.abort()
    }
  }

  /** Reads the newest value of one key, outside any transaction; undefined if it is absent. */
  async get<T = unknown>(
    key: string,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<T | undefined> {
    await this.#session.up(options.signal)
    checkKey(key, this.#session.limits)
    const { view } = this.#attachment
    const seen = view === undefined ? NOT_SEEN : view.readNewest(key)
    const turn = view?.turn()
    if (turn !== undefined) await turn
    if (seen !== NOT_SEEN) return seen as T | undefined
    const reply = await this.#ask(() => ({ type: 'read', handle: 0, keys: [key] }), options.signal)
    const value = (reply as ReplyOf<'values'>).values[0] ?? null
    return value === null ? undefined : (decodeValue(value) as T)
  }

  /**
   * What is known of a transaction: `committed` with its result; `open`, if an attempt may yet commit; `aborted`, if none
   * will; `expired`, if the id is older than what is kept.
   */
  async status<R = unknown>(id: string): Promise<TransactionStatus<R>> {
    const txn = parseTxnId(id)
    const reply = (await this.#ask(() => ({ type: 'status', id: txn }))) as ReplyOf<'state'>
    const result = reply.result === null ? undefined : (decodeValue(reply.result) as R)
    return { status: reply.status, result, session: reply.session ?? undefined }
  }

  /** Sees to it that no attempt under this id commits any more. Rejects with `AlreadyCommitted` if one has. */
  async cancel(id: string): Promise<void> {
    const txn = parseTxnId(id)
    await this.#ask(() => ({ type: 'cancel', id: txn }))
  }

  /** What the node counts and holds, by name. For people and dashboards; names may change between versions. */
  async inspect(): Promise<Readonly<Record<string, number | string>>> {
    const reply = (await this.#ask(() => ({ type: 'inspect' }))) as ReplyOf<'inspected'>
    return Object.fromEntries([...reply.notes, ...reply.counters])
  }

  /** Says goodbye: what is open is aborted. Idempotent. */
  async close(): Promise<void> {
    await this.#session.close()
    this.#attachment.end()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #begin(
    given: string | undefined,
    keyed: boolean,
    lookup: boolean,
    options: BeginOptions,
  ): Promise<Transaction | ReplyOf<'committed'>> {
    const { signal, deadlineMs = null, consistency = null, after = null } = options
    const known = given === undefined ? undefined : parseTxnId(given)
    if (deadlineMs !== null && !(Number.isSafeInteger(deadlineMs) && deadlineMs > 0)) {
      throw new VirgaError('InvalidArgument', `deadlineMs is a positive whole number, got ${deadlineMs}`)
    }
    if (!this.#session.isUp || signal !== undefined) await this.#session.up(signal)
    const turn = this.#attachment.view?.turn()
    if (turn !== undefined) await turn
    const handle = ++this.#lastHandle
    const { epoch } = this.#session
    const begin = { type: 'begin', handle, keyed, deadlineMs, consistency, after, lookup } as const
    const sight = lookup || after !== null ? undefined : this.#look(options)
    if (sight !== undefined) {
      const snapshot = sight.snapshot?.record ?? null
      return this.#transaction({
        id: known,
        newId: this.#makeId,
        handle,
        epoch,
        keyed,
        consistency: options.consistency,
        signal,
        begun: undefined,
        begin: (id) =>
          this.#session.request({ ...begin, id, snapshot }, { signal }) as Promise<ReplyOf<'begun'>>,
        attempt: undefined,
        sight,
        upstream: NOTHING,
        complete: true,
        resumed: false,
        taken: undefined,
      })
    }
    const id = known ?? this.#newId()
    const request = this.#session.request({ ...begin, id, snapshot: null }, { signal })
    // Where the node has nothing to look up, what follows travels in the same frame as the begin.
    if (lookup || after !== null) {
      const reply = await request.catch((error: unknown) => this.#giveUp(handle, error))
      if (reply.type === 'committed') return reply
    }
    const begun = request as Promise<ReplyOf<'begun'>>
    return this.#transaction({
      id,
      newId: this.#makeId,
      handle,
      epoch,
      keyed,
      consistency: options.consistency,
      signal,
      begun,
      begin: undefined,
      attempt: undefined,
      sight: undefined,
      upstream: NOTHING,
      complete: true,
      resumed: false,
      taken: undefined,
    })
  }

  /** What a transaction that begins now can read without a message. */
  #look({ deadlineMs, consistency }: BeginOptions): Sight | undefined {
    const { view, defaults } = this.#attachment
    if (view === undefined || defaults === undefined || this.#parts.lateBegins.areRefused) return undefined
    const snapshot = view.begin()
    if (snapshot === undefined) return undefined
    return {
      view,
      snapshot: modeOf(consistency ?? defaults.consistency).keepsCut ? snapshot : undefined,
      deadlineMs: this.#world.clock.now() + (deadlineMs ?? defaults.deadlineMs),
    }
  }

  #transaction(state: TransactionState): Transaction {
    return new Transaction(this.#parts, state)
  }

  /** A decision that stands already is the answer where the contexts can't be served any more. */
  async #resume(
    context: string | readonly string[],
    options: ResumeOptions,
  ): Promise<Transaction | ReplyOf<'committed'>> {
    const { signal, onBranchConflict = 'latest' } = options
    const contexts = typeof context === 'string' ? [context] : [...context]
    if (contexts.length === 0 || contexts.some((text) => typeof text !== 'string')) {
      throw new VirgaError('InvalidArgument', 'resume takes a context, or a list of one or more')
    }
    const known = contexts.length === 1 ? await this.#takeUp(contexts[0]!, options) : undefined
    if (known !== undefined) return known
    const encoded = contexts.map(contextBytes)
    let handle = 0
    let epoch = 0
    const ask = this.#ask(() => {
      // Asked once more: the node may be the same, and keep the place of what failed.
      if (handle !== 0) this.#session.post({ type: 'end', handle })
      handle = ++this.#lastHandle
      epoch = this.#session.epoch
      return { type: 'resume', handle, contexts: encoded, onBranchConflict, brief: false }
    }, signal)
    const reply = await ask.catch((error: unknown) => this.#giveUp(handle, error))
    if (reply.type === 'committed') return reply
    const resumed = reply as ReplyOf<'resumed'>
    const upstream = new Map<string, Uint8Array | null | 'ahead'>()
    for (const [key, isHere, value] of resumed.upstream) upstream.set(key, isHere ? value : 'ahead')
    const begun = Promise.resolve({ attempt: resumed.attempt })
    return this.#goOn({ ...resumed, upstream }, { handle, epoch, signal, begun })
  }

  /** Goes on from a context without a message, where it tells enough: the node hears of that along with what follows. */
  async #takeUp(
    context: string,
    { signal, onBranchConflict = 'latest' }: ResumeOptions,
  ): Promise<Transaction | undefined> {
    if (!this.#session.isUp || signal !== undefined) await this.#session.up(signal)
    const { contextMac, origin, epoch } = this.#session
    const known = contextMac && carriedBy(context, contextMac, origin, this.#world.clock.now())
    if (known === undefined) return undefined
    const { taken, carried } = known
    const handle = ++this.#lastHandle
    const contexts = [taken.bytes]
    const resume = { type: 'resume', handle, contexts, onBranchConflict, brief: true } as const
    const begin = () =>
      this.#session.request(resume, { signal }) as Promise<ReplyOf<'begun'> | ReplyOf<'committed'>>
    return this.#goOn({ ...carried, complete: true }, { handle, epoch, signal, begin, taken })
  }

  #goOn(
    { id, attempt, keyed, deadlineMs, snapshot, upstream, complete }: Carried & { complete: boolean },
    told: Pick<TransactionState, 'handle' | 'epoch' | 'signal'> &
      Partial<Pick<TransactionState, 'begun' | 'begin' | 'taken'>>,
  ): Transaction {
    return this.#transaction({
      begun: undefined,
      begin: undefined,
      taken: undefined,
      ...told,
      id,
      newId: this.#makeId,
      keyed,
      consistency: undefined,
      attempt,
      sight: snapshot === null ? undefined : sightAt(this.#attachment, snapshot, deadlineMs),
      upstream,
      complete,
      resumed: true,
    })
  }

  /** Makes a request that may be made twice: again, if the node went away under it. */
  async #ask(make: () => Unnumbered<Request>, signal?: AbortSignal): Promise<Reply> {
    for (let round = 0; ; round++) {
      await this.#session.up(signal)
      try {
        return await this.#session.request(make(), { signal })
      } catch (error) {
        if (round + 1 >= ASKED_MAX || !VirgaError.is(error)) throw error
        if (error.code !== 'SessionLost' && error.code !== 'NodeUnavailable') throw error
      }
    }
  }

  async #attempt<R>(
    tx: Transaction,
    keyed: boolean,
    run: (tx: Transaction) => R | Promise<R>,
    results: AttemptResults<R>,
  ): Promise<R> {
    try {
      const value = await run(tx)
      const result = keyed && value !== undefined ? encodeValue(value) : null
      const committing = tx.commitEncoded(result)
      const reply = await committing.catch((error: unknown) => {
        if (!keyed && VirgaError.is(error) && error.outcome === 'indefinite') results.keep(tx.attempt, value)
        throw error
      })
      if (!reply?.replayed) return value
      // Its node may have died before it named the attempt, which then is found as if it were another one's.
      if (!keyed && tx.attempt === undefined) results.keep(undefined, value)
      return this.#replayed(reply, keyed, results)
    } finally {
      await tx.abort()
    }
  }

  /** A function failed when it ran again, and nobody could tell whether it had committed before: that is found out first. */
  async #earlier<R>(
    id: TxnId,
    keyed: boolean,
    results: AttemptResults<R>,
    failure: unknown,
    signal: AbortSignal | undefined,
  ): Promise<R> {
    const unknown = new VirgaError('OutcomeUnknown', `an earlier attempt of ${id} may have committed`, {
      outcome: 'indefinite',
      cause: failure,
    })
    let reply: ReplyOf<'committed'>
    try {
      reply = await findOutcome(this.#session, this.#world, this.#options, id, undefined, unknown, signal)
    } catch (error) {
      if (!(error instanceof NotCommitted)) throw unknown
      throw failure
    }
    return this.#replayed(reply, keyed, results)
  }

  /** The result of an attempt that committed earlier: recorded, if others may ask for it; else it was one of this call. */
  #replayed<R>(reply: ReplyOf<'committed'>, keyed: boolean, results: AttemptResults<R>): R {
    if (!keyed) return results.of(reply.attempt)
    return receiptOf<R>(reply).result as R
  }

  /** The node keeps the place of a begin that failed until it is told that nobody uses it. */
  #giveUp(handle: number, error: unknown): Promise<Reply> {
    this.#session.post({ type: 'end', handle })
    return Promise.reject(error)
  }

  #newId(): TxnId {
    const { clock, random } = this.#world
    return makeTxnId(Math.floor(clock.now()), random.bytes(TXN_ID_ENTROPY_BYTES))
  }
}

/** A transaction has these from its begin on: a later step that gives them would have them silently not in force. */
function refuseBeginOptions(options: BeginOptions): void {
  const given = (['id', 'deadlineMs', 'consistency', 'after'] as const).find(
    (name) => options[name] !== undefined,
  )
  if (given === undefined) return
  throw new VirgaError(
    'InvalidArgument',
    `${given} belongs to the step that begins the transaction, not to one that resumes it`,
  )
}
