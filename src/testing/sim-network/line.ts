import type { Line, LineHandlers } from '../../ports/network.js'
import type { SimNetwork } from '../sim-network.js'
import { Connection } from './connection.js'
import type { SimEnd } from './end.js'

export type Kind = 'requests' | 'publications'

export interface Target {
  readonly kind: Kind
  readonly address: string
  readonly publicKey: string | null
}

/** A line from one node to an address: a connection, and when that breaks, the next one. */
export class SimLine implements Line {
  readonly kind: Kind
  readonly dialer: SimEnd
  readonly handlers: LineHandlers
  connection: Connection | undefined
  readonly #fabric: SimNetwork
  readonly #target: Target
  #isClosed = false

  constructor(fabric: SimNetwork, dialer: SimEnd, target: Target, handlers: LineHandlers) {
    this.#fabric = fabric
    this.kind = target.kind
    this.dialer = dialer
    this.handlers = handlers
    this.#target = target
  }

  send(frame: Uint8Array): boolean {
    if (this.kind === 'publications') return this.connection !== undefined
    return this.connection?.toAcceptor(frame) ?? false
  }

  close(): void {
    this.#isClosed = true
    this.dialer.forgetLine(this)
    const { connection } = this
    this.connection = undefined
    connection?.dialerLeft(false)
  }

  dialerDied(silently: boolean): void {
    this.#isClosed = true
    const { connection } = this
    this.connection = undefined
    connection?.dialerLeft(silently)
  }

  /** Takes one way there and one back. Tried again until it succeeds. */
  connect(): void {
    const { clock } = this.#fabric
    clock.timer(this.#fabric.delayMs(), () => {
      if (this.#isClosed) return
      const { address, publicKey, kind } = this.#target
      const acceptor = this.#fabric.at(address)
      if (acceptor === undefined || !address.endsWith(kind === 'requests' ? ':1' : ':2')) return this.retry()
      if (acceptor.isFrozen || !this.#canTalk(acceptor)) return this.retry()
      if (!acceptor.admits(this.dialer, publicKey)) return this.retry()
      const connection = new Connection(this.#fabric, this, acceptor)
      acceptor.accept(connection)
      clock.timer(this.#fabric.delayMs(), () => {
        if (this.#isClosed || !acceptor.isAlive) {
          acceptor.release(connection)
          if (!this.#isClosed) this.retry()
          return
        }
        this.connection = connection
        connection.isUp = true
        this.handlers.onUp()
      })
    })
  }

  /** Spread, so that those who lost one peer don't all come back to it at once. */
  retry(): void {
    if (this.#isClosed) return
    const { clock, retryMs, random } = this.#fabric
    clock.timer(retryMs * (0.5 + random.fraction()), () => {
      if (!this.#isClosed) this.connect()
    })
  }

  /** The connection broke under it. */
  broken(): void {
    if (this.#isClosed || this.connection === undefined) return
    this.connection = undefined
    this.handlers.onDown()
    this.retry()
  }

  #canTalk(acceptor: SimEnd): boolean {
    const [a, b] = [this.dialer.name, acceptor.name]
    return !this.#fabric.isParted(a, b) && !this.#fabric.isParted(b, a)
  }
}
