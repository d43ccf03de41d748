import type { Clock, Timer } from '../ports/clock.js'
import type { Line, LineHandlers } from '../ports/network.js'
import type { Random } from '../ports/random.js'
import { type Endpoint, formatEndpoint, resolveHost } from './zeromq-network-address.js'

/** What a line is made of, again and again: one connection, or one try at it. */
export interface Connection {
  send(frame: Uint8Array): boolean
  close(): void
  readonly ended: Promise<void>
}

export type Connect = (address: string, handlers: Pick<LineHandlers, 'onFrame' | 'onUp'>) => Connection

const PAUSE_MS_MIN = 20
const PAUSE_MS_MAX = 1_000

export interface LineOptions {
  readonly endpoint: Endpoint
  readonly connect: Connect
  readonly clock: Clock
  readonly random: Random
  readonly handlers: LineHandlers
}

/** Makes its connection again whenever it breaks, at pauses that grow while there is no success. */
export class ZeromqLine implements Line {
  /** Resolves when the line was closed and holds nothing any more. */
  readonly ended: Promise<void>
  readonly #options: LineOptions
  #connection: Connection | undefined
  #isUp = false
  #upAtMs = 0
  #isClosed = false
  #pause: { readonly timer: Timer; readonly end: () => void } | undefined

  constructor(options: LineOptions) {
    this.#options = options
    this.ended = this.#run()
  }

  send(frame: Uint8Array): boolean {
    return this.#isUp && this.#connection?.send(frame) === true
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#isUp = false
    this.#connection?.close()
    this.#pause?.timer.cancel()
    this.#pause?.end()
  }

  async #run(): Promise<void> {
    const { clock, handlers } = this.#options
    let pauseMs = PAUSE_MS_MIN
    for (let tries = 0; !this.#isClosed; tries++) {
      await this.#connectOnce(tries)
      if (this.#isUp) {
        this.#isUp = false
        // A peer that breaks each connection at once is not to be hurried.
        if (clock.monotonic() - this.#upAtMs >= PAUSE_MS_MAX) pauseMs = PAUSE_MS_MIN
        handlers.onDown()
      }
      await this.#wait(pauseMs)
      pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX)
    }
  }

  /** Resolves when the connection has ended, or was not made. */
  async #connectOnce(tries: number): Promise<void> {
    const { endpoint, connect, clock, handlers } = this.#options
    let hosts: readonly string[]
    try {
      hosts = await resolveHost(endpoint.host)
    } catch {
      // A name that nobody knows now may be known the next time: the line stays down until then.
      return
    }
    if (this.#isClosed) return
    const host = hosts[tries % hosts.length]!
    this.#connection = connect(formatEndpoint({ host, port: endpoint.port }), {
      onUp: () => {
        if (this.#isClosed) return
        this.#isUp = true
        this.#upAtMs = clock.monotonic()
        handlers.onUp()
      },
      onFrame: (frame) => {
        if (!this.#isClosed) handlers.onFrame(frame)
      },
    })
    await this.#connection.ended
    this.#connection = undefined
  }

  async #wait(pauseMs: number): Promise<void> {
    if (this.#isClosed) return
    const { clock, random } = this.#options
    await new Promise<void>((end) => {
      this.#pause = { timer: clock.timer(pauseMs * (0.5 + random.fraction() / 2), end), end }
    })
    this.#pause = undefined
  }
}
