/**
 * The network between the nodes of one simulated cluster. Calm unless it is told otherwise: then frames are lost, come
 * twice, late or in another order, and nodes are parted from each other, one way or both. Same seed, same faults.
 */
import { VirgaError } from '../errors.js'
import type { Clock } from '../ports/clock.js'
import type { Network } from '../ports/network.js'
import type { Random } from '../ports/random.js'
import { SimEnd, type SimEndOptions } from './sim-network/end.js'

export interface NetworkFaults {
  /** The probability that a frame is lost, though its connection lasts. */
  readonly loss: number
  /** That it comes a second time, later. */
  readonly duplication: number
  /** That later frames of its connection overtake it. */
  readonly reordering: number
  /** That it comes as something that can't be read. */
  readonly garbling: number
  /** How long a frame takes: drawn between these for each. */
  readonly delayMsMin: number
  readonly delayMsMax: number
}

/** Frames come, each once, in order, soon. */
export const CALM: NetworkFaults = {
  loss: 0,
  duplication: 0,
  reordering: 0,
  garbling: 0,
  delayMsMin: 0.1,
  delayMsMax: 0.5,
}

export interface SimNetworkOptions {
  readonly clock: Clock
  readonly random: Random
  readonly faults?: Partial<NetworkFaults>
  /** A connection over which nothing comes any more is given up after so long. Default 5,000 ms. */
  readonly silenceMs?: number
  /** How long until a broken connection is tried again. Default 100 ms. */
  readonly retryMs?: number
  /** Frames on their way over one connection, one way; more are dropped. Default 1,000. */
  readonly queueFramesMax?: number
}

/** What became of frames. */
export interface Traffic {
  sent: number
  delivered: number
  lost: number
  duplicated: number
  reordered: number
  garbled: number
  parted: number
  overflowed: number
}

/** A frame that is later than others by this much is overtaken by them. */
const OVERTAKEN_MS_MAX = 500

/** The fabric of one cluster: makes the `Network` of each node, and knows who can reach whom. */
export class SimNetwork {
  readonly clock: Clock
  readonly random: Random
  readonly silenceMs: number
  readonly retryMs: number
  readonly queueFramesMax: number
  readonly traffic: Traffic = {
    sent: 0,
    delivered: 0,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    garbled: 0,
    parted: 0,
    overflowed: 0,
  }
  #faults: NetworkFaults
  /** Who can't be heard by whom: `from>to`. */
  readonly #parted = new Set<string>()
  readonly #slow = new Map<string, number>()
  readonly #listening = new Map<string, SimEnd>()
  readonly #ends = new Map<string, SimEnd>()
  #numbers = 0

  constructor(options: SimNetworkOptions) {
    this.clock = options.clock
    this.random = options.random
    this.silenceMs = options.silenceMs ?? 5_000
    this.retryMs = options.retryMs ?? 100
    this.queueFramesMax = options.queueFramesMax ?? 1_000
    this.#faults = { ...CALM, ...options.faults }
  }

  /**
   * The network of a node that starts now. One of the same name that still lives is killed. Where it is reached stays the
   * same, unless `address` names another place.
   */
  network(name: string, options: SimEndOptions = {}): Network {
    this.kill(name)
    const end = new SimEnd(this, name, options)
    this.#ends.set(name, end)
    return end
  }

  /** From now on; what is left out is calm. */
  setFaults(faults: Partial<NetworkFaults>): void {
    this.#faults = { ...CALM, ...faults }
  }

  /** From now on nothing that `from` sends reaches `to`. Connections between them break when the silence is noticed. */
  part(from: string, to: string): void {
    this.#parted.add(`${from}>${to}`)
    for (const name of [from, to]) this.#ends.get(name)?.grewSilent()
  }

  /** Parts each of `some` from each of `others`, both ways. */
  partBoth(some: readonly string[], others: readonly string[]): void {
    for (const a of some) {
      for (const b of others) {
        if (a === b) continue
        this.part(a, b)
        this.part(b, a)
      }
    }
  }

  /** Everyone reaches everyone again. */
  heal(): void {
    this.#parted.clear()
  }

  isParted(from: string, to: string): boolean {
    return this.#parted.has(`${from}>${to}`)
  }

  /** From now on a node takes so long for each frame that is published to it: what it is too slow for is dropped in the end. */
  slow(name: string, msPerFrame: number): void {
    this.#slow.set(name, msPerFrame)
  }

  /** It is as fast as others again; all are, if none is named. */
  hurry(name?: string): void {
    if (name === undefined) this.#slow.clear()
    else this.#slow.delete(name)
  }

  /** @internal */
  slownessMs(name: string): number {
    return this.#slow.get(name) ?? 0
  }

  /** A node's process stands still: who is connected to it notices after a while. What it is sent meanwhile is its own affair. */
  freeze(name: string): void {
    const end = this.#ends.get(name)
    if (end === undefined) return
    end.isFrozen = true
    end.grewSilent()
  }

  thaw(name: string): void {
    const end = this.#ends.get(name)
    if (end !== undefined) end.isFrozen = false
  }

  /**
   * A node's process is gone: nothing more reaches it or comes from it, and others see their connections break; with
   * `silently`, as when its machine lost power, only once they notice the silence.
   */
  kill(name: string, options: { readonly silently?: boolean } = {}): void {
    this.#ends.get(name)?.die(options.silently === true)
    this.#ends.delete(name)
  }

  /** @internal */
  next(): number {
    return ++this.#numbers
  }

  /** @internal Where a node listens if it isn't told: one place for each name, as configuration would say. */
  bind(address: string, end: SimEnd): void {
    const other = this.#listening.get(address)
    if (other !== undefined && other !== end && other.isAlive) {
      throw new VirgaError('InvalidArgument', `${address} is in use by ${other.name}`)
    }
    this.#listening.set(address, end)
  }

  /** @internal */
  at(address: string): SimEnd | undefined {
    const end = this.#listening.get(address)
    return end?.isAlive === true ? end : undefined
  }

  /** @internal */
  unbind(end: SimEnd): void {
    for (const [address, other] of this.#listening) if (other === end) this.#listening.delete(address)
    if (this.#ends.get(end.name) === end) this.#ends.delete(end.name)
  }

  /** @internal How long one frame takes. */
  delayMs(): number {
    const { delayMsMin, delayMsMax } = this.#faults
    return delayMsMin + this.random.fraction() * (delayMsMax - delayMsMin)
  }

  /** @internal What is in store for one frame. Draws always as often, so that one probability does not shift what others meet. */
  fate(): Fate {
    const { loss, duplication, reordering, garbling } = this.#faults
    if (loss === 0 && duplication === 0 && reordering === 0 && garbling === 0) return ON_TIME
    const isLost = this.random.fraction() < loss
    const again = this.random.fraction() < duplication
    const againMs = this.random.fraction() * OVERTAKEN_MS_MAX
    const late = this.random.fraction() < reordering
    const lateMs = this.random.fraction() * OVERTAKEN_MS_MAX
    const isGarbled = this.random.fraction() < garbling
    return { isLost, isGarbled, againMs: again ? againMs : undefined, lateMs: late ? lateMs : 0 }
  }
}

interface Fate {
  readonly isLost: boolean
  readonly isGarbled: boolean
  readonly againMs: number | undefined
  readonly lateMs: number
}

const ON_TIME: Fate = { isLost: false, isGarbled: false, againMs: undefined, lateMs: 0 }
