import type { Origin } from '../../core/ids.js'
import { VirgaError } from '../../errors.js'
import type { Clock } from '../../ports/clock.js'
import type { Membership } from './membership.js'
import type { Peer, Peers } from './peers.js'

/** How long a node that lives is waited for. */
const FIND_MS = 1_000
const LOOK_MS = 20

/** Finds nodes that this one has only heard of: they may have joined just now. */
export class Seeker {
  readonly #clock: Clock
  readonly #membership: Membership
  readonly #peers: Peers
  #looking: Promise<void> | undefined

  constructor(clock: Clock, membership: Membership, peers: Peers) {
    this.#clock = clock
    this.#membership = membership
    this.#peers = peers
  }

  /** Whether an origin lives; the leases are looked at again before one is said not to. Rejects as storage does. */
  async lives(origin: Origin): Promise<boolean> {
    if (this.#membership.isLive(origin)) return true
    // Of many that ask at once, one looks.
    this.#looking ??= this.#membership.look().finally(() => {
      this.#looking = undefined
    })
    await this.#looking
    return this.#membership.isLive(origin)
  }

  /**
   * The node that runs as an origin. Undefined: it is dead. Rejects with `NodeUnavailable` if it lives and can't be reached
   * for a while.
   */
  async find(origin: Origin): Promise<Peer | undefined> {
    const until = this.#clock.monotonic() + FIND_MS
    for (;;) {
      const peer = this.#peers.byOrigin(origin)
      if (peer !== undefined) return peer
      if (!(await this.lives(origin))) return undefined
      if (this.#clock.monotonic() >= until)
        throw new VirgaError('NodeUnavailable', `${origin} lives, and can't be reached`)
      await new Promise<void>((resolve) => this.#clock.timer(LOOK_MS, resolve))
    }
  }
}
