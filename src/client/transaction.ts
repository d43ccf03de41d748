import type { Context } from '../core/context.js'
import type { Attempt, TxnId } from '../core/ids.js'
import { checkKey } from '../core/keys.js'
import { type Consistency, modeOf } from '../core/modes.js'
import type { Writes } from '../core/write-set.js'
import { VirgaError } from '../errors.js'
import { limitExceeded } from '../limits.js'
import { mark } from '../marks.js'
import { contextText } from '../wire/context.js'
import type { Reply, ReplyOf, Request, Unnumbered } from '../wire/messages.js'
import { decodeValue, encodeValue } from '../wire/value.js'
import type { Attachment, NodeDefaults } from './attachment.js'
import type { Taken } from './carried.js'
import { findOutcome, losesSight } from './commit-outcome.js'
import type { Late, LateBegins } from './late-begins.js'
import type { ClientOptions } from './options.js'
import type { OwnContexts } from './own-contexts.js'
import { interrupted } from './pending.js'
import type { Session } from './session.js'
import { look, type Sight, sightAt } from './sight.js'
import { NOT_SEEN } from './view.js'
import type { ClientWorld } from './world.js'
import { WriteBuffer } from './write-buffer.js'

/** What a commit came to. */
export interface CommitReceipt<R = unknown> {
  /** The transaction's id. */
  readonly id: string
  readonly status: 'committed'
  /** Another attempt at the same id had committed: `result` is that one's, and this one's writes were not applied. */
  readonly replayed: boolean
  /** The result that stands for the transaction; undefined if none was recorded. */
  readonly result: R | undefined
  /** Shown as `after` to any node, makes this commit visible there. Undefined if nothing had to be recorded. */
  readonly session: string | undefined
}

export interface CommitOptions {
  /** The function's result, recorded with the decision: what a retry of the same id gets. */
  readonly result?: unknown
}

export interface HandoffOptions {
  /** Put into storage what the context needs, so that it survives the crash of every node. Default false. */
  readonly durable?: boolean
}

/** Where a transaction stands when it is given to its user. */
export interface TransactionState {
  /** Undefined: nobody has needed one yet. One that only reads in the view never does. */
  readonly id: TxnId | undefined
  readonly newId: () => TxnId
  readonly handle: number
  readonly epoch: number
  readonly keyed: boolean
  /** As its caller said. */
  readonly consistency: Consistency | undefined
  readonly signal: AbortSignal | undefined
  /** Settles when the node has answered the begin. Undefined: it was not told yet, and `begin` tells it. */
  readonly begun: Promise<Begun> | undefined
  readonly begin: ((id: TxnId) => Promise<Begun>) | undefined
  /** Undefined: the node's answer tells it. */
  readonly attempt: Attempt | undefined
  /** What it reads in without asking the node. Undefined: it asks. */
  readonly sight: Sight | undefined
  /** What was written upstream: the encoded value, null for a deletion, `ahead` if the node must be asked. */
  readonly upstream: ReadonlyMap<string, Uint8Array | null | 'ahead'>
  /** False: there are writes upstream that only the node can find. */
  readonly complete: boolean
  /** Other nodes may keep what its functions need, until they hear that it has ended. */
  readonly resumed: boolean
  /** The context that it was taken up from without a message. */
  readonly taken: Taken | undefined
}

/** What all transactions of a connection share. */
export interface TransactionParts {
  readonly session: Session
  readonly world: ClientWorld
  readonly options: Required<ClientOptions>
  readonly lateBegins: LateBegins
  readonly attachment: Attachment
  readonly contexts: OwnContexts
}

/** The attempt that goes on here; or the decision that stands, where contexts can't be served any more. */
type Begun =
  | { readonly type?: undefined; readonly attempt: Attempt }
  | ReplyOf<'begun'>
  | ReplyOf<'committed'>

/**
 * One function execution in a transaction. Reads come from one snapshot, overlaid by what was written upstream and here.
 * Writes stay here until `commit` or `handoff`, one of which ends it; `abort` ends it without a trace.
 */
export class Transaction implements AsyncDisposable {
  readonly #session: Session
  readonly #world: ClientWorld
  readonly #options: Required<ClientOptions>
  readonly #lateBegins: LateBegins
  readonly #attachment: Attachment
  readonly #contexts: OwnContexts
  readonly #state: TransactionState
  /** Made by the first write. */
  #writes: WriteBuffer | undefined
  readonly #ahead: Promise<Reply>[] = []
  #begun: Promise<Begun> | undefined
  /** From when the node has told the snapshot. */
  #lateSight: Sight | undefined
  #attempt: Attempt | undefined
  #id: TxnId | undefined
  #isOpen = true
  readonly #late: Late | undefined

  /** @internal */
  constructor(parts: TransactionParts, state: TransactionState) {
    this.#session = parts.session
    this.#world = parts.world
    this.#options = parts.options
    this.#lateBegins = parts.lateBegins
    this.#attachment = parts.attachment
    this.#contexts = parts.contexts
    this.#state = state
    this.#attempt = state.attempt
    this.#id = state.id
    if (state.begun !== undefined) this.#beginsBy(state.begun)
    else this.#late = this.#lateBegins.add(this)
  }

  /** @internal Tells the node of a transaction that began without a message. */
  register(): void {
    const { begin, epoch } = this.#state
    if (this.#begun !== undefined || begin === undefined) return
    this.#lateBegins.delete(this.#late)
    if (!this.#session.isUp || this.#session.epoch !== epoch) return
    const begun = begin(this.#txn)
    this.#beginsBy(begun)
    begun.catch((error: unknown) => {
      if (VirgaError.is(error) && error.code === 'SnapshotTooOld') this.#lateBegins.refused()
    })
  }

  /** The transaction's id: the same in every function of a DAG, and in every retry. */
  get id(): string {
    return this.#txn
  }

  get #txn(): TxnId {
    this.#id ??= this.#state.newId()
    return this.#id
  }

  /** @internal */
  get attempt(): Attempt | undefined {
    return this.#attempt
  }

  /** The value of a key; undefined if it is absent. */
  async get<T = unknown>(key: string): Promise<T | undefined> {
    this.#checkOpen()
    checkKey(key, this.#session.limits)
    const sight = this.#sight()
    if (sight !== undefined && this.#written(key) === undefined) {
      const seen = look(sight, key)
      if (seen !== NOT_SEEN) {
        const turn = sight.view.turn()
        if (turn !== undefined) await turn
        return seen as T | undefined
      }
    }
    const [value] = await this.getMany<T>([key])
    return value
  }

  /** Values in the order of `keys`; undefined where absent. Keys that are absent do not keep others from being read. */
  async getMany<T = unknown>(keys: readonly string[]): Promise<(T | undefined)[]> {
    this.#checkOpen()
    const values: (T | undefined)[] = new Array(keys.length)
    const asked: number[] = []
    const sight = this.#sight()
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!
      checkKey(key, this.#session.limits)
      const written = this.#written(key)
      if (written === undefined && sight !== undefined) {
        const seen = look(sight, key)
        if (seen === NOT_SEEN) asked.push(i)
        else values[i] = seen as T | undefined
      } else if (written === undefined || written === 'ahead') asked.push(i)
      else values[i] = written === null ? undefined : (decodeValue(written) as T)
    }
    const turn = sight?.view.turn()
    if (turn !== undefined) await turn
    // Else the node would answer with what the transaction had not yet overwritten.
    if (asked.length > 0) await this.#settled()
    for (let done = 0; done < asked.length; ) {
      const some = asked.slice(done)
      const reply = await this.#request({
        type: 'read',
        handle: this.#state.handle,
        keys: some.map((i) => keys[i]!),
      })
      const read = (reply as ReplyOf<'values'>).values
      for (const [j, value] of read.entries()) {
        values[some[j]!] = value === null ? undefined : (decodeValue(value) as T)
      }
      if (read.length === 0) throw new VirgaError('Malformed', 'the node answered a read with nothing')
      done += read.length
    }
    return values
  }

  /** Writes a value. Nobody else sees it before the transaction commits. No message is sent. */
  put(key: string, value: unknown): void {
    this.#checkOpen()
    this.#write(key, encodeValue(value))
  }

  /** Deletes a key. One that is absent may be deleted as well. */
  delete(key: string): void {
    this.#checkOpen()
    this.#write(key, null)
  }

  /**
   * Ends this function's part: seals what it wrote, and returns the context to be passed along the caller's own DAG
   * edges, to `resume`. Where little was written, the node is told and not waited for: what is wrong is then told to who
   * commits.
   */
  async handoff(options: HandoffOptions = {}): Promise<string> {
    this.#end()
    const { handle, signal } = this.#state
    try {
      const own = options.durable ? undefined : this.#handOff()
      if (own !== undefined) return own
      await this.#settled()
      const reply = await this.#send(
        { type: 'handoff', handle, writes: this.#take(), durable: options.durable ?? false },
        this.#options.commitTimeoutMs,
        signal,
      )
      return contextText((reply as ReplyOf<'handed'>).context)
    } catch (error) {
      this.#letGo()
      throw error
    }
  }

  /** Hands off without the node. Undefined: something has to be asked of it, or it has been already. */
  #handOff(): string | undefined {
    const { taken, epoch, signal } = this.#state
    const { contextMac, isUp } = this.#session
    const { defaults } = this.#attachment
    if (this.#begun !== undefined || this.#ahead.length > 0 || defaults === undefined) return undefined
    if (contextMac === undefined || !isUp || this.#session.epoch !== epoch || signal?.aborted)
      return undefined
    const base = taken?.context ?? this.#begunInView(defaults)
    if (base === undefined || this.#world.clock.now() > base.deadlineMs) return undefined
    const isUnchanged = taken !== undefined && (this.#writes?.isEmpty ?? true)
    const text = isUnchanged
      ? taken.text
      : this.#contexts.seal(base, this.#writes?.take() ?? NO_WRITES, defaults, contextMac)
    if (text === undefined) return undefined
    this.#lateBegins.delete(this.#late)
    // Who handed off what was taken up keeps its snapshot still.
    if (taken === undefined) {
      const { txn: id, deadlineMs, snapshot } = base
      this.#session.postSoon({ type: 'passed', id, deadlineMs, snapshot: snapshot! })
    }
    return text
  }

  /** What a function goes on from that began without a message. Undefined: the node has to say. */
  #begunInView(defaults: NodeDefaults): Context | undefined {
    const { sight, keyed, consistency = defaults.consistency } = this.#state
    const { origin } = this.#session
    // Of an id that others may have tried, it knows which attempts were fenced, and whether one has committed.
    if (keyed || origin === undefined || sight?.snapshot === undefined) return undefined
    const cut = sight.view.cutOf(sight.snapshot)
    const deadlineMs = Math.floor(sight.deadlineMs)
    if (cut === undefined || deadlineMs > this.#world.clock.now() + defaults.deadlineMsMax) return undefined
    return {
      txn: this.#txn,
      attempt: this.#contexts.firstAttempt(),
      deadlineMs,
      consistency: modeOf(consistency).name,
      keyed,
      cut,
      sender: origin,
      snapshot: sight.snapshot.record,
      heads: [],
      lineage: [],
    }
  }

  /**
   * Commits all that the transaction wrote, in this function and upstream of it, at once. If another attempt at the same
   * id has committed, that one's result is the answer. A lost answer is looked into before this settles; when nobody can
   * tell, it rejects with `OutcomeUnknown`, and committing again under the same id is safe.
   */
  async commit<R = unknown>(options: CommitOptions = {}): Promise<CommitReceipt<R>> {
    const result = this.#encodeResult(options.result)
    this.#end()
    if (this.#leavesNothing(result)) return this.#emptyReceipt()
    const receipt = receiptOf<R>(await this.#commit(result))
    // The node never named this attempt, and finds its commit as it would another one's. There is no other one.
    const isOnly = !this.#state.keyed && this.#attempt === undefined
    return isOnly ? { ...receipt, replayed: false } : receipt
  }

  /** @internal Undefined: nothing had to be recorded. */
  async commitEncoded(result: Uint8Array | null): Promise<ReplyOf<'committed'> | undefined> {
    this.#end()
    return this.#leavesNothing(result) ? undefined : this.#commit(result)
  }

  /** Ends it if there is nothing to commit: then nothing hangs on the answer, since every read was of one snapshot. */
  #leavesNothing(result: Uint8Array | null): boolean {
    const { handle, keyed, upstream, complete, resumed } = this.#state
    if (!(this.#writes?.isEmpty ?? true) || upstream.size > 0 || !complete || keyed || result !== null)
      return false
    // A commit is told to other nodes, an end is not.
    if (resumed) {
      this.register()
      // If it is refused it has not ended there.
      this.#session.request({ type: 'commit', handle, writes: [], result }).catch(() => this.#letGo())
    } else this.#letGo()
    return true
  }

  async #commit(result: Uint8Array | null): Promise<ReplyOf<'committed'>> {
    const { handle, signal } = this.#state
    let isSent = false
    try {
      await this.#settled()
      const message = { type: 'commit', handle, writes: this.#take(), result } as const
      isSent = true
      return (await this.#send(message, this.#options.commitTimeoutMs, signal)) as ReplyOf<'committed'>
    } catch (error) {
      this.#letGo()
      if (!isSent || !losesSight(error)) throw error
      return findOutcome(this.#session, this.#world, this.#options, this.#txn, this.#attempt, error, signal)
    }
  }

  /** Ends the transaction here without a trace. What was handed off upstream stays, for another try at this function. */
  async abort(): Promise<void> {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#letGo()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.abort()
  }

  /** The node keeps a transaction that it refused to go on with until it is told that nobody uses it. */
  #letGo(): void {
    if (this.#begun === undefined) this.#lateBegins.delete(this.#late)
    else if (this.#session.epoch === this.#state.epoch)
      this.#session.post({ type: 'end', handle: this.#state.handle })
  }

  /** A begin that fails is told to whoever uses the transaction next. */
  #beginsBy(begun: Promise<Begun>): void {
    this.#begun = begun
    begun.then(
      (reply) => {
        if (reply.type === 'committed') return
        this.#attempt = reply.attempt
        if (reply.type === 'begun' && reply.snapshot !== null)
          this.#lateSight = sightAt(this.#attachment, reply.snapshot, reply.deadlineMs)
      },
      () => undefined,
    )
  }

  /** What may be read without asking. Throws what the node would. */
  #sight(): Sight | undefined {
    const { sight = this.#lateSight, signal, complete, epoch } = this.#state
    if (sight === undefined || !complete || this.#session.epoch !== epoch || !this.#session.isUp)
      return undefined
    if (signal?.aborted) throw interrupted(signal)
    if (this.#world.clock.now() > sight.deadlineMs)
      throw new VirgaError('DeadlineExceeded', `the deadline of ${this.id} has passed`)
    return sight
  }

  #emptyReceipt<R>(): CommitReceipt<R> {
    const tx = this
    return {
      // Few look at it.
      get id() {
        return tx.id
      },
      status: 'committed',
      replayed: false,
      result: undefined,
      session: undefined,
    }
  }

  #take(): [string, Uint8Array | null][] {
    return this.#writes === undefined ? [] : [...this.#writes.take()]
  }

  #written(key: string): Uint8Array | null | 'ahead' | undefined {
    const own = this.#writes?.get(key)
    return own !== undefined ? own : this.#state.upstream.get(key)
  }

  #write(key: string, value: Uint8Array | null): void {
    this.#writes ??= new WriteBuffer(this.#session.limits)
    this.#writes.set(key, value)
    if (this.#writes.keptBytes <= this.#options.spillBytes) return
    const ahead = this.#request({
      type: 'spill',
      handle: this.#state.handle,
      writes: this.#take(),
    })
    // Its failure is told by the commit or handoff, which waits for it.
    ahead.catch(() => undefined)
    this.#ahead.push(ahead)
    this.#writes.sentAhead()
  }

  #encodeResult(result: unknown): Uint8Array | null {
    if (result === undefined) return null
    const encoded = encodeValue(result)
    const { resultBytesMax } = this.#session.limits
    if (encoded.length > resultBytesMax) {
      mark('limit.result')
      throw limitExceeded('a result', encoded.length, resultBytesMax, 'bytes')
    }
    return encoded
  }

  /** What was sent ahead must have arrived. */
  async #settled(): Promise<void> {
    if (this.#ahead.length > 0) await Promise.all(this.#ahead)
  }

  #request(message: Unnumbered<Request>): Promise<Reply> {
    return this.#send(message, this.#options.requestTimeoutMs, this.#state.signal)
  }

  async #send(
    message: Unnumbered<Request>,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Reply> {
    if (this.#session.epoch !== this.#state.epoch || !this.#session.isUp) {
      throw new VirgaError('SessionLost', 'the node that knew this transaction is gone, or forgot it')
    }
    // In the same frame, ahead of what follows.
    this.register()
    try {
      return await this.#session.request(message, { timeoutMs, signal })
    } catch (error) {
      // Says only that it did not begin, or that contexts can't be served any more. The answer to the begin says why.
      const begun = VirgaError.is(error) && NOT_BEGUN.has(error.code) ? await this.#begun : undefined
      if (begun?.type !== 'committed') throw error
      if (message.type === 'commit') return begun
      throw new VirgaError('AlreadyCommitted', `the DAG of ${this.id} has committed`)
    }
  }

  #checkOpen(): void {
    if (!this.#isOpen)
      throw new VirgaError('TransactionClosed', `${this.id} was committed, handed off or aborted here`)
  }

  #end(): void {
    this.#checkOpen()
    this.#isOpen = false
  }
}

const NO_WRITES: Writes = new Map()

/** What a request is told whose begin or resume did not come to a transaction, for one of these reasons. */
const NOT_BEGUN: ReadonlySet<string> = new Set([
  'TransactionUnknown',
  'WriteSetLost',
  'SnapshotUnavailable',
  'SnapshotTooOld',
  'DeadlineExceeded',
])

/** @internal */
export function receiptOf<R>(reply: ReplyOf<'committed'>): CommitReceipt<R> {
  return {
    id: reply.id,
    status: 'committed',
    replayed: reply.replayed,
    result: reply.result === null ? undefined : (decodeValue(reply.result) as R),
    session: reply.session ?? undefined,
  }
}
