import { type Cut, departuresOf } from '../../core/cut.js'
import type { Origin } from '../../core/ids.js'
import type { Placed } from '../../core/publication.js'
import { mark } from '../../marks.js'
import type { NodeConfig } from '../config.js'
import type { NodeState } from '../state.js'
import type { World } from '../world.js'

interface Waiting {
  readonly placed: Placed
  readonly sinceMs: number
}

export interface InboxParts {
  readonly state: Pick<NodeState, 'history' | 'ledger' | 'counters'> & {
    readonly world: Pick<World, 'clock'>
    readonly config: Pick<NodeConfig, 'bounds'>
  }
  /** Departures up to this number are known here. */
  readonly learned: () => number
  /** Whether an origin still publishes. */
  readonly isLive: (origin: Origin) => boolean
  /** When the last complete listing of storage's decisions began, by the monotonic clock. */
  readonly listedAtMs: () => number
  /** Something waits for a decision of an origin that is dead, which only storage can tell of. */
  readonly onStranded: (origin: Origin) => void
  /** Something of an origin was applied. */
  readonly onApplied: () => void
}

/**
 * What peers published and is not applied yet. Decisions of an origin are applied in the order of their places, and each
 * only after its cut is: so every cut of this node is causally closed (I7), whatever is lost or overtaken on the way. A cut does not
 * name those who have departed: it is applied once that is known here, up to its number, as their last places then are.
 *
 * A decision may wait for one of a dead origin that nobody has. Storage then holds it: once a complete listing that began
 * after the waiting did has been adopted, everything it read is here, under other coordinates.
 */
export class Inbox {
  readonly #parts: InboxParts
  readonly #waiting = new Map<Origin, Map<number, Waiting>>()
  #pumping = false
  #deferred = false

  constructor(parts: InboxParts) {
    this.#parts = parts
  }

  /** Places that wait, over all origins. */
  get size(): number {
    let size = 0
    for (const places of this.#waiting.values()) size += places.size
    return size
  }

  /** The first place of an origin that is neither applied nor waiting. */
  nextOf(origin: Origin): number {
    let seq = this.#parts.state.history.seqOf(origin) + 1
    const places = this.#waiting.get(origin)
    while (places?.has(seq) === true) seq++
    return seq
  }

  /** As much of an origin waits as may: what comes after it would be dropped. */
  isFull(origin: Origin): boolean {
    const { history, config } = this.#parts.state
    return this.nextOf(origin) > history.seqOf(origin) + config.bounds.waitingPlacesMax
  }

  /** Takes places of an origin, in any order and any number of times. */
  take(origin: Origin, first: number, placed: readonly Placed[]): void {
    const { history, world, counters, config } = this.#parts.state
    // Of one that has departed nothing is to come: what does was decided by who did not know yet, and is adopted.
    if (history.departed.has(origin)) return
    const applied = history.seqOf(origin)
    if (first + placed.length - 1 <= applied) return
    if (first > applied + 1) mark('inbox.early')
    let places = this.#waiting.get(origin)
    if (places === undefined) {
      places = new Map()
      this.#waiting.set(origin, places)
    }
    const sinceMs = world.clock.monotonic()
    // Of those that may wait the next one is always one: if what is further ahead could take its room, nothing would ever go on.
    const last = applied + config.bounds.waitingPlacesMax
    for (let i = Math.max(0, applied + 1 - first); i < placed.length; i++) {
      if (first + i > last) {
        mark('inbox.dropped')
        counters.placesDropped += placed.length - i
        break
      }
      if (!places.has(first + i)) places.set(first + i, { placed: placed[i]!, sinceMs })
    }
    this.pump()
  }

  /** Applies what can be applied. Called again whenever something that was waited for may have come. */
  pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    let applied = 0
    try {
      applied = this.#apply()
    } finally {
      this.#pumping = false
    }
    if (applied > 0) this.#parts.onApplied()
    const { world, config } = this.#parts.state
    const { turnPlacesMax } = config.bounds
    if (applied >= turnPlacesMax && !this.#deferred) {
      mark('inbox.turn-over')
      this.#deferred = true
      world.clock.defer(() => {
        this.#deferred = false
        this.pump()
      })
    }
  }

  /** Applies what can be applied, as much as one turn may. Returns how much. */
  #apply(): number {
    const { turnPlacesMax } = this.#parts.state.config.bounds
    let applied = 0
    for (let isMoving = true; isMoving && applied < turnPlacesMax; ) {
      isMoving = false
      for (const [origin, places] of this.#waiting) {
        const count = this.#drain(origin, places, turnPlacesMax - applied)
        if (count > 0) isMoving = true
        applied += count
        if (places.size === 0) this.#waiting.delete(origin)
      }
    }
    return applied
  }

  /** Applies an origin's places as far as they come in order and have all that they read. Returns how many. */
  #drain(origin: Origin, places: Map<number, Waiting>, max: number): number {
    const { history, ledger } = this.#parts.state
    // It departed while they waited.
    if (history.departed.has(origin)) places.clear()
    let count = 0
    for (; count < max; count++) {
      const seq = history.seqOf(origin) + 1
      const next = places.get(seq)
      if (next === undefined) break
      if (!this.#mayApply(next)) return count
      places.delete(seq)
      ledger.receive({ origin, seq }, next.placed)
    }
    // What came by another way, a state that was installed say, is passed over.
    if (count === 0) for (const seq of places.keys()) if (seq <= history.seqOf(origin)) places.delete(seq)
    return count
  }

  #mayApply({ placed, sinceMs }: Waiting): boolean {
    if (placed.kind === 'compacted') return true
    const { history } = this.#parts.state
    const { isLive, listedAtMs, onStranded } = this.#parts
    const { cut } = placed.publication
    // This node is out of touch. Of those that the cut does not name it may lack places, and nobody tells of them any more.
    if (departuresOf(cut) > this.#parts.learned()) return false
    if (history.covers(cut)) return true
    const isListed = listedAtMs() > sinceMs
    let may = true
    for (const [origin, seq] of cut) {
      if (history.includes({ origin, seq })) continue
      if (isLive(origin)) may = false
      else if (!isListed) {
        may = false
        onStranded(origin)
      }
    }
    mark(may ? 'inbox.listed' : 'inbox.gated')
    return may
  }

  /** What a decision that is next in its order lacks: for each origin, the highest place that is waited for. */
  lacking(): Cut {
    const { history } = this.#parts.state
    const lacking = new Map<Origin, number>()
    for (const [origin, places] of this.#waiting) {
      const next = places.get(history.seqOf(origin) + 1)
      if (next?.placed.kind !== 'decided') continue
      for (const [needed, seq] of next.placed.publication.cut) {
        if (seq > history.seqOf(needed)) lacking.set(needed, Math.max(seq, lacking.get(needed) ?? 0))
      }
    }
    return lacking
  }
}
