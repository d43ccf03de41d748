import type { Coordinates, Cut } from '../../core/cut.js'
import type { Origin, TxnId } from '../../core/ids.js'
import type { Placed, Publication, SharedValue, SharedWrite } from '../../core/publication.js'
import { mark } from '../../marks.js'
import type { Timer } from '../../ports/clock.js'
import { publicationFrames } from '../../wire/frames.js'
import type { PublicationMessage } from '../../wire/peer-messages.js'
import { packStretch } from '../../wire/publications.js'
import type { Bounds } from '../bounds.js'
import type { World } from '../world.js'

export interface PublisherConfig {
  /** How long a decision may wait for others to share its frame. */
  readonly publishDelayMs: number
  /** A value up to this is published with its decision, so that peers have it in their caches. */
  readonly publishValueBytesMax: number
  readonly heartbeatMs: number
  readonly bounds: Bounds
}

export interface PublisherParts {
  /** Nobody: then nothing is encoded. */
  readonly hasSubscribers: () => boolean
  readonly heartbeat: () => Heartbeat
}

export interface Heartbeat {
  readonly applied: Cut
  readonly compacted: Cut
}

interface Queued {
  readonly seq: number
  readonly txn: TxnId
  readonly decision: Publication
}

/**
 * Tells all who subscribe of this node's decisions, in the order of their places, a few milliseconds' worth at a time. It
 * never waits for a subscriber: one that misses something sees the gap, here or against the heartbeat, and fetches it.
 *
 * A value that a later decision of the same frame overwrites is left out: nobody is likely to read it, and who does finds
 * it in the decision's record. The decision itself stays: a snapshot taken here between the two may be read anywhere.
 */
export class Publisher {
  readonly #world: World
  readonly #config: PublisherConfig
  readonly #origin: Origin
  readonly #hasSubscribers: () => boolean
  readonly #heartbeat: () => Heartbeat
  #queue: Queued[] = []
  #ended: TxnId[] = []
  #seq = 0
  #flushing: Timer | undefined
  #beating: Timer | undefined

  constructor(
    world: World,
    config: PublisherConfig,
    origin: Origin,
    { hasSubscribers, heartbeat }: PublisherParts,
  ) {
    this.#world = world
    this.#config = config
    this.#origin = origin
    this.#hasSubscribers = hasSubscribers
    this.#heartbeat = heartbeat
  }

  start(): void {
    this.#beatLater()
  }

  decided({ seq }: Coordinates, txn: TxnId, decision: Publication): void {
    this.#seq = seq
    if (!this.#hasSubscribers()) return
    // A frame is one stretch: what nobody was there to hear of leaves a gap.
    if (this.#queue.length > 0 && this.#queue[this.#queue.length - 1]!.seq + 1 !== seq) this.flush()
    this.#queue.push({ seq, txn, decision })
    if (this.#queue.length >= this.#config.bounds.frameDecisionsMax) {
      mark('publish.frame-full')
      this.flush()
    } else this.#flushLater()
  }

  /** A transaction ended without a decision: what other nodes keep for it can go. */
  ended(txn: TxnId): void {
    if (!this.#hasSubscribers()) return
    if (this.#ended.length >= this.#config.bounds.endedUntoldMax) {
      mark('publish.ended-untold')
      return
    }
    this.#ended.push(txn)
    this.#flushLater()
  }

  /** Publishes what waits. */
  flush(): void {
    this.#flushing?.cancel()
    this.#flushing = undefined
    const queue = this.#queue
    const ended = this.#ended
    this.#queue = []
    this.#ended = []
    if (queue.length === 0 && ended.length === 0) return
    const { frameBytesMax, frameDecisionsMax } = this.#config.bounds
    let first = 0
    let bytes = 0
    for (let i = 0; i < queue.length; i++) {
      bytes += sizeOf(queue[i]!.decision, this.#config.publishValueBytesMax)
      const isFull = bytes >= frameBytesMax || i + 1 - first >= frameDecisionsMax
      if (!isFull || i + 1 === queue.length) continue
      mark('publish.frame-split')
      this.#publish(queue.slice(first, i + 1), [])
      first = i + 1
      bytes = 0
    }
    this.#publish(queue.slice(first), ended)
  }

  stop(): void {
    this.flush()
    this.#beating?.cancel()
  }

  #publish(queued: readonly Queued[], ended: readonly TxnId[]): void {
    const first = queued[0]?.seq ?? this.#seq + 1
    const stretch = packStretch(this.#origin, first, this.#placed(queued))
    this.#send({ type: 'published', request: 0, ...stretch, ended })
  }

  #placed(queued: readonly Queued[]): readonly Placed[] {
    const overwritten = new Set<string>()
    const placed: Placed[] = []
    for (let i = queued.length - 1; i >= 0; i--) {
      const { txn, decision } = queued[i]!
      const { hlc, cut } = decision
      const writes = decision.writes.map(({ key, value }): SharedWrite => {
        const isLast = !overwritten.has(key)
        if (!isLast) mark('publish.overwritten')
        overwritten.add(key)
        return { key, value: shared(value, isLast ? this.#config.publishValueBytesMax : 0) }
      })
      placed.push({ txn, kind: 'decided', publication: { hlc, cut, writes } })
    }
    return placed.reverse()
  }

  #send(message: PublicationMessage): void {
    this.#world.network.publish(publicationFrames.encode([message]))
  }

  #flushLater(): void {
    this.#flushing ??= this.#world.clock.timer(this.#config.publishDelayMs, () => this.flush())
  }

  #beatLater(): void {
    this.#beating = this.#world.clock.timer(this.#config.heartbeatMs, () => {
      // In the order of what it tells: whoever hears of a place here and has not got it has missed it.
      this.flush()
      if (this.#hasSubscribers()) {
        const { applied, compacted } = this.#heartbeat()
        this.#send({
          type: 'heartbeat',
          request: 0,
          origin: this.#origin,
          seq: applied.get(this.#origin) ?? 0,
          applied: [...applied],
          compacted: [...compacted],
          nowMs: Math.max(0, Math.floor(this.#world.clock.now())),
        })
      }
      this.#beatLater()
    })
  }
}

function shared(value: SharedValue, bytesMax: number): SharedValue {
  if (value.kind !== 'inline' || value.bytes.length <= bytesMax) return value
  mark('publish.recorded')
  return { kind: 'recorded' }
}

/** About what a decision takes in a frame. */
function sizeOf({ writes }: Publication, valueBytesMax: number): number {
  let bytes = 128
  for (const { key, value } of writes) {
    bytes += key.length + 16
    if (value.kind === 'inline' && value.bytes.length <= valueBytesMax) bytes += value.bytes.length
  }
  return bytes
}
