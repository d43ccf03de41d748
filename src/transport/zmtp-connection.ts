import type { Socket } from 'node:net'
import type { Clock, Timer } from '../ports/clock.js'
import { Outbox } from './outbox.js'
import type { Turns } from './turns.js'
import {
  answerTo,
  checkGreeting,
  checkReady,
  GREETING_BYTES,
  greeting,
  headerBytes,
  type Role,
  ready,
  writeHeader,
  ZmtpError,
} from './zmtp-format.js'
import { ZmtpFrames } from './zmtp-frames.js'

/** As ZeroMQ has it. */
const HANDSHAKE_MS_MAX = 30_000
/** Who takes nothing for this long is not kept what waits for them. */
const STALL_MS_MAX = 30_000
/** A frame that is not larger is copied behind its header, and goes out with it in one piece. */
const COPIED_BYTES_MAX = 16 * 1024

export interface ZmtpConnectionOptions {
  readonly role: Role
  readonly clock: Clock
  readonly turns: Turns
  readonly frameBytesMax: number
  /** Frames and bytes that wait for the other side before further ones are dropped. */
  readonly outboxFramesMax: number
  readonly outboxBytesMax: number
}

export interface ZmtpConnectionHandlers {
  /** Both sides have said what they are. */
  onReady(): void
  /** The first frame of a message: the others are left out. Must not throw. */
  onFrame(frame: Uint8Array): void
  /** The connection is gone, and all that came before was told. Once. */
  onGone(): void
}

type Stage = 'greeting' | 'ready' | 'messages' | 'gone'

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
  #isEnded = false
  /** What waits for the socket to take more is given up then. */
  #stall: Timer | undefined
  #onEmpty: (() => void) | undefined

  /** `socket` is connected. */
  constructor(socket: Socket, options: ZmtpConnectionOptions, handlers: ZmtpConnectionHandlers) {
    this.#socket = socket
    this.#options = options
    this.#handlers = handlers
    this.#frames = new ZmtpFrames(options.frameBytesMax)
    this.#outbox = new Outbox(options.outboxFramesMax, options.outboxBytesMax)
    this.#handshake = options.clock.timer(HANDSHAKE_MS_MAX, () => this.destroy())
    socket.on('data', (piece) => {
      this.#frames.add(piece)
      if (!this.#isResting) this.#work()
    })
    socket.on('drain', () => this.#drained())
    // What it was shows in that the connection is gone.
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.#isEnded = true
      this.#giveUpWaiting()
      if (!this.#isResting) this.#gone()
    })
    socket.write(greeting())
  }

  /** False: it was dropped, since the other side is gone, or has yet to take what waits. */
  send(frame: Uint8Array): boolean {
    if (this.#stage !== 'messages' || this.#isEnded) return false
    if (this.#stall === undefined) this.#write(frame)
    else return this.#outbox.push(frame)
    return true
  }

  /** Ends it once what waits is on its way, or after so long. */
  async end(waitMsMax: number): Promise<void> {
    if (this.#isEnded) return
    await new Promise<void>((resolve) => {
      const timer = this.#options.clock.timer(waitMsMax, resolve)
      const done = (): void => {
        timer.cancel()
        resolve()
      }
      this.#socket.once('close', done)
      if (this.#stall !== undefined) this.#onEmpty = () => this.#socket.end(done)
      else this.#socket.end(done)
    })
    this.destroy()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #work(): void {
    this.#isResting = false
    try {
      while (this.#step());
    } catch (error) {
      if (!(error instanceof ZmtpError)) throw error
      this.#stage = 'gone'
      this.destroy()
    }
    if (this.#isEnded && !this.#isResting) this.#gone()
  }

  /** False: there is nothing more to do for now. */
  #step(): boolean {
    if (this.#stage === 'gone') return false
    if (this.#stage === 'greeting') return this.#greet()
    const { turns } = this.#options
    if (turns.isOver) {
      this.#rest()
      return false
    }
    const next = this.#frames.next()
    if (next === undefined) return false
    const { header, body } = next
    if (this.#stage === 'ready') this.#becomeReady(header.isCommand, body)
    else if (header.isCommand) this.#obey(body)
    else {
      const isFirst = !this.#isWithinMessage
      this.#isWithinMessage = header.hasMore
      if (isFirst) turns.spend(() => this.#handlers.onFrame(body))
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
    // Who sends these and does not read what is answered would fill the memory.
    if (answer !== undefined && this.#stall === undefined) this.#took(this.#socket.write(answer))
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
    const header = headerBytes(frame.length)
    if (frame.length <= COPIED_BYTES_MAX) {
      const bytes = Buffer.allocUnsafe(header + frame.length)
      writeHeader(bytes, frame.length)
      bytes.set(frame, header)
      this.#took(this.#socket.write(bytes))
      return
    }
    const bytes = Buffer.allocUnsafe(header)
    writeHeader(bytes, frame.length)
    this.#socket.cork()
    this.#socket.write(bytes)
    const took = this.#socket.write(frame)
    this.#socket.uncork()
    this.#took(took)
  }

  #took(all: boolean): void {
    if (all || this.#stall !== undefined) return
    this.#stall = this.#options.clock.timer(STALL_MS_MAX, () => this.#outbox.clear())
  }

  #drained(): void {
    this.#stall?.cancel()
    this.#stall = undefined
    while (this.#stall === undefined && !this.#outbox.isEmpty) {
      const frame = this.#outbox.peek()!
      this.#outbox.shift()
      this.#write(frame)
    }
    if (this.#stall === undefined) this.#giveUpWaiting()
  }

  #giveUpWaiting(): void {
    this.#onEmpty?.()
    this.#onEmpty = undefined
  }

  #gone(): void {
    this.#handshake.cancel()
    this.#stall?.cancel()
    this.#outbox.clear()
    if (this.#isTold) return
    this.#isTold = true
    this.#stage = 'gone'
    this.#handlers.onGone()
  }

  #isTold = false
}
