import { type Cut, union } from '../../core/cut.js'
import type { Origin } from '../../core/ids.js'
import { VirgaError } from '../../errors.js'
import { type Mark, mark } from '../../marks.js'
import { unpackStretch } from '../../wire/publications.js'
import type { Peer, Peers } from '../cluster/peers.js'
import type { NodeState } from '../state.js'
import type { Inbox } from './inbox.js'

/** What is on its way by itself is not asked for: decisions are published within a few milliseconds. */
const GRACE_MS = 20
/** A peer that is heard of tells of its own decisions. Others are asked about who was silent for this long. */
const SILENT_MS = 1_500

interface Waiter {
  readonly cut: Cut
  readonly resolve: (reached: boolean) => void
}

export interface RepairParts {
  readonly state: NodeState
  readonly inbox: Inbox
  readonly peers: Peers
  /** Takes over all that a peer has applied: it no longer remembers what is missing here. */
  readonly install: (peer: Peer) => Promise<void>
}

/**
 * Fetches what is known to have been published and has not come: seen by a gap, against a heartbeat, or because a
 * snapshot from another node needs it. From the origin, else from any peer that has it; if it was collected there, the
 * peer's whole state.
 */
export class Repair {
  readonly #parts: RepairParts
  /** Up to where each origin is known to have published. */
  readonly #known = new Map<Origin, number>()
  readonly #fetching = new Set<Origin>()
  readonly #waiters = new Set<Waiter>()
  /** Who may have what the others have not: the node that handed a context over. */
  readonly #hints = new Map<Origin, Origin>()
  #stopped = false

  constructor(parts: RepairParts) {
    this.#parts = parts
  }

  stop(): void {
    this.#stopped = true
    for (const waiter of this.#waiters) waiter.resolve(false)
    this.#waiters.clear()
  }

  /** An origin has published up to a place: what is missing is fetched now. */
  published(origin: Origin, seq: number, why: Mark = 'repair.heartbeat'): void {
    const { history } = this.#parts.state
    if (seq <= history.seqOf(origin) || history.departed.has(origin)) return
    this.#known.set(origin, Math.max(seq, this.#known.get(origin) ?? 0))
    if (this.#parts.inbox.nextOf(origin) > seq) return
    // What came would be dropped. When some of it has been applied, it is asked for again.
    if (this.#parts.inbox.isFull(origin)) {
      mark('repair.full')
      return
    }
    mark(why)
    this.#fetch(origin)
  }

  /** What a peer has applied. Of a third origin it tells only what that one can't tell itself. */
  applied(from: Peer, applied: Cut): void {
    const nowMs = this.#parts.state.world.clock.monotonic()
    for (const [origin, seq] of applied) {
      if (seq <= this.#parts.state.history.seqOf(origin)) continue
      const own = this.#parts.peers.byOrigin(origin)
      if (own !== undefined && own !== from && nowMs - own.heardAtMs < SILENT_MS) continue
      this.published(origin, seq, 'repair.third')
    }
  }

  /** Asks again for what was waited for in vain. Called every now and then. */
  retry(): void {
    for (const [origin, seq] of union(this.#known, this.#parts.inbox.lacking())) {
      if (seq <= this.#parts.state.history.seqOf(origin)) this.#known.delete(origin)
      else this.published(origin, seq, 'repair.again')
    }
  }

  /** Something was applied. */
  moved(): void {
    for (const waiter of this.#waiters) {
      if (!this.#parts.state.history.covers(waiter.cut)) continue
      mark('repair.reached')
      this.#waiters.delete(waiter)
      waiter.resolve(true)
    }
  }

  /** Waits until a cut is applied here, fetching what is missing. False: not within `waitMs`. */
  async reach(cut: Cut, waitMs: number, hint?: Origin): Promise<boolean> {
    const { history, world, config } = this.#parts.state
    if (history.covers(cut)) return true
    if (this.#stopped) return false
    if (this.#waiters.size >= config.bounds.waitersMax) {
      mark('repair.waiters-full')
      return false
    }
    return new Promise((resolve) => {
      const start = world.clock.timer(GRACE_MS, () => {
        if (hint !== undefined) for (const origin of cut.keys()) this.#hint(origin, hint)
        for (const [origin, seq] of cut) this.published(origin, seq, 'repair.for-a-cut')
      })
      const end = world.clock.timer(waitMs, () => {
        if (!history.covers(cut)) mark('repair.not-reached')
        waiter.resolve(history.covers(cut))
      })
      const waiter: Waiter = {
        cut,
        resolve: (reached) => {
          start.cancel()
          end.cancel()
          this.#waiters.delete(waiter)
          resolve(reached)
        },
      }
      this.#waiters.add(waiter)
    })
  }

  #hint(origin: Origin, holder: Origin): void {
    this.#hints.set(origin, holder)
    if (this.#hints.size <= this.#parts.state.config.bounds.hintsMax) return
    mark('repair.hint-forgotten')
    this.#hints.delete(this.#hints.keys().next().value!)
  }

  #fetch(origin: Origin): void {
    if (this.#stopped || this.#fetching.has(origin)) return
    this.#fetching.add(origin)
    this.#fetchAll(origin)
      .catch((error: unknown) => {
        this.#parts.state.counters.internalErrors++
        this.#parts.state.world.log.error({ err: error, origin }, 'an unforeseen error while fetching')
      })
      .finally(() => this.#fetching.delete(origin))
  }

  async #fetchAll(origin: Origin): Promise<void> {
    for (const peer of this.#sources(origin)) {
      try {
        while (!this.#stopped && this.#isMissing(origin)) {
          const before = this.#parts.inbox.nextOf(origin)
          await this.#fetchFrom(peer, origin)
          // It has no more, or what waits here is as much as may.
          if (this.#parts.inbox.nextOf(origin) <= before) break
        }
      } catch (error) {
        if (!VirgaError.is(error) || error.code === 'Internal') throw error
        this.#parts.state.world.log.debug({ err: error, origin }, 'a peer could not tell what is missing')
      }
      if (!this.#isMissing(origin)) return
    }
  }

  #isMissing(origin: Origin): boolean {
    const { inbox } = this.#parts
    return inbox.nextOf(origin) <= (this.#known.get(origin) ?? 0) && !inbox.isFull(origin)
  }

  /** Peers to ask, the likeliest first. */
  #sources(origin: Origin): readonly Peer[] {
    const { peers } = this.#parts
    const hint = this.#hints.get(origin)
    const first = [peers.byOrigin(origin), hint === undefined ? undefined : peers.byOrigin(hint)]
    return [...new Set([...first, ...peers.up()])].filter((peer) => peer !== undefined)
  }

  async #fetchFrom(peer: Peer, origin: Origin): Promise<void> {
    const { inbox, state } = this.#parts
    const first = inbox.nextOf(origin)
    const last = Math.min(this.#known.get(origin) ?? first, first + state.config.bounds.fetchPlacesMax - 1)
    state.counters.placesFetched++
    const reply = await peer.ask({ type: 'fetch', of: origin, first, last }, ['fetched', 'forgotten'])
    if (peer.origin !== origin)
      mark(this.#hints.get(origin) === peer.origin ? 'repair.by-hint' : 'repair.from-another')
    if (reply.type === 'forgotten') {
      mark('repair.forgotten')
      if (reply.first > first) await this.#parts.install(peer)
      return
    }
    const stretch = unpackStretch(reply)
    inbox.take(stretch.origin, stretch.first, stretch.placed)
  }
}
