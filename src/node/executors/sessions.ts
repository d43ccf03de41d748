import type { Cut } from '../../core/cut.js'
import { VirgaError } from '../../errors.js'
import { limitExceeded } from '../../limits.js'
import { mark } from '../../marks.js'
import type { Timer } from '../../ports/clock.js'
import type { ListenerHandlers, PeerId } from '../../ports/transport.js'
import { replyFrames, requestFrames, requestNumbers } from '../../wire/frames.js'
import type { Reply, Request, RequestOf } from '../../wire/messages.js'
import type { NodeState } from '../state.js'
import type { View } from '../view/view.js'
import { errorReply, replyBytes } from './replies.js'
import type { Queued, Requests } from './requests.js'
import { Session } from './session.js'
import type { Transactions } from './transactions.js'

/** Requests that one session may have seen to before it is another's turn. */
const QUANTUM = 32
/** How long requests are seen to before the sockets are looked at again. */
const TURN_MS_MAX = 2
/** Replies that share a frame. */
const FRAME_BYTES = 1024 * 1024
/** Of the answers that an executor may wait for: so many that nobody asks for go by themselves. */
const UNASKED_PART = 0.25
/** Each text of a hello. */
const HELLO_CHARS_MAX = 256
/** Malformed frames are logged this often at most; all are counted. */
const REFUSALS_LOGGED_EVERY_MS = 10_000

/**
 * The executors at the node's socket: who they are, whose turn it is, what they are answered.
 *
 * Each session has a bounded queue. Sessions with requests stand in a ring; each in turn has a few seen to. So a flood on
 * one session fills its own queue and is answered `Busy`, and everyone else waits for a quantum of it at most.
 */
export class Sessions implements ListenerHandlers {
  readonly #state: NodeState
  readonly #transactions: Transactions
  readonly #requests: Requests
  readonly #view: View
  readonly #welcome: Omit<Extract<Reply, { type: 'welcome' }>, 'request'>
  readonly #sessions = new Map<PeerId, Session>()
  readonly #byClient = new Map<string, Session>()
  #ring: Session[] = []
  #dirty: Session[] = []
  #pumpDeferred = false
  #flushDeferred = false
  #pumping = false
  /** Requests of all sessions that have had their turn and are not answered yet. */
  #underWay = 0
  /** Answers wait for readers of a view that is gone. */
  #waiting: Timer | undefined
  #refusalLoggedAt = Number.NEGATIVE_INFINITY

  constructor(
    state: NodeState,
    transactions: Transactions,
    requests: Requests,
    view: View,
    welcome: Omit<Extract<Reply, { type: 'welcome' }>, 'request'>,
  ) {
    this.#state = state
    this.#transactions = transactions
    this.#requests = requests
    this.#view = view
    this.#welcome = welcome
  }

  get count(): number {
    return this.#sessions.size
  }

  /** Commits and handoffs that are under way, those of sessions that have ended among them. */
  get deciding(): number {
    return this.#requests.deciding
  }

  /** The snapshots of all open transactions. */
  cuts(): Iterable<Cut> {
    return this.#transactions.cuts(this.#sessions.values())
  }

  /** Takes a frame from the socket. Never throws: whatever comes is answered or counted. */
  onFrame(peer: PeerId, frame: Uint8Array): void {
    let messages: readonly Request[]
    try {
      messages = requestFrames.decode(frame)
    } catch (error) {
      this.#refuse(peer, frame, error)
      return
    }
    for (const message of messages) this.#accept(peer, message)
    if (!this.#pumpDeferred && !this.#pumping) this.#pump()
  }

  /** A connection has ended, most often with its executor. One that connects again greets anew: it has forgotten what it had open. */
  onGone(peer: PeerId, why?: Error): void {
    if (why !== undefined) {
      this.#state.counters.refusedMalformed++
      this.#noteRefusal({ reason: why.message }, 'a connection was broken off')
    }
    const session = this.#sessions.get(peer)
    if (session !== undefined) this.#lose(session)
  }

  /** Looks after deadlines, and after executors that died. */
  sweep(nowMs: number): void {
    const monotonicMs = this.#state.world.clock.monotonic()
    for (const session of [...this.#sessions.values()]) {
      this.#transactions.expire(session, nowMs)
      if (session.replies.length > 0 && !session.isDirty) this.#dirty.push(session)
      if (this.#isDead(session, monotonicMs)) this.#lose(session)
    }
    this.#flush()
  }

  /** Tells every executor that the node stops, and forgets them. */
  closeAll(): void {
    for (const session of [...this.#sessions.values()]) {
      for (const { request } of session.queue) this.#reply(session, errorReply(request, shuttingDown()))
      session.queue.length = 0
      this.#flushSession(session)
      this.#close(session)
    }
  }

  /** Sends what has been answered. */
  #flush(): void {
    // Whoever is told of a commit sees it in the view as well.
    this.#view.flush()
    const waitMs = this.#view.waitMs()
    if (waitMs > 0) {
      this.#waiting ??= this.#state.world.clock.timer(waitMs, () => {
        this.#waiting = undefined
        this.#flush()
      })
      return
    }
    const dirty = this.#dirty
    this.#dirty = []
    for (const session of dirty) this.#flushSession(session)
  }

  #accept(peer: PeerId, request: Request): void {
    this.#state.counters.requests++
    const session = this.#sessions.get(peer)
    if (request.type === 'hello') {
      this.#hello(peer, session, request)
      return
    }
    if (session === undefined) {
      // A node that was started again hears from executors of its last incarnation.
      mark('refuse.no-session')
      this.#turnAway(peer, request, new VirgaError('SessionLost', 'the node does not know this session'))
      return
    }
    session.lastHeardMs = this.#state.world.clock.monotonic()
    if (request.type === 'bye') {
      this.#reply(session, { type: 'done', request: request.request })
      this.#flush()
      this.#close(session)
      return
    }
    if (request.type === 'passed') {
      this.#passed(session, request)
      return
    }
    // What frees a place is not refused, unless there can't be as many places.
    const { requestsPerSessionMax, transactionsMax } = this.#state.config
    const isFull =
      request.type === 'end'
        ? session.load >= requestsPerSessionMax + transactionsMax
        : session.load - session.ends >= requestsPerSessionMax
    if (isFull) {
      mark('busy.requests')
      this.#state.counters.refusedBusy++
      this.#reply(session, errorReply(request.request, busy(session.load)))
      return
    }
    session.queue.push(request)
    if (request.type === 'end') session.ends++
    if (session.queue.length === 1) this.#ring.push(session)
  }

  /** At once: who takes the transaction up, and ends it, may be another session, whose turn is sooner. */
  #passed(session: Session, request: RequestOf<'passed'>): void {
    try {
      this.#requests.passed(request)
    } catch (error) {
      this.#fail(session, request.request, error)
    }
  }

  #pump(): void {
    this.#pumpDeferred = false
    this.#pumping = true
    const until = this.#state.world.clock.monotonic() + TURN_MS_MAX
    let session = this.#ring.shift()
    while (session !== undefined) {
      const some = session.queue.splice(0, QUANTUM)
      for (const request of some) if (!session.closed) this.#see(session, request as Queued)
      if (session.queue.length > 0) this.#ring.push(session)
      if (this.#state.world.clock.monotonic() >= until) break
      session = this.#ring.shift()
    }
    this.#pumping = false
    // What others wait for may be answered in this turn of the event loop: it goes out together.
    if (this.#underWay === 0) this.#flush()
    else if (this.#dirty.length > 0) this.#flushLater()
    if (this.#ring.length > 0) {
      this.#pumpDeferred = true
      this.#state.world.clock.defer(() => this.#pump())
    }
  }

  #see(session: Session, request: Queued): void {
    if (request.type === 'end') session.ends--
    let answer: Reply | Promise<Reply>
    try {
      answer = this.#requests.answer(session, request)
    } catch (error) {
      this.#fail(session, request.request, error)
      return
    }
    if (!(answer instanceof Promise)) {
      if (answer.type === 'begun') this.#replyAlong(session, answer)
      else this.#reply(session, answer)
      return
    }
    session.underWay++
    this.#underWay++
    answer.then(
      (reply) => {
        session.underWay--
        this.#underWay--
        if (reply.type === 'begun' && request.type === 'resume') this.#replyAlong(session, reply)
        else this.#reply(session, reply)
      },
      (error: unknown) => {
        session.underWay--
        this.#underWay--
        this.#fail(session, request.request, error)
      },
    )
  }

  #fail(session: Session, request: number, error: unknown): void {
    if (!VirgaError.is(error) || error.code === 'Internal') {
      this.#state.counters.internalErrors++
      this.#state.world.log.error({ err: error, client: session.client }, 'an unforeseen error in a request')
    }
    if (VirgaError.is(error) && error.code === 'Busy') this.#state.counters.refusedBusy++
    this.#reply(session, errorReply(request, error))
  }

  /**
   * Nobody waits for the answer to a begin that had nothing to look up: it goes with the next one. Many go by themselves: an
   * executor that waits for as many answers as it may asks for nothing else before these have come.
   */
  #replyAlong(session: Session, reply: Reply): void {
    if (session.replies.length + 1 >= this.#state.config.requestsPerSessionMax * UNASKED_PART)
      this.#reply(session, reply)
    else if (!session.closed) session.replies.push(reply)
  }

  #reply(session: Session, reply: Reply): void {
    if (session.closed) return
    session.replies.push(reply)
    if (!session.isDirty) {
      session.isDirty = true
      this.#dirty.push(session)
    }
    if (!this.#pumping) this.#flushLater()
  }

  /** Answers that become ready together, as those of one group commit do, go out together. One alone goes at once. */
  #flushLater(): void {
    if (this.#flushDeferred) return
    this.#flushDeferred = true
    const flush = (): void => {
      this.#flushDeferred = false
      this.#flush()
    }
    if (this.#underWay === 0) queueMicrotask(flush)
    else this.#state.world.clock.defer(flush)
  }

  #flushSession(session: Session): void {
    const { replies } = session
    session.isDirty = false
    let first = 0
    let bytes = 0
    for (let i = 0; i < replies.length; i++) {
      const next = replyBytes(replies[i]!)
      if (i > first && bytes + next > FRAME_BYTES) {
        this.#send(session.peer, replies.slice(first, i))
        first = i
        bytes = 0
      }
      bytes += next
    }
    if (first < replies.length) this.#send(session.peer, first === 0 ? replies : replies.slice(first))
    replies.length = 0
  }

  /** What an executor does not take for long is dropped: it fails there by its time-out. What is open goes on. */
  #send(peer: PeerId, replies: readonly Reply[]): void {
    if (!this.#state.world.listener.send(peer, replyFrames.encodeOnLoan(replies)))
      this.#state.counters.repliesDropped += replies.length
  }

  /** Answers who has no session, and keeps nothing of them. */
  #turnAway(peer: PeerId, { request }: Request, why: VirgaError): void {
    this.#send(peer, [errorReply(request, why)])
  }

  #hello(peer: PeerId, known: Session | undefined, request: RequestOf<'hello'>): void {
    const refusal = this.#refusalOf(request, known)
    if (refusal !== undefined) {
      if (known === undefined) this.#turnAway(peer, request, refusal)
      else this.#reply(known, errorReply(request.request, refusal))
      return
    }
    const former = this.#byClient.get(request.client)
    if (former !== undefined && former !== known) this.#lose(former)
    let session = known
    if (session !== undefined) this.#startAfresh(session)
    else {
      session = new Session(peer, this.#state.world.clock.monotonic())
      this.#sessions.set(peer, session)
      this.#state.counters.sessionsOpened++
    }
    session.client = request.client
    session.process = { pid: request.pid, namespace: request.namespace, startedAt: request.startedAt }
    this.#byClient.set(request.client, session)
    this.#reply(session, { ...this.#welcome, request: request.request })
    this.#flush()
  }

  #refusalOf(hello: RequestOf<'hello'>, known: Session | undefined): VirgaError | undefined {
    for (const name of ['client', 'namespace', 'startedAt'] as const) {
      const { length } = hello[name]
      if (length > HELLO_CHARS_MAX) return limitExceeded(name, length, HELLO_CHARS_MAX, 'characters')
    }
    const isFull = this.#sessions.size >= this.#state.config.sessionsMax
    if (known !== undefined || !isFull || this.#byClient.has(hello.client)) return undefined
    mark('busy.sessions')
    this.#state.counters.refusedBusy++
    return new VirgaError('Busy', 'the node has as many sessions as it may')
  }

  /** An executor greets again: it has forgotten what it had open. What is under way is still answered. */
  #startAfresh(session: Session): void {
    for (const { request } of session.queue.splice(0)) {
      this.#reply(session, errorReply(request, new VirgaError('SessionLost', 'the executor greeted again')))
    }
    session.ends = 0
    this.#transactions.endAll(session)
    this.#view.detach(session)
    this.#byClient.delete(session.client)
  }

  /** Malformed frames, and those of another version: told as far as they can be read, counted, now and then logged. */
  #refuse(peer: PeerId, frame: Uint8Array, error: unknown): void {
    const refusal = VirgaError.is(error)
      ? error
      : new VirgaError('Malformed', 'a frame that can not be read', { cause: error })
    mark(refusal.code === 'UnsupportedVersion' ? 'refuse.version' : 'refuse.malformed')
    if (refusal.code === 'UnsupportedVersion') this.#state.counters.refusedVersion++
    else this.#state.counters.refusedMalformed++
    this.#noteRefusal({ reason: refusal.message, bytes: frame.length }, 'a frame was refused')
    const numbers = requestNumbers(frame)
    const told = numbers.length > 0 ? numbers.slice(0, this.#state.config.requestsPerSessionMax) : [0]
    const replies = told.map((number) => errorReply(number, refusal))
    this.#send(peer, replies)
  }

  #noteRefusal(about: Readonly<Record<string, unknown>>, what: string): void {
    const now = this.#state.world.clock.monotonic()
    if (now - this.#refusalLoggedAt < REFUSALS_LOGGED_EVERY_MS) return
    this.#refusalLoggedAt = now
    this.#state.world.log.warn(about, what)
  }

  #isDead(session: Session, monotonicMs: number): boolean {
    const alive =
      session.process === undefined ? undefined : this.#state.world.processes.isAlive(session.process)
    if (alive !== undefined) return !alive
    return monotonicMs - session.lastHeardMs > this.#state.config.sessionTimeoutMs
  }

  /** An executor died, or came back under another connection: what it had open is aborted. */
  #lose(session: Session): void {
    this.#state.counters.sessionsLost++
    this.#state.world.log.info({ client: session.client, open: session.handles.size }, 'an executor is gone')
    this.#close(session)
  }

  #close(session: Session): void {
    session.closed = true
    session.queue.length = 0
    this.#transactions.endAll(session)
    this.#view.detach(session)
    this.#sessions.delete(session.peer)
    if (this.#byClient.get(session.client) === session) this.#byClient.delete(session.client)
  }
}

function busy(load: number): VirgaError {
  return new VirgaError(
    'Busy',
    `${load} requests of this executor are waiting or under way, as many as may be`,
  )
}

function shuttingDown(): VirgaError {
  return new VirgaError('ShuttingDown', 'the node is stopping')
}
