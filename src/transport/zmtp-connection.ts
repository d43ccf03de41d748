import type { Socket } from 'node:net'
import type { Clock, Timer } from '../ports/clock.js'
import { Outbox } from './outbox.js'
import type { TurnBudget } from './turn-budget.js'
import {
  answerTo,
  checkGreeting,
  checkReady,
  GREETING_BYTES,
  greeting,
  type Role,
  ready,
  ZmtpError,
} from './zmtp-format.js'
import { ZmtpFrames } from './zmtp-frames.js'
import type { ZmtpWriter } from './zmtp-writer.js'

/** As ZeroMQ has it. */
const HANDSHAKE_MS_MAX = 30_000

export interface ZmtpConnectionOptions {
  readonly role: Role
  readonly clock: Clock
  readonly turns: TurnBudget
  readonly writer: ZmtpWriter
  readonly frameBytesMax: number
  /** Frames and bytes that wait for the other side before further ones are dropped. */
  readonly outboxFramesMax: number
  readonly outboxBytesMax: number
  /** Of who takes nothing for this long all that waits is dropped, and what follows, until it takes something. Undefined: nothing is. */
  readonly stallMsMax?: number
}

export interface ZmtpConnectionHandlers {
  /** Both sides have said what they are. */
  onReady(): void
  /** The first frame of a message: the others are left out. */
  onFrame(frame: Uint8Array): void
  /** The connection is gone, and all that was read before was told. Once. `why`: it was broken off here. */
  onGone(why: ZmtpError | undefined): void
}

type Stage = 'greeting' | 'ready' | 'messages' | 'refused'

/** One connection of a DEALER or a ROUTER, on the thread and event loop of whoever has it. */
export class ZmtpConnection {
  readonly #socket: Socket
  readonly #options: ZmtpConnectionOptions
  readonly #handlers: ZmtpConnectionHandlers
  readonly #frames: ZmtpFrames
  readonly #outbox: Outbox
  readonly #handshake: Timer
  #stage: Stage = 'greeting'
  #isWithinMessage = false
  /** What came is not all seen to, and waits for a later turn. */
  #isResting = false
  #isClosed = false
  #isGone = false
  #why: ZmtpError | undefined
  /** The socket has to send what it has before it takes more. */
  #isFull = false
  #hasStalled = false
  #stall: Timer | undefined
  /** Ends it once nothing waits. */
  #onEmpty: (() => void) | undefined

  /** `socket` is connected. */
  constructor(socket: Socket, options: ZmtpConnectionOptions, handlers: ZmtpConnectionHandlers) {
    this.#socket = socket
    this.#options = options
    this.#handlers = handlers
    this.#frames = new ZmtpFrames(options.frameBytesMax)
    this.#outbox = new Outbox(options.outboxFramesMax, options.outboxBytesMax)
    this.#handshake = options.clock.timer(HANDSHAKE_MS_MAX, () => this.destroy())
    socket.on('drain', () => this.#drained())
    // Whoever has said their last word reads no answers either.
    socket.on('end', () => this.destroy())
    // What it was shows in that the connection is gone.
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.#isClosed = true
      if (!this.#isResting) this.#gone()
    })
    socket.write(greeting())
  }

  /** What has come. The bytes belong to the connection. */
  receive(piece: Buffer): void {
    this.#frames.add(piece)
    if (!this.#isResting) this.#work()
  }

  /** The bytes are the caller's again when it returns. False: it was dropped, since the other side is gone, or has yet to take what waits. */
  send(frame: Uint8Array): boolean {
    if (!this.#mayWrite || this.#hasStalled || this.#onEmpty !== undefined) return false
    if (this.#isFull) return this.#outbox.hasRoomFor(frame.length) && this.#outbox.push(new Uint8Array(frame))
    this.#write(frame)
    return true
  }

  /** Says that nothing follows what waits, and ends it once the other side has said so too; or after so long. */
  async end(waitMsMax: number): Promise<void> {
    if (this.#isClosed) return
    if (this.#stage !== 'messages') {
      this.destroy()
      return
    }
    await new Promise<void>((resolve) => {
      const timer = this.#options.clock.timer(waitMsMax, resolve)
      this.#socket.once('close', () => {
        timer.cancel()
        resolve()
      })
      if (this.#isFull) this.#onEmpty = () => this.#socket.end()
      else this.#socket.end()
    })
    this.destroy()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  /** Who writes what can't be sent any more loses what has come and was not read. */
  get #mayWrite(): boolean {
    return this.#stage === 'messages' && this.#socket.writable
  }

  #work(): void {
    this.#isResting = false
    const { turns } = this.#options
    try {
      while (!turns.isOver) if (!turns.spend(() => this.#step())) break
      if (turns.isOver) this.#rest()
    } catch (error) {
      if (!(error instanceof ZmtpError)) throw error
      this.#stage = 'refused'
      this.#why = error
      this.destroy()
    } finally {
      if (this.#isClosed && !this.#isResting) this.#gone()
    }
  }

  /** False: nothing is left for now. */
  #step(): boolean {
    if (this.#stage === 'refused') return false
    if (this.#stage === 'greeting') return this.#greet()
    const next = this.#frames.next()
    if (next === undefined) return false
    const { header, body } = next
    if (this.#stage === 'ready') this.#becomeReady(header.isCommand, body)
    else if (header.isCommand) this.#obey(body)
    else {
      const isFirst = !this.#isWithinMessage
      this.#isWithinMessage = header.hasMore
      if (isFirst) this.#handlers.onFrame(body)
    }
    return true
  }

  #greet(): boolean {
    checkGreeting(this.#frames.peek(GREETING_BYTES))
    if (this.#frames.take(GREETING_BYTES) === undefined) return false
    this.#stage = 'ready'
    this.#socket.write(ready(this.#options.role))
    return true
  }

  #becomeReady(isCommand: boolean, body: Buffer): void {
    if (!isCommand) throw new ZmtpError('a message before its time')
    checkReady(body, this.#options.role)
    this.#handshake.cancel()
    this.#stage = 'messages'
    this.#handlers.onReady()
  }

  #obey(body: Buffer): void {
    const answer = answerTo(body)
    // Who asks and does not read what is answered would fill the memory.
    if (answer !== undefined && this.#mayWrite && !this.#isFull) this.#took(this.#socket.write(answer))
  }

  #rest(): void {
    this.#isResting = true
    this.#socket.pause()
    this.#options.turns.later(() => {
      this.#socket.resume()
      this.#work()
    })
  }

  #write(frame: Uint8Array): void {
    this.#took(this.#options.writer.write(this.#socket, frame))
  }

  #took(all: boolean): void {
    if (all || this.#isFull) return
    this.#isFull = true
    const { clock, stallMsMax } = this.#options
    if (stallMsMax === undefined) return
    this.#stall = clock.timer(stallMsMax, () => {
      this.#hasStalled = true
      this.#outbox.clear()
    })
  }

  #drained(): void {
    this.#stall?.cancel()
    this.#isFull = false
    this.#hasStalled = false
    while (!this.#isFull && !this.#outbox.isEmpty) {
      const frame = this.#outbox.peek()!
      this.#outbox.shift()
      this.#write(frame)
    }
    if (!this.#isFull) this.#onEmpty?.()
  }

  #gone(): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#handshake.cancel()
    this.#stall?.cancel()
    this.#outbox.clear()
    this.#handlers.onGone(this.#why)
  }
}
