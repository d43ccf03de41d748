import { Bag, type Bagged } from '../bag.js'
import type { Clock, Timer } from '../ports/clock.js'

/** What has begun without a message and the node has not been told of. */
export interface LateBegin extends Bagged {
  /** Tells the node now. */
  register(): void
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
  #young = new Bag<LateBegin>()
  #old = new Bag<LateBegin>()
  #timer: Timer | undefined
  #refusedUntilMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(begin: LateBegin): void {
    this.#young.add(begin)
    this.#timer ??= this.#clock.timer(EVERY_MS, () => this.#age())
  }

  /** The node was told, or need not be any more. */
  delete(begin: LateBegin): void {
    if (!this.#young.delete(begin)) this.#old.delete(begin)
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
    for (let begin = due.take(); begin !== undefined; begin = due.take()) begin.register()
    if (this.#old.size > 0) this.#timer = this.#clock.timer(EVERY_MS, () => this.#age())
  }
}
