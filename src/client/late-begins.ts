import { Bag, type Bagged, NOWHERE } from '../bag.js'
import type { Clock, Timer } from '../ports/clock.js'

/** What has begun without a message and the node has not been told of. */
export interface LateBegin {
  /** Tells the node now. */
  register(): void
}

/** By what one is found again. */
export interface Late extends Bagged {
  readonly begin: LateBegin
}

/**
 * A transaction that is open for longer than one or two of these is told to the node, so that what its snapshot needs is
 * kept. The node lets a second and a half pass before it lets go of what a snapshot may need that it was not told of.
 */
const EVERY_MS = 250
/** For so long after one was told of too late nothing begins without a message. */
const REFUSED_MS = 60_000

/** Transactions that began without a message. Most end before anyone need know of them. */
export class LateBegins {
  readonly #clock: Clock
  #young = new Bag<Late>()
  #old = new Bag<Late>()
  #timer: Timer | undefined
  #refusedUntilMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(begin: LateBegin): Late {
    const late: Late = { begin, place: NOWHERE }
    this.#young.add(late)
    this.#timer ??= this.#clock.timer(EVERY_MS, () => this.#age())
    return late
  }

  /** The node was told, or need not be any more. */
  delete(late: Late | undefined): void {
    if (late !== undefined && !this.#young.delete(late)) this.#old.delete(late)
  }

  /**
   * One was told of too late, since its function held its process up. It may do so each time that it is run: for a while its
   * snapshots are taken at the node, with what it asks for first.
   */
  refused(): void {
    this.#refusedUntilMs = this.#clock.monotonic() + REFUSED_MS
  }

  get areRefused(): boolean {
    // Nearly always at once: no clock is read for it.
    if (this.#refusedUntilMs === Number.NEGATIVE_INFINITY) return false
    if (this.#clock.monotonic() < this.#refusedUntilMs) return true
    this.#refusedUntilMs = Number.NEGATIVE_INFINITY
    return false
  }

  #age(): void {
    this.#timer = undefined
    const due = this.#old
    this.#old = this.#young
    this.#young = new Bag()
    for (let late = due.take(); late !== undefined; late = due.take()) late.begin.register()
    if (this.#old.size > 0) this.#timer = this.#clock.timer(EVERY_MS, () => this.#age())
  }
}
