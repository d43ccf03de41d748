import { cutOf } from '../../core/cut.js'
import { HLC_ZERO, type Hlc } from '../../core/hlc.js'
import type { ViewBatch, ViewWriter } from '../../ports/view.js'
import {
  encodeMeta,
  encodeOrigins,
  encodeVector,
  FLOOR_KEY,
  META_KEY,
  ORIGINS_KEY,
  VIEW_LEASE_MS,
} from '../../wire/view.js'
import type { Floor, Snapshots } from '../collecting/snapshots.js'
import type { Bases } from '../reading/bases.js'
import type { ValueCache } from '../reading/value-cache.js'
import type { NodeState } from '../state.js'
import type { OriginNumbers } from './origin-numbers.js'
import { Residents } from './residents.js'

export interface OpenViewParts {
  readonly writer: ViewWriter
  readonly state: NodeState
  readonly values: ValueCache
  readonly bases: Bases
  readonly snapshots: Snapshots
  readonly origins: OriginNumbers
}

/** Of what fits, the rest is for pages that readers still look at, and for what pages have free. */
const FILLED = 0.5
/** A value takes this part of the view at most. */
const VALUE_PART = 1 / 256
/** And so do the names of all origins. */
const NAMES_PART = 1 / 16

/** One view, from its making to its end: what is in it, and what it says at its head. */
export class OpenView {
  readonly residents: Residents
  readonly #parts: OpenViewParts
  #moment = -1
  #epoch = 0
  #horizon: Hlc = HLC_ZERO
  #leftOut = 0
  #limit: Floor | undefined
  #floorVersion = 0
  #named = 0
  #beatMs = Number.NEGATIVE_INFINITY

  constructor(parts: OpenViewParts) {
    this.#parts = parts
    const { writer, state, values, bases, origins } = parts
    this.residents = new Residents({
      history: state.history,
      bases,
      values,
      origins,
      clock: state.clock,
      bytesMax: Math.floor(writer.capacityBytes * FILLED),
      valueBytesMax: Math.min(state.config.viewValueBytesMax, Math.floor(writer.capacityBytes * VALUE_PART)),
    })
  }

  get path(): string {
    return this.#parts.writer.path
  }

  /** Whether something has happened that it does not say yet. */
  isBehind(): boolean {
    const { history, life } = this.#parts.state
    return (
      this.#moment !== history.moment ||
      this.#horizon !== history.horizon ||
      this.#limit !== this.#parts.snapshots.limit ||
      this.#leftOut !== history.leftOut ||
      this.#epoch !== life.epoch ||
      this.residents.hasChanged
    )
  }

  /** Until then readers may take it for up to date. */
  get leasedUntilMs(): number {
    return this.#beatMs + VIEW_LEASE_MS
  }

  /**
   * All that has happened since the last batch.
   * @param beatMs now, if it is to be kept up
   */
  next(beatMs: number | undefined): ViewBatch {
    const { history, life } = this.#parts.state
    const batch = this.residents.take()
    this.#moment = history.moment
    this.#horizon = history.horizon
    this.#epoch = life.epoch
    if (beatMs !== undefined) this.#beatMs = beatMs
    if (this.#limit !== this.#parts.snapshots.limit || this.#leftOut !== history.leftOut) {
      this.#limit = this.#parts.snapshots.limit
      this.#leftOut = history.leftOut
      this.#floorVersion++
      batch.set(FLOOR_KEY, this.#floor(this.#limit))
    }
    batch.set(META_KEY, this.#meta(true))
    // Last: what is written besides may have given numbers.
    this.#name(batch)
    return batch
  }

  /**
   * Says what new numbers stand for. Where all of that would leave too little room for values nothing is said: executors then hand off
   * through the node.
   */
  #name(batch: Map<string, Uint8Array | null>): void {
    const { all } = this.#parts.origins
    if (this.#named === all.length) return
    this.#named = all.length
    const names = encodeOrigins(all)
    const fits = names.length <= this.#parts.writer.capacityBytes * NAMES_PART
    batch.set(ORIGINS_KEY, fits ? names : null)
  }

  write(batch: ViewBatch): void {
    this.#parts.writer.write(batch)
  }

  releaseDead(): void {
    this.#parts.writer.releaseDead()
  }

  /** Tells readers that it is over. False: it can't, and they may take it for up to date until the lease ends. */
  close(): boolean {
    return this.#parts.writer.close(new Map([[META_KEY, this.#meta(false)]]))
  }

  /** Origins that are left out of cuts are seen by snapshots that say so. Of others the node must be asked. */
  #floor({ cut }: Floor): Uint8Array {
    const { history } = this.#parts.state
    const places = [...cut].filter(([origin]) => !history.isLeftOut(origin))
    return encodeVector(this.#parts.origins.vector(cutOf(places, history.leftOut)))
  }

  #meta(isLive: boolean): Uint8Array {
    const { history, life } = this.#parts.state
    return encodeMeta({
      isLive,
      floorMoment: this.#limit?.moment ?? 0,
      floorVersion: this.#floorVersion,
      horizon: history.horizon,
      beatMs: Math.max(0, this.#beatMs),
      moment: history.moment,
      epoch: life.epoch,
      vector: this.#parts.origins.vector(history.cut()),
    })
  }
}
