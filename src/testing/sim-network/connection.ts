import type { PeerId } from '../../ports/transport.js'
import type { SimNetwork } from '../sim-network.js'
import type { SimEnd } from './end.js'
import { garble } from './garble.js'
import type { SimLine } from './line.js'

/** How far behind a slow subscriber is at most: the buffers on the way to it hold no more. */
const BEHIND_MS_MAX = 10_000

/** One way of a connection. */
interface Way {
  /** Frames that left and have not come yet. */
  underWay: number
  /** No frame that keeps to the order comes before this. */
  lastAtMs: number
}

/** One connection, from its making until it breaks. */
export class Connection {
  readonly peer: PeerId
  readonly line: SimLine
  isUp = false
  readonly #fabric: SimNetwork
  readonly #acceptor: SimEnd
  readonly #there: Way = { underWay: 0, lastAtMs: 0 }
  readonly #back: Way = { underWay: 0, lastAtMs: 0 }
  #watched = false

  constructor(fabric: SimNetwork, line: SimLine, acceptor: SimEnd) {
    this.#fabric = fabric
    this.line = line
    this.#acceptor = acceptor
    this.peer = `${line.dialer.name}#${fabric.next()}`
  }

  toAcceptor(frame: Uint8Array): boolean {
    const { dialer } = this.line
    return this.#send(this.#there, dialer, this.#acceptor, frame, (copy) =>
      this.#acceptor.handlers?.onRequest(this.peer, copy),
    )
  }

  toDialer(frame: Uint8Array): boolean {
    return this.#send(this.#back, this.#acceptor, this.line.dialer, frame, (copy) => {
      if (this.line.connection === this) this.line.handlers.onFrame(copy)
    })
  }

  /** The acceptor is gone: who dialed notices, at once or after a while, and tries again. */
  acceptorDied(silently: boolean): void {
    const { clock, silenceMs } = this.#fabric
    clock.timer(silently ? silenceMs : this.#fabric.delayMs(), () => this.#break())
  }

  /** Who dialed is gone or has hung up: the acceptor notices, soon or after a while. What was on its way may still come. */
  dialerLeft(silently: boolean): void {
    const { clock, silenceMs } = this.#fabric
    clock.timer(silently ? silenceMs : this.#fabric.delayMs(), () => {
      this.isUp = false
      this.#acceptor.release(this)
    })
  }

  /** Breaks the connection if it is still silent when that is noticed. */
  watch(): void {
    if (this.#watched) return
    this.#watched = true
    this.#fabric.clock.timer(this.#fabric.silenceMs, () => {
      this.#watched = false
      if (this.#isSilent()) this.#break()
    })
  }

  #isSilent(): boolean {
    const { dialer } = this.line
    const [a, b] = [dialer.name, this.#acceptor.name]
    return (
      dialer.isFrozen || this.#acceptor.isFrozen || this.#fabric.isParted(a, b) || this.#fabric.isParted(b, a)
    )
  }

  #break(): void {
    this.#acceptor.release(this)
    if (!this.isUp) return
    this.isUp = false
    this.line.broken()
  }

  #send(way: Way, from: SimEnd, to: SimEnd, frame: Uint8Array, deliver: (copy: Uint8Array) => void): boolean {
    if (!from.isAlive || !this.isUp) return false
    const { traffic, queueFramesMax } = this.#fabric
    if (way.underWay >= queueFramesMax) {
      traffic.overflowed++
      return false
    }
    traffic.sent++
    const { isLost, isGarbled, againMs, lateMs } = this.#fabric.fate()
    if (isLost) {
      traffic.lost++
      return true
    }
    if (!this.#isKeptUpWith(way, to)) {
      traffic.overflowed++
      return false
    }
    if (isGarbled) traffic.garbled++
    const copy = isGarbled ? garble(frame, this.#fabric.random) : frame.slice()
    const delayMs = this.#fabric.delayMs()
    if (lateMs > 0) {
      traffic.reordered++
      this.#arrive(way, from, to, delayMs + lateMs, () => deliver(copy))
    } else {
      const nowMs = this.#fabric.clock.monotonic()
      way.lastAtMs = Math.max(way.lastAtMs, nowMs + delayMs)
      this.#arrive(way, from, to, way.lastAtMs - nowMs, () => deliver(copy))
    }
    if (againMs !== undefined) {
      traffic.duplicated++
      const second = frame.slice()
      this.#arrive(way, from, to, delayMs + againMs, () => deliver(second))
    }
    return true
  }

  /** A slow subscriber takes one frame after the other, each in its time. False: it is too far behind for one more. */
  #isKeptUpWith(way: Way, to: SimEnd): boolean {
    const slowMs =
      way === this.#back && this.line.kind === 'publications' ? this.#fabric.slownessMs(to.name) : 0
    if (slowMs === 0) return true
    const nowMs = this.#fabric.clock.monotonic()
    if (way.lastAtMs - nowMs > BEHIND_MS_MAX) return false
    way.lastAtMs = Math.max(way.lastAtMs, nowMs) + slowMs
    return true
  }

  #arrive(way: Way, from: SimEnd, to: SimEnd, delayMs: number, deliver: () => void): void {
    const { clock, traffic } = this.#fabric
    way.underWay++
    clock.timer(delayMs, () => {
      way.underWay--
      if (this.#fabric.isParted(from.name, to.name)) traffic.parted++
      else if (this.isUp && to.isAlive) {
        traffic.delivered++
        deliver()
      }
    })
  }
}
