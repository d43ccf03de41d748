import type { Cut } from '../../src/core/cut.js'
import type { Decision } from '../../src/core/decision.js'
import { History } from '../../src/core/history.js'
import { HybridClock } from '../../src/core/hlc.js'
import type { Origin, TxnId } from '../../src/core/ids.js'
import type { Placed } from '../../src/core/publication.js'
import { compareStamps } from '../../src/core/version.js'
import { DEFAULT_CONFIG } from '../../src/node/config.js'
import { Counters } from '../../src/node/counters.js'
import { Bases } from '../../src/node/reading/bases.js'
import { Cache } from '../../src/node/reading/cache.js'
import { ValueCache } from '../../src/node/reading/value-cache.js'
import { Inbox } from '../../src/node/sharing/inbox.js'
import { Ledger } from '../../src/node/sharing/ledger.js'
import type { Clock } from '../../src/ports/clock.js'
import type { Storage } from '../../src/ports/storage.js'

/** What happens to one incarnation of a node. Its state follows from these, in their order, and from nothing else. */
export type Event =
  /** Its clock gives out a time. */
  | { readonly kind: 'tick'; readonly nowMs: number }
  | { readonly kind: 'publish'; readonly txn: TxnId; readonly decision: Decision }
  | { readonly kind: 'adopt'; readonly txn: TxnId; readonly decision: Decision }
  | { readonly kind: 'take'; readonly origin: Origin; readonly seq: number; readonly placed: Placed }
  /** It learns that an origin is dead. */
  | { readonly kind: 'lapse'; readonly origin: Origin }
  /** It takes over the state of another. */
  | { readonly kind: 'install'; readonly from: Replica }
  /** A look through storage begins. */
  | { readonly kind: 'look' }
  /** All that it found is adopted. */
  | { readonly kind: 'looked' }

interface Waiting {
  readonly text: string
  readonly since: number
}

/**
 * One incarnation of a node, as it is after some events: the real history, ledger, inbox and clock. It never changes: what
 * happens next makes another one, by the same events and one more, since a history can't be copied.
 */
export class Replica {
  readonly origin: Origin
  readonly history = new History()
  readonly clock = new HybridClock()
  readonly ledger: Ledger
  /** All that the future of it depends on. */
  readonly text: string
  /** Something waits here for a decision of a dead origin, which only storage can tell of. */
  isStranded = false
  /** The origins that it takes for dead. */
  readonly lapsed = new Set<Origin>()
  readonly events: readonly Event[]
  readonly #gates: boolean
  readonly #inbox: Inbox
  readonly #waiting = new Map<string, Waiting>()
  /** Each event has a time of its own. */
  #now = 0
  #lookedAt = Number.NEGATIVE_INFINITY
  #lookingSince: number | undefined

  constructor(origin: Origin, events: readonly Event[], gates: boolean) {
    this.origin = origin
    this.events = events
    this.#gates = gates
    const counters = new Counters()
    const cache = new Cache(CACHE_BYTES)
    const values = new ValueCache(NO_STORAGE, cache, counters)
    const bases = new Bases(NO_STORAGE, cache, counters)
    this.ledger = new Ledger(origin, this.history, this.clock, values, bases, counters)
    this.#inbox = new Inbox({
      state: {
        history: this.history,
        ledger: this.ledger,
        counters,
        world: { clock: clockOf(() => this.#now) },
        config: DEFAULT_CONFIG,
      },
      isLive: (each) => this.#gates && !this.lapsed.has(each),
      listedAtMs: () => (this.#gates ? this.#lookedAt : Number.POSITIVE_INFINITY),
      learned: () => 0,
      onStranded: () => {
        this.isStranded = true
      },
      onApplied() {},
    })
    for (const event of events) {
      this.#now++
      this.#happen(event)
    }
    if (this.#inbox.size !== this.#waiting.size)
      throw new Error('the inbox holds something else than it was sent')
    this.text = this.#describe()
  }

  /** What waits here lacks these. */
  get lacking(): Cut {
    return this.#inbox.lacking()
  }

  /** Whether a place has come, applied or not. */
  holds(origin: Origin, seq: number): boolean {
    return seq <= this.history.seqOf(origin) || this.#waiting.has(`${origin} ${seq}`)
  }

  #happen(event: Event): void {
    switch (event.kind) {
      case 'tick':
        this.clock.tick(event.nowMs)
        return
      case 'publish':
        this.ledger.publish(event.txn, event.decision)
        break
      case 'adopt':
        this.ledger.adopt(event.txn, event.decision)
        break
      case 'take':
        this.#take(event.origin, event.seq, event.placed)
        break
      case 'lapse':
        this.lapsed.add(event.origin)
        break
      case 'install':
        this.ledger.install(event.from.history.state())
        break
      case 'look':
        this.#lookingSince = this.#now
        return
      case 'looked':
        this.#lookedAt = this.#lookingSince!
        this.#lookingSince = undefined
    }
    this.isStranded = false
    this.#inbox.pump()
    this.#forgetApplied()
  }

  #take(origin: Origin, seq: number, placed: Placed): void {
    const place = `${origin} ${seq}`
    if (!this.holds(origin, seq)) {
      this.#waiting.set(place, { text: `${place} ${placedText(placed)}`, since: this.#now })
    }
    this.#inbox.take(origin, seq, [placed])
  }

  #forgetApplied(): void {
    for (const place of this.#waiting.keys()) {
      const [origin, seq] = place.split(' ') as [Origin, string]
      if (Number(seq) <= this.history.seqOf(origin)) this.#waiting.delete(place)
    }
  }

  #describe(): string {
    const { vector, orders, applied } = this.history.state()
    const parts = [
      this.origin,
      `clock ${this.clock.last}`,
      cutText(vector),
      ...orders.map(({ origin, first, txns }) => `${origin} ${first} ${txns.join(' ')}`).sort(),
      ...applied
        .map(({ txn, coordinates, publication }) => {
          const places = coordinates.map(({ origin, seq }) => `${origin} ${seq}`).sort()
          return `${placedText({ txn, kind: 'decided', publication })} at ${places.join()}`
        })
        .sort(),
      ...[...this.#waiting.values()]
        .map(
          ({ text, since }) => `waits ${text} ${since < this.#lookedAt} ${since < (this.#lookingSince ?? 0)}`,
        )
        .sort(),
      `dead ${[...this.lapsed].sort().join(' ')}`,
      `${this.isStranded} ${this.#lookingSince !== undefined}`,
    ]
    return parts.join('; ')
  }
}

export function cutText(cut: Cut): string {
  return [...cut]
    .map(([origin, seq]) => `${origin}:${seq}`)
    .sort()
    .join(',')
}

export function placedText(placed: Placed): string {
  if (placed.kind === 'compacted') return `${placed.txn} ${placed.hlc} compacted`
  const { hlc, cut, writes } = placed.publication
  return `${placed.txn} ${hlc} ${cutText(cut)} ${writes.map(({ key }) => key).join()}`
}

/** Decisions in the order of their clocks, which is causal. */
export function byClock(a: readonly [TxnId, Decision], b: readonly [TxnId, Decision]): number {
  return compareStamps({ hlc: a[1].hlc, txn: a[0] }, { hlc: b[1].hlc, txn: b[0] })
}

const CACHE_BYTES = 1_000

/** Nothing in here reads storage: the steps of the model do. */
const NO_STORAGE = {} as Storage

function clockOf(monotonic: () => number): Clock {
  const never = (): never => {
    throw new Error('nothing in here looks at this clock')
  }
  return { now: never, precise: never, monotonic, timer: never, defer: never, soon: never }
}
