import { toHex } from '../core/bytes.js'
import type { Origin } from '../core/ids.js'
import { VirgaError } from '../errors.js'
import { DEFAULT_LIMITS, type Limits, limitExceeded } from '../limits.js'
import type { Timer } from '../ports/clock.js'
import type { Mac } from '../wire/context.js'
import { replyFrames, requestFrames } from '../wire/frames.js'
import type { Reply, ReplyOf, Request, Unnumbered } from '../wire/messages.js'
import { Arrivals } from './arrivals.js'
import type { ClientOptions } from './options.js'
import { interrupted, Pending } from './pending.js'
import { type Sending, WaitingLine } from './waiting-line.js'
import type { ClientWorld } from './world.js'

export interface RequestOptions {
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** Requests that share a frame. */
const FRAME_BYTES = 1024 * 1024
/** One in so many of what the node takes at once. */
const POSTED_PART = 16
/** A session is kept up by a word to the node this often, where there is nothing else to say. */
const PINGS_PER_TIMEOUT = 4
const PING_MS_MAX = 5_000
const CLOSE_MS_MAX = 1_000
/** How long what need not be sent at once waits for others, and how many of these go at once. */
const SOON_MS = 5
const SOON_MAX = 256
const UNHEARD_MAX = 16_384
const CLIENT_ID_BYTES = 12

/** Told in the moment that it is so. */
export interface SessionEvents {
  /** The node has greeted: what was open before is gone. */
  onUp(): void
  onDown(): void
}

/**
 * The connection to the node: greets, numbers requests, sends those of one turn of the event loop in one frame, pairs
 * answers. When the node restarts, the session is a new one: its `epoch` moves, and what was open in the old is lost.
 */
export class Session {
  readonly #world: ClientWorld
  readonly #options: Required<ClientOptions>
  readonly #pending: Pending
  readonly #line: WaitingLine
  readonly #events: SessionEvents
  readonly #client: string
  readonly #arrivals: Arrivals
  #outgoing: Request[] = []
  #outgoingBytes = 0
  /** What can wait for others. */
  #soon: Request[] = []
  #soonTimer: Timer | undefined
  #soonSentMs = Number.NEGATIVE_INFINITY
  #flushDeferred = false
  /** Of transactions of whose begin the node has not heard: it has no place for them to give up. */
  readonly #unheard = new Set<number>()
  /** What is under way at most. */
  #requestsMax = 0
  #lastRequest = 0
  #epoch = 0
  #isUp = false
  #greeting = false
  /** A node of another version. */
  #unfit: VirgaError | undefined
  #closing: Promise<void> | undefined
  #welcome: ReplyOf<'welcome'> | undefined
  #contextMac: Mac | undefined
  #waitingForUp: ((error?: VirgaError) => void)[] = []
  #ping: Timer | undefined

  constructor(world: ClientWorld, options: Required<ClientOptions>, events: SessionEvents) {
    this.#world = world
    this.#options = options
    this.#events = events
    this.#line = new WaitingLine({
      clock: world.clock,
      hasRoom: () => this.#isUp && this.#pending.underWay < this.#requestsMax,
      send: (message, sending) => this.#send(message, sending),
      onUnsent: (handle) => this.#notHeard(handle),
    })
    this.#pending = new Pending(
      world.clock,
      () => this.#arrivals.drain(),
      () => this.#line.admit(),
    )
    this.#client = toHex(world.random.bytes(CLIENT_ID_BYTES))
    this.#arrivals = new Arrivals(
      world.clock,
      (reply) => this.#settle(reply),
      () => {
        // What one part of those who waited say is on its way while the next one goes on.
        if (this.#outgoing.length > 0) this.#flush()
      },
    )
    world.link.open({
      onUp: () => this.#greet(),
      onDown: () => {
        // What was answered before that was answered.
        this.#arrivals.drain()
        this.#lose('the connection to the node broke')
      },
      onFrame: (frame) => this.#receive(frame),
    })
  }

  /** Moves whenever the node has greeted. What was made in another epoch is gone. */
  get epoch(): number {
    return this.#epoch
  }

  get isUp(): boolean {
    return this.#isUp
  }

  /** The node's incarnation. Undefined before it has greeted. */
  get origin(): Origin | undefined {
    return this.#welcome?.origin
  }

  /** What contexts of the cluster are signed by. Undefined before the node has greeted. */
  get contextMac(): Mac | undefined {
    return this.#contextMac
  }

  /** By what the node knows this client again. */
  get client(): string {
    return this.#client
  }

  get limits(): Limits {
    return this.#welcome ?? DEFAULT_LIMITS
  }

  /** Resolves when the node has greeted. Rejects with `NodeUnavailable`, `UnsupportedVersion`, `Closed` or `Interrupted`. */
  async up(signal?: AbortSignal): Promise<void> {
    if (this.#isClosing) throw closed()
    if (signal?.aborted) throw interrupted(signal)
    if (this.#isUp) return
    if (this.#unfit !== undefined) throw this.#unfit
    await this.#waitForUp(signal)
  }

  /**
   * Sends a request, when its turn has come, and waits for its answer. An answer that is an error rejects, as do time-out, loss and
   * signal.
   */
  async request<R extends Request>(message: Unnumbered<R>, options: RequestOptions = {}): Promise<Reply> {
    const { timeoutMs = this.#options.requestTimeoutMs, signal } = options
    if (signal?.aborted) throw interrupted(signal)
    if (this.#isClosing) throw closed()
    if (!this.#isUp) throw new VirgaError('NodeUnavailable', 'there is no connection to the node')
    const reply = await this.#line.request(message as Unnumbered<Request>, { timeoutMs, signal })
    if (reply.type === 'error') throw errorOf(reply)
    return reply
  }

  /**
   * Sends what needs no answer, if the node is there. Nobody waits for one, so that it counts for none: what frees a place at the
   * node is never refused.
   */
  post(message: Unnumbered<Request>): void {
    if (message.type === 'end') {
      this.#line.giveUp(message.handle)
      if (this.#unheard.delete(message.handle)) return
    }
    if (this.#isUp && !this.#isClosing) this.#queue(message)
  }

  /**
   * The same, where nothing hangs on the moment: the first goes at once, since this process may be stopped at any time; those of the
   * next milliseconds share a frame, with what is sent meanwhile. It outlives a connection, not the node.
   */
  postSoon(message: Unnumbered<Request>): void {
    if (!this.#isUp || this.#isClosing) return
    this.#soon.push({ ...message, request: ++this.#lastRequest } as Request)
    if (this.#soon.length >= SOON_MAX) this.#flush()
    else this.#flushSoon()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  get #isClosing(): boolean {
    return this.#closing !== undefined
  }

  async #close(): Promise<void> {
    this.#line.failAll(closed())
    await this.#sayGoodbye()
    this.#arrivals.drain()
    this.#isUp = false
    this.#events.onDown()
    this.#ping?.cancel()
    // What was sent may still take effect.
    this.#pending.failAll(() => new VirgaError('Closed', 'this client was closed', { outcome: 'indefinite' }))
    for (const wake of this.#waitingForUp.splice(0)) wake(closed())
    await this.#world.link.close()
  }

  /** However much is under way: else the node would keep what is open. One that has not greeted yet may be about to. */
  async #sayGoodbye(): Promise<void> {
    if (this.#isUp) {
      const { request, type } = this.#queue({ type: 'bye' })
      const goodbye = this.#pending.add(request, type, CLOSE_MS_MAX, undefined)
      this.#flush()
      await goodbye.catch(() => undefined)
    } else if (this.#greeting) {
      this.#world.link.send(requestFrames.encodeOnLoan([{ type: 'bye', request: ++this.#lastRequest }]))
    }
  }

  #send(message: Unnumbered<Request>, { timeoutMs, signal }: Sending): Promise<Reply> {
    const { request, type } = this.#queue(message)
    return this.#pending.add(request, type, timeoutMs, signal)
  }

  #queue(message: Unnumbered<Request>): Request {
    const request = { ...message, request: ++this.#lastRequest } as Request
    const bytes = requestBytes(request)
    if (bytes > this.limits.frameBytesMax) this.#checkSize(request)
    if (this.#outgoingBytes + bytes > FRAME_BYTES) this.#flush()
    // Where the node owes no answer, whoever waits for this one waits alone: it need not wait for others to share its frame.
    // A begin is not waited for, and goes with what follows it.
    if (request.type !== 'begin' && this.#pending.size === this.#outgoing.length)
      queueMicrotask(() => this.#flush())
    this.#outgoing.push(request)
    this.#outgoingBytes += bytes
    this.#flushLater()
    return request
  }

  /** The node breaks the connection over a frame that is too large. */
  #checkSize(request: Request): void {
    const { frameBytesMax } = this.limits
    const { length } = requestFrames.encodeOnLoan([request])
    if (length > frameBytesMax) throw limitExceeded(`a ${request.type}`, length, frameBytesMax, 'bytes')
  }

  #flushLater(): void {
    if (this.#flushDeferred) return
    this.#flushDeferred = true
    this.#world.clock.defer(() => {
      this.#flushDeferred = false
      this.#flush()
    })
  }

  #flushSoon(): void {
    if (this.#soonTimer !== undefined) return
    const { clock } = this.#world
    const waitMs = this.#soonSentMs + SOON_MS - clock.monotonic()
    if (waitMs > 0) this.#soonTimer = clock.timer(waitMs, () => this.#flush())
    else {
      this.#soonSentMs = clock.monotonic()
      queueMicrotask(() => this.#flush())
    }
  }

  #flush(): void {
    const soon = this.#soon
    const requests = soon.length === 0 ? this.#outgoing : [...soon, ...this.#outgoing]
    if (requests.length === 0 || !this.#isUp) return
    const waited = this.#outgoing
    this.#outgoing = []
    this.#outgoingBytes = 0
    this.#soonTimer?.cancel()
    this.#soonTimer = undefined
    if (soon.length > 0) this.#soonSentMs = this.#world.clock.monotonic()
    this.#soon = []
    if (this.#world.link.send(requestFrames.encodeOnLoan(requests))) {
      this.#line.unstuck()
      return
    }
    this.#line.stuck()
    for (const each of waited)
      if (each.type === 'begin' || each.type === 'resume') this.#notHeard(each.handle)
    // Others may still be taken. A place at the node that is not given up would be taken for as long as there is a session.
    const isFull = soon.length >= SOON_MAX
    this.#soon = [...soon, ...waited].filter((each, i) =>
      each.type === 'end' ? !this.#unheard.delete(each.handle) : i < soon.length && !isFull,
    )
    if (this.#soon.length > 0) this.#flushSoon()
    for (const { request } of waited) {
      this.#pending.fail(
        request,
        new VirgaError('Busy', 'the node does not take requests as fast as they are made'),
      )
    }
  }

  #notHeard(handle: number): void {
    // An end that the node does not need does no harm.
    if (this.#unheard.size >= UNHEARD_MAX) this.#unheard.delete(this.#unheard.values().next().value!)
    this.#unheard.add(handle)
  }

  #receive(frame: Uint8Array): void {
    let replies: readonly Reply[]
    try {
      replies = replyFrames.decode(frame)
    } catch (error) {
      this.#arrivals.drain()
      const refusal = VirgaError.is(error)
        ? error
        : new VirgaError('Malformed', 'an answer that can not be read')
      this.#pending.failAll(
        () => new VirgaError(refusal.code, refusal.message, { outcome: 'indefinite', cause: error }),
      )
      return
    }
    this.#arrivals.add(replies)
  }

  #settle(reply: Reply): void {
    if (reply.type === 'welcome') {
      // One that nobody waits for was meant for a connection that is gone.
      if (this.#pending.has(reply.request)) this.#welcomed(reply)
    } else if (reply.type === 'error' && reply.code === 'SessionLost' && this.#isUp) {
      this.#lose('the node does not know this session any more')
      this.#greet()
    } else if (reply.type === 'error' && reply.request === 0) {
      // A frame of ours was refused as a whole, and it could not be read which requests were in it.
      this.#pending.failAll(() => new VirgaError(reply.code, reply.message, { outcome: 'indefinite' }))
    } else this.#pending.settle(reply)
  }

  #greet(): void {
    if (this.#isClosing || this.#greeting) return
    this.#greeting = true
    this.#unfit = undefined
    const { pid, namespace, startedAt } = this.#world.processes.self()
    const request = ++this.#lastRequest
    const hello: Request = { type: 'hello', request, client: this.#client, pid, namespace, startedAt }
    const greeting = this.#pending.add(request, 'greeting', this.#options.connectTimeoutMs, undefined)
    if (!this.#world.link.send(requestFrames.encodeOnLoan([hello])))
      this.#pending.fail(request, unavailable())
    greeting.then(
      (reply) => {
        this.#greeting = false
        if (reply.type !== 'error') return
        const error = errorOf(reply)
        this.#refused(error)
        // A node that is full may have room later.
        if (error.retryable) this.#greetLater()
      },
      (error: unknown) => {
        this.#greeting = false
        if (VirgaError.is(error) && error.code === 'UnsupportedVersion') {
          // It stays so for as long as that node runs.
          this.#unfit = new VirgaError(error.code, error.message, { cause: error })
          this.#refused(this.#unfit)
        } else if (!this.#isUp) {
          // No answer, though there is a connection: greet again, unless the connection broke meanwhile.
          this.#greetLater()
        }
      },
    )
  }

  #greetLater(): void {
    this.#world.clock.timer(this.#options.retryDelayMsMax, () => {
      if (!this.#isUp) this.#greet()
    })
  }

  #welcomed(welcome: ReplyOf<'welcome'>): void {
    if (this.#welcome?.origin !== welcome.origin) this.#soon = []
    this.#welcome = welcome
    // A part is left to what nobody waits for, which counts at the node as well.
    this.#requestsMax = welcome.requestsMax - Math.floor(welcome.requestsMax / POSTED_PART)
    this.#contextMac = this.#world.macOf(welcome.contextKey)
    this.#epoch++
    this.#isUp = true
    this.#pending.settle(welcome)
    this.#events.onUp()
    if (this.#soon.length > 0) this.#flushSoon()
    for (const wake of this.#waitingForUp.splice(0)) wake()
    this.#keepUp(Math.min(PING_MS_MAX, welcome.sessionTimeoutMs / PINGS_PER_TIMEOUT))
  }

  /** The node is there and will not have this client: nobody need wait for it. */
  #refused(error: VirgaError): void {
    for (const wake of this.#waitingForUp.splice(0)) wake(error)
  }

  #lose(why: string): void {
    this.#isUp = false
    this.#greeting = false
    // Who comes in its place may speak this version.
    this.#unfit = undefined
    this.#ping?.cancel()
    this.#outgoing = []
    this.#outgoingBytes = 0
    this.#soonTimer?.cancel()
    this.#soonTimer = undefined
    this.#events.onDown()
    this.#line.failAll(new VirgaError('SessionLost', why))
    this.#unheard.clear()
    this.#pending.failAll(() => new VirgaError('SessionLost', why, { outcome: 'indefinite' }))
  }

  #keepUp(everyMs: number): void {
    this.#ping?.cancel()
    this.#ping = this.#world.clock.timer(everyMs, () => {
      // Its failure shows in other ways: this is only for the node to hear of this client.
      if (this.#isUp) this.request({ type: 'ping' }).catch(() => undefined)
      this.#keepUp(everyMs)
    })
  }

  #waitForUp(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const { clock } = this.#world
      const timer = clock.timer(this.#options.connectTimeoutMs, () => settle(unavailable()))
      const onAbort = (): void => settle(interrupted(signal!))
      const settle = (error?: VirgaError): void => {
        timer.cancel()
        signal?.removeEventListener('abort', onAbort)
        this.#waitingForUp = this.#waitingForUp.filter((other) => other !== settle)
        if (error === undefined) resolve()
        else reject(error)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#waitingForUp.push(settle)
    })
  }
}

function errorOf(reply: ReplyOf<'error'>): VirgaError {
  return new VirgaError(reply.code, reply.message, { outcome: reply.indefinite ? 'indefinite' : 'definite' })
}

function closed(): VirgaError {
  return new VirgaError('Closed', 'this client was closed')
}

function unavailable(): VirgaError {
  return new VirgaError(
    'NodeUnavailable',
    'no node answers: is one running (virga serve), with the same socket path?',
  )
}

/** How many bytes a request takes in a frame, at most, and about. */
function requestBytes(request: Request): number {
  let bytes = 64
  if ('writes' in request)
    for (const [key, value] of request.writes) bytes += key.length * 3 + (value?.length ?? 0) + 12
  else if (request.type === 'read') for (const key of request.keys) bytes += key.length * 3 + 5
  else if (request.type === 'resume') for (const context of request.contexts) bytes += context.length
  if (request.type === 'commit') bytes += request.result?.length ?? 0
  return bytes
}
