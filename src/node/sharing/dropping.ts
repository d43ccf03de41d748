import type { Cut } from '../../core/cut.js'
import type { History } from '../../core/history.js'
import type { Origin } from '../../core/ids.js'
import { mark } from '../../marks.js'
import type { Clock } from '../../ports/clock.js'
import type { Ledger } from './ledger.js'

/** Places before others have their turn: about a millisecond. */
const PLACES_PER_TURN = 200

/** Lets what others have compacted leave this node's chains, a few places at a time. */
export class Dropping {
  readonly #clock: Clock
  readonly #history: History
  readonly #ledger: Ledger
  /** Whether this node's snapshots count: else what they need may be among what others have compacted. */
  readonly #isFresh: () => boolean
  readonly #through = new Map<Origin, number>()
  #deferred = false

  constructor(clock: Clock, history: History, ledger: Ledger, isFresh: () => boolean) {
    this.#clock = clock
    this.#history = history
    this.#ledger = ledger
    this.#isFresh = isFresh
  }

  /** Others have compacted so far. */
  compacted(cut: Cut): void {
    for (const [origin, seq] of cut)
      if (seq > this.#start(origin)) this.#through.set(origin, Math.max(seq, this.#through.get(origin) ?? 0))
    this.#later()
  }

  #start(origin: Origin): number {
    return this.#history.compacted.get(origin) ?? 0
  }

  #later(): void {
    if (this.#deferred || this.#through.size === 0) return
    this.#deferred = true
    this.#clock.defer(() => {
      this.#deferred = false
      this.#drop()
    })
  }

  #drop(): void {
    const [next] = this.#through
    if (next === undefined) return
    // What is told while the node is out of touch is told again by every heartbeat.
    if (!this.#isFresh()) {
      this.#through.clear()
      return
    }
    const [origin, through] = next
    // What is not applied here yet is left for a later heartbeat.
    const last = Math.min(through, this.#history.seqOf(origin))
    const start = this.#start(origin)
    if (last > start) mark('drop.told')
    this.#ledger.compact(origin, Math.min(last, start + PLACES_PER_TURN))
    const reached = this.#start(origin)
    if (reached >= last || reached === start) this.#through.delete(origin)
    this.#later()
  }
}
