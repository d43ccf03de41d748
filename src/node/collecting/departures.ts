import type { Cut } from '../../core/cut.js'
import { HLC_ZERO, type Hlc } from '../../core/hlc.js'
import type { Origin } from '../../core/ids.js'
import { CLUSTER_COMPACTED, CLUSTER_DEPARTED } from '../../core/layout.js'
import { VirgaError } from '../../errors.js'
import { mark } from '../../marks.js'
import {
  type Departed,
  type Departure,
  decodeCompacted,
  decodeDeparted,
  encodeDeparted,
} from '../../wire/records.js'
import type { Membership } from '../cluster/membership.js'
import type { NodeState } from '../state.js'
import { Interval } from './interval.js'

const LOOK_EVERY_MS = 5_000
/** Departures written down at once. */
const BATCH_MAX = 64
const NOBODY: Departed = { last: 0, departures: [] }

export interface DeparturesParts {
  readonly state: Pick<NodeState, 'world' | 'config' | 'history' | 'ledger'>
  readonly membership: Pick<Membership, 'all' | 'counted' | 'isFresh' | 'isPicked' | 'look' | 'removeLapsed'>
  /** What waited for it may go on. */
  readonly onLearned: () => void
  /** This origin was taken for dead, and has departed: the node must stop, and start anew. */
  readonly onDeparted: () => void
}

/**
 * Lets cuts forget origins. Each start of a node is an origin of its own, and cuts name them all: without this, decisions and
 * contexts would grow with every restart there ever was.
 *
 * An origin that is dead, and of which all that anyone has applied is compacted, is written down as departed, with a number. It
 * is in every snapshot that anybody waits for. Each member, once nothing of the origin is in its chains, need not find it in cuts
 * any more, and tells the number in its lease. When every member has told it, nobody names the origin in new cuts, which say
 * up to which number that is so: whoever gets such a cut is a member that has told, or starts later, and learns of the
 * departures first. A cut that neither names the origin to its end nor has that number is of before: it is refused, since
 * nobody waited for it, and the bases may be ahead of it.
 *
 * Nothing is ever inferred from silence: an origin departs only if another has its node's id, or its lease has been gone for
 * long. One that comes back all the same finds itself written down, and stops. A decision that it made in between is in
 * storage, and is adopted like any other that nobody has heard of.
 */
export class Departures {
  readonly #parts: DeparturesParts
  readonly #interval: Interval
  /** Since when each origin is known to be dead, by the monotonic clock. */
  readonly #deadSinceMs = new Map<Origin, number>()
  #learned = 0

  constructor(parts: DeparturesParts) {
    this.#parts = parts
    this.#interval = new Interval(parts.state.world.clock, LOOK_EVERY_MS)
  }

  /** Departures up to this number are known here. */
  get learned(): number {
    return this.#learned
  }

  /**
   * Takes in what is written down. For a node that is in touch, starts, or comes back. Rejects with `Closed` if it is
   * this very origin that is written down.
   */
  async learn(): Promise<Departed> {
    const { state } = this.#parts
    const [record, compacted] = await state.world.storage.get([CLUSTER_DEPARTED, CLUSTER_COMPACTED])
    if (record === undefined) return NOBODY
    const departed = decodeDeparted(record)
    const horizon = compacted === undefined ? HLC_ZERO : decodeCompacted(compacted).horizon
    const before = this.#learned
    for (const departure of departed.departures) {
      if (departure.number <= this.#learned) continue
      if (!this.#take(departure, horizon)) return departed
      this.#learned = departure.number
    }
    // Two may learn at once, and the one that read first be the last.
    this.#learned = Math.max(this.#learned, departed.last)
    if (this.#learned > before) this.#parts.onLearned()
    return departed
  }

  /** One round, now and then. Rejects as storage does. */
  async run(): Promise<void> {
    if (!this.#interval.isDue()) return
    const departed = await this.learn()
    const { state, membership } = this.#parts
    const told = Math.min(...membership.counted().map(({ lease }) => lease.departed))
    const all = departed.departures.filter(({ number }) => number <= told)
    state.history.leaveOut(
      all.map(({ origin }) => origin),
      Math.min(told, departed.last),
    )
    if (!membership.isPicked('departures')) return
    await membership.removeLapsed(state.config.departAfterMs)
    // As storage has it now: a node that stood still here would tell of what was so before.
    await membership.look()
    if (membership.isFresh()) await this.#write(departed)
  }

  #take({ origin, seq, number }: Departure, horizon: Hlc): boolean {
    const { ledger } = this.#parts.state
    if (origin === ledger.origin) {
      mark('depart.self')
      this.#parts.onDeparted()
      throw new VirgaError('Closed', `${origin} was taken for dead, and has departed: it must start anew`)
    }
    return ledger.depart(origin, seq, horizon, number)
  }

  async #write(departed: Departed): Promise<void> {
    const { clock, storage, log } = this.#parts.state.world
    const nowMs = Math.max(0, Math.floor(clock.now()))
    let number = departed.last
    const added = this.#candidates(departed).map(
      ([origin, seq]): Departure => ({ origin, seq, number: ++number, atMs: nowMs }),
    )
    if (added.length === 0) return
    const expected = departed === NOBODY ? undefined : encodeDeparted(departed)
    const next = encodeDeparted({ last: number, departures: [...departed.departures, ...added] })
    const { swapped } = await storage.compareAndSwap(CLUSTER_DEPARTED, expected, next)
    if (!swapped) return
    mark('depart.written')
    log.info({ count: added.length }, 'origins have departed')
  }

  /** Origins that are dead for long, and of which nothing is left that is not compacted. */
  #candidates({ departures }: Departed): readonly (readonly [Origin, number])[] {
    const { state, membership } = this.#parts
    const { history, ledger, world, config } = state
    const nowMs = world.clock.monotonic()
    const leases = membership.all()
    const known = new Set(departures.map(({ origin }) => origin))
    const present = new Set(leases.map(({ lease }) => lease.origin))
    const applied: readonly Cut[] = membership.counted().map(({ lease }) => lease.applied)
    const found: (readonly [Origin, number])[] = []
    for (const [origin, seq] of history.cut()) {
      if (origin === ledger.origin || known.has(origin) || present.has(origin)) {
        this.#deadSinceMs.delete(origin)
        continue
      }
      const sinceMs = this.#deadSinceMs.get(origin) ?? nowMs
      this.#deadSinceMs.set(origin, sinceMs)
      const isLongDead = nowMs - sinceMs >= config.departAfterMs
      const isCompacted = (history.compacted.get(origin) ?? 0) === seq
      const isKnownToAll = applied.every((cut) => (cut.get(origin) ?? 0) === seq)
      if (isLongDead && isCompacted && isKnownToAll && found.length < BATCH_MAX) found.push([origin, seq])
    }
    return found
  }
}
