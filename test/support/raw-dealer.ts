import { onTestFinished } from 'vitest'
import { Dealer } from 'zeromq'
import { PROTOCOL_VERSION } from '../../src/wire/messages.js'
import { decode, encode } from './messagepack.mjs'
import { until } from './until.js'

export interface RawDealerOptions {
  readonly reads?: boolean
  /** Called with each answer that is no error: its number and its fields. */
  readonly onAnswer?: (type: number, fields: readonly unknown[]) => void
}

/** A ZeroMQ socket of the running test that sends whatever bytes it is given, and notes what comes back. */
export class RawDealer {
  readonly #socket: Dealer
  readonly #answered = new Set<number>()
  #frames = 0
  #errors = new Map<string, number>()
  #others = 0

  /** `reads: false`: it never takes an answer. */
  constructor(path: string, options: RawDealerOptions = {}) {
    this.#socket = new Dealer({ linger: 0, sendHighWaterMark: 64 })
    this.#socket.connect(`ipc://${path}`)
    if (options.reads !== false) void this.#read(options.onAnswer)
    onTestFinished(() => this.#socket.close())
  }

  /** Resolves when ZeroMQ has room: this is what holds a fuzzer back. */
  send(...parts: readonly Uint8Array[]): Promise<void> {
    return this.#socket.send(parts.map((part) => Buffer.from(part)))
  }

  async hello(): Promise<void> {
    const before = this.#others
    await this.send(encode([PROTOCOL_VERSION, [1, 0, `raw-${Math.random()}`, 0, '', '']]))
    await until('a welcome', () => this.#others > before)
  }

  /** Frames that came back. */
  get frames(): number {
    return this.#frames
  }

  /** Errors that came back, by code. */
  get errors(): ReadonlyMap<string, number> {
    return this.#errors
  }

  /** Messages that came back and are no errors. */
  get others(): number {
    return this.#others
  }

  isAnswered(request: number): boolean {
    return this.#answered.has(request)
  }

  async #read(onAnswer: RawDealerOptions['onAnswer']): Promise<void> {
    for await (const [frame] of this.#socket) {
      this.#frames++
      const [, ...messages] = decode(frame!) as [number, ...[number, number, string][]]
      for (const [type, request, code, ...rest] of messages) {
        this.#answered.add(request)
        if (type === 73) this.#errors.set(code, (this.#errors.get(code) ?? 0) + 1)
        else {
          this.#others++
          onAnswer?.(type, [code, ...rest])
        }
      }
    }
  }
}
