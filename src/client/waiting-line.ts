import { VirgaError } from '../errors.js'
import { mark } from '../marks.js'
import type { Clock, Timer } from '../ports/clock.js'
import type { Reply, Request, Unnumbered } from '../wire/messages.js'
import { interrupted } from './pending.js'

export interface Sending {
  /** For the answer, from when it is sent. As long it may have waited for its turn before. */
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
}

interface Waiting extends Sending {
  /** Belongs to its lane. */
  place: number
  readonly message: Unnumbered<Request>
  readonly sinceMs: number
  readonly settle: (outcome: Promise<Reply>) => void
  /** Of one that begins a transaction, or takes one up: what was asked for in it meanwhile, which goes when it has gone. */
  followers: Waiting[] | undefined
}

export interface WaitingLineParts {
  readonly clock: Clock
  /** Whether one more may be under way. */
  readonly hasRoom: () => boolean
  /** Throws if it can't be sent at all. */
  readonly send: (message: Unnumbered<Request>, sending: Sending) => Promise<Reply>
  /** What would have begun with this handle was not sent, and never will be. */
  readonly onUnsent: (handle: number) => void
}

/** Of one client. What they carry its process has in memory anyway. */
const WAITING_MAX = 262_144
/** Nothing is begun or taken up while more than these wait that go on with what was. */
const BACKLOG_MAX = 256
/** But now and then: what goes on may have no end. */
const SKIPS_MAX = 16
/** How late it may be noticed that one has waited for too long. */
const SWEEP_MS = 100
/** How often it is tried whether the connection takes something again. */
const PROBE_MS = 5

/**
 * Requests beyond what a node takes of one client at once wait for their turn, and go as others are answered. Were they refused,
 * each would be tried again, until the process does nothing else: docs/decisions/waiting-for-a-turn.md.
 */
export class WaitingLine {
  readonly #clock: Clock
  readonly #hasRoom: () => boolean
  readonly #send: WaitingLineParts['send']
  readonly #onUnsent: WaitingLineParts['onUnsent']
  /** What goes on with a transaction, or belongs to none. */
  readonly #others = new Lane()
  /** What can't wait for long: a snapshot that the node has not been told of, an outcome that is looked for. */
  readonly #urgent = new Lane()
  /** What begins a transaction, or takes one up. */
  readonly #fresh = new Lane()
  /** Whose turn it is; if none of a lane waits, it is the next one's. */
  readonly #turns = [this.#others, this.#urgent, this.#others, this.#fresh]
  #turn = 0
  #skips = 0
  /** Begins and resumes that wait, by the handle. */
  readonly #heads = new Map<number, Waiting>()
  #size = 0
  #isSending = false
  #isStuck = false
  #sweeper: Timer | undefined
  #probe: Timer | undefined

  constructor({ clock, hasRoom, send, onUnsent }: WaitingLineParts) {
    this.#clock = clock
    this.#hasRoom = hasRoom
    this.#send = send
    this.#onUnsent = onUnsent
  }

  get size(): number {
    return this.#size
  }

  /** Sends a request when its turn has come: now, if nobody waits. Rejects with `Busy` when too many wait, or it has for too long. */
  request(message: Unnumbered<Request>, sending: Sending): Promise<Reply> {
    if (this.#size === 0 && this.#hasRoom()) return this.#send(message, sending)
    if (this.#size >= WAITING_MAX) {
      if (isHead(message)) this.#onUnsent(message.handle)
      throw new VirgaError('Busy', `${this.#size} requests wait for their turn, as many as may`)
    }
    mark('wait.own-requests')
    return this.#wait(message, sending)
  }

  /** Sends those for which there is room. */
  admit(): void {
    if (this.#size === 0 || this.#isSending || this.#isStuck) return
    while (this.#size > 0 && !this.#isStuck && this.#hasRoom()) this.#sendFirst()
  }

  /** The connection takes nothing: who waits goes on waiting. */
  stuck(): void {
    this.#isStuck = true
    if (this.#size > 0) this.#probeLater()
  }

  /** It took something. */
  unstuck(): void {
    if (!this.#isStuck) return
    this.#isStuck = false
    this.admit()
  }

  /** Nobody uses a handle any more. True: what would have begun there had not been sent, and never will be. */
  giveUp(handle: number): boolean {
    const head = this.#heads.get(handle)
    if (head === undefined) return false
    this.#drop(head, new VirgaError('Interrupted', 'its transaction ended before it was sent'))
    return true
  }

  failAll(error: VirgaError): void {
    this.#isStuck = false
    this.#probe?.cancel()
    this.#probe = undefined
    for (const lane of [this.#others, this.#urgent, this.#fresh])
      for (const waiting of lane) this.#drop(waiting, error)
  }

  #laneOf(message: Unnumbered<Request>): Lane {
    const { type } = message
    if (type === 'resolve' || type === 'ping' || (type === 'begin' && message.snapshot !== null))
      return this.#urgent
    return isHead(message) ? this.#fresh : this.#others
  }

  #wait(message: Unnumbered<Request>, { timeoutMs, signal }: Sending): Promise<Reply> {
    return new Promise((resolve) => {
      const onAbort = (): void => void this.#drop(waiting, interrupted(signal!))
      const settle = (outcome: Promise<Reply>): void => {
        signal?.removeEventListener('abort', onAbort)
        resolve(outcome)
      }
      const sinceMs = this.#clock.monotonic()
      const waiting: Waiting = { place: 0, message, timeoutMs, signal, sinceMs, settle, followers: undefined }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#size++
      const head = this.#headOf(message)
      if (head !== undefined) {
        head.followers ??= []
        head.followers.push(waiting)
      } else this.#laneOf(message).add(waiting)
      if (isHead(message)) this.#heads.set(message.handle, waiting)
      this.#sweeper ??= this.#clock.timer(SWEEP_MS, () => this.#sweep())
      if (this.#isStuck) this.#probeLater()
    })
  }

  /** What has to be sent before it, and waits. */
  #headOf(message: Unnumbered<Request>): Waiting | undefined {
    return 'handle' in message && !isHead(message) ? this.#heads.get(message.handle) : undefined
  }

  #take(): Waiting {
    for (;;) {
      const lane = this.#turns[this.#turn]!
      this.#turn = (this.#turn + 1) % this.#turns.length
      const isLater = lane === this.#fresh && this.#others.size > BACKLOG_MAX && ++this.#skips < SKIPS_MAX
      if (isLater) continue
      if (lane === this.#fresh) this.#skips = 0
      const first = lane.take()
      if (first !== undefined) return first
    }
  }

  /** What sending it brings about must not send others before it. */
  #sendFirst(): void {
    const first = this.#take()
    const { message, sinceMs, timeoutMs, signal, settle, followers = NOBODY } = first
    this.#left(message)
    // Those who are told by the same signal are told in turn: this one is about to be.
    if (signal?.aborted) {
      this.#unsent(message, followers, interrupted(signal))
      settle(Promise.reject(interrupted(signal)))
      return
    }
    this.#isSending = true
    try {
      settle(this.#send(shortened(message, this.#clock.monotonic() - sinceMs), { timeoutMs, signal }))
    } catch (error) {
      settle(Promise.reject(error))
    } finally {
      this.#isSending = false
    }
    // Whatever became of it: the answer to what follows says so.
    for (const follower of followers) this.#others.add(follower)
  }

  /** It waits no more; nor does what follows it, which would be of no use. False: it waits no more already. */
  #drop(waiting: Waiting, error: VirgaError): boolean {
    const { message, settle, followers = NOBODY } = waiting
    if (!this.#laneOf(message).delete(waiting)) {
      const head = this.#headOf(message)
      if (!head?.followers?.includes(waiting)) return false
      head.followers = head.followers.filter((other) => other !== waiting)
    }
    this.#left(message)
    settle(Promise.reject(error))
    this.#unsent(message, followers, error)
    return true
  }

  #left(message: Unnumbered<Request>): void {
    this.#size--
    if (isHead(message)) this.#heads.delete(message.handle)
  }

  #unsent(message: Unnumbered<Request>, followers: readonly Waiting[], error: VirgaError): void {
    if (isHead(message)) this.#onUnsent(message.handle)
    for (const follower of followers) {
      this.#size--
      follower.settle(Promise.reject(error))
    }
  }

  #probeLater(): void {
    this.#probe ??= this.#clock.timer(PROBE_MS, () => {
      this.#probe = undefined
      if (this.#isStuck && this.#size > 0 && this.#hasRoom()) this.#sendFirst()
      if (this.#size === 0) return
      if (this.#isStuck) this.#probeLater()
      else this.admit()
    })
  }

  #sweep(): void {
    this.#sweeper = undefined
    const now = this.#clock.monotonic()
    for (const lane of [this.#others, this.#urgent, this.#fresh])
      for (const waiting of lane) {
        const { followers = NOBODY } = waiting
        this.#expire(waiting, now)
        for (const follower of followers) this.#expire(follower, now)
      }
    if (this.#size > 0) this.#sweeper ??= this.#clock.timer(SWEEP_MS, () => this.#sweep())
  }

  #expire(waiting: Waiting, now: number): void {
    const { message, sinceMs, timeoutMs } = waiting
    if (now < sinceMs + timeoutMs) return
    const error = new VirgaError('Busy', `a ${message.type} had no turn within ${timeoutMs} ms`)
    if (this.#drop(waiting, error)) mark('busy.own-wait')
  }
}

const NOBODY: readonly Waiting[] = []

type Head = Extract<Unnumbered<Request>, { readonly type: 'begin' | 'resume' }>

function isHead(message: Unnumbered<Request>): message is Head {
  return message.type === 'begin' || message.type === 'resume'
}

/** A deadline counts from when the transaction was begun, not from when the node hears of it. */
function shortened(message: Unnumbered<Request>, waitedMs: number): Unnumbered<Request> {
  if (message.type !== 'begin' || message.deadlineMs === null) return message
  return { ...message, deadlineMs: Math.max(1, Math.floor(message.deadlineMs - waitedMs)) }
}

/** First come, first served. */
class Lane {
  /** From `#first` on; undefined: it was taken out. */
  #queue: (Waiting | undefined)[] = []
  #first = 0
  /** Places of what is not in the queue any more. */
  #dropped = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  add(waiting: Waiting): void {
    waiting.place = this.#dropped + this.#queue.length
    this.#queue.push(waiting)
    this.#size++
  }

  take(): Waiting | undefined {
    while (this.#first < this.#queue.length) {
      const first = this.#queue[this.#first]
      this.#queue[this.#first++] = undefined
      if (first === undefined) continue
      this.#size--
      this.#compact()
      return first
    }
    return undefined
  }

  /** False: it is not in there. */
  delete(waiting: Waiting): boolean {
    const at = waiting.place - this.#dropped
    if (this.#queue[at] !== waiting) return false
    this.#queue[at] = undefined
    this.#size--
    return true
  }

  *[Symbol.iterator](): IterableIterator<Waiting> {
    // What is dropped meanwhile is passed over; what is added has its turn.
    for (let i = this.#first; i < this.#queue.length; i++) {
      const waiting = this.#queue[i]
      if (waiting !== undefined) yield waiting
    }
  }

  #compact(): void {
    if (2 * this.#first < this.#queue.length) return
    this.#dropped += this.#first
    this.#queue = this.#queue.slice(this.#first)
    this.#first = 0
  }
}
