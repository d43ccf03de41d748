import type { TxnId } from '../../core/ids.js'
import { mark } from '../../marks.js'
import type { PublicationMessage } from '../../wire/peer-messages.js'
import { unpackStretch } from '../../wire/publications.js'
import { unpackCut } from '../../wire/types.js'
import type { Peer, PeersHandlers } from '../cluster/peers.js'
import type { NodeState } from '../state.js'
import { Dropping } from './dropping.js'
import type { Inbox } from './inbox.js'
import type { Repair } from './repair.js'

/** Clocks that differ by more are warned of: only which of two concurrent writes is the last suffers. */
const SKEW_WARN_MS = 1_000
const SKEW_WARN_EVERY_MS = 60_000

export interface SubscriberParts {
  readonly inbox: () => Inbox
  readonly repair: () => Repair
  /** Whether what others collected may be dropped here: this node's snapshots counted. */
  readonly isFresh: () => boolean
  readonly onEnded: (txn: TxnId) => void
}

/** What other nodes publish: decisions go to the inbox, gaps to repair, and what was compacted leaves the history. */
export class Subscriber implements PeersHandlers {
  readonly #state: NodeState
  readonly #parts: SubscriberParts
  readonly #dropping: Dropping
  #warnedAtMs = Number.NEGATIVE_INFINITY

  constructor(state: NodeState, parts: SubscriberParts) {
    this.#state = state
    this.#parts = parts
    const { world, history, ledger } = state
    this.#dropping = new Dropping(world.clock, history, ledger, parts.isFresh)
  }

  onPublication(peer: Peer, message: PublicationMessage): void {
    if (message.type === 'published') this.#published(message)
    else this.#heartbeat(peer, message)
  }

  /** It is told that this node listens, and then tells by its heartbeats what was missed. */
  onUp(peer: Peer): void {
    const { config, ledger, world } = this.#state
    peer
      .ask({ type: 'greet', node: config.nodeId, origin: ledger.origin }, ['greeted'])
      .catch((error: unknown) =>
        world.log.debug({ err: error, peer: peer.nodeId }, 'no answer to a greeting'),
      )
  }

  #published(message: Extract<PublicationMessage, { type: 'published' }>): void {
    const { origin, first, placed } = unpackStretch(message)
    if (origin === this.#state.ledger.origin) return
    this.#parts.inbox().take(origin, first, placed)
    this.#parts.repair().published(origin, first + placed.length - 1, 'repair.gap')
    for (const txn of message.ended) this.#parts.onEnded(txn)
  }

  #heartbeat(peer: Peer, message: Extract<PublicationMessage, { type: 'heartbeat' }>): void {
    const { origin, seq } = message
    if (origin === this.#state.ledger.origin) return
    const repair = this.#parts.repair()
    repair.published(origin, seq)
    repair.applied(peer, unpackCut(message.applied))
    this.#dropping.compacted(unpackCut(message.compacted))
    this.#watchSkew(peer, message.nowMs)
  }

  #watchSkew(peer: Peer, theirsMs: number): void {
    const { clock, log } = this.#state.world
    const skewMs = theirsMs - clock.now()
    const nowMs = clock.monotonic()
    if (Math.abs(skewMs) <= SKEW_WARN_MS || nowMs - this.#warnedAtMs < SKEW_WARN_EVERY_MS) return
    mark('clock.skew-warned')
    this.#warnedAtMs = nowMs
    log.warn({ peer: peer.nodeId, skewMs: Math.round(skewMs) }, 'the clock of a peer differs from this one')
  }
}
