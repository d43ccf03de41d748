import type { Coordinates, Cut } from '../core/cut.js'
import type { TxnId } from '../core/ids.js'
import type { NodeAddress } from '../ports/network.js'
import { PROTOCOL_VERSION } from '../wire/messages.js'
import type { Membership } from './cluster/membership.js'
import type { Peers } from './cluster/peers.js'
import type { Snapshots } from './collecting/snapshots.js'
import type { Pins } from './contexts/pins.js'
import type { Sessions } from './executors/sessions.js'
import type { Transactions } from './executors/transactions.js'
import type { Cache } from './reading/cache.js'
import type { Inbox } from './sharing/inbox.js'
import type { NodeState } from './state.js'
import type { View } from './view/view.js'

/** For people and dashboards. */
export interface Inspection {
  readonly counters: readonly (readonly [string, number])[]
  readonly notes: readonly (readonly [string, string])[]
  /** What it has applied. */
  readonly applied: Cut
  /** Where a commit stands, as far as its chains hold it. */
  readonly placesOf: (txn: TxnId) => readonly Coordinates[]
}

export interface InspectedParts {
  readonly sessions: Sessions
  readonly transactions: Transactions
  readonly cache: Cache
  readonly pins: Pins
  readonly snapshots: Snapshots
  readonly membership: Membership
  readonly peers: Peers
  readonly inbox: Inbox
  readonly view: View
  readonly address: NodeAddress | undefined
}

/** Of all since the node started. */
function share(hits: number, misses: number): string {
  return hits + misses === 0 ? 'none yet' : `${((100 * hits) / (hits + misses)).toFixed(1)} %`
}

/** What a node has counted, and what it holds now. */
export function inspection(
  { counters, history, budget, config, world, ledger }: NodeState,
  parts: InspectedParts,
): Inspection {
  const { membership } = parts
  return {
    counters: [
      ...counters.entries(),
      ['sessions', parts.sessions.count],
      ['transactionsOpen', parts.transactions.open],
      ['deciding', parts.sessions.deciding],
      ['keys', history.keys],
      ['versions', history.versions],
      ['decisions', history.decisions],
      ['cacheBytes', parts.cache.calculatedSize],
      ['heldBytes', budget.bytes],
      ['pins', parts.pins.size],
      ...parts.view.gauges(),
      ['handedOver', parts.snapshots.handedOverCount],
      ['members', membership.members().length],
      ['peersUp', parts.peers.up().length],
      ['placesWaiting', parts.inbox.size],
      ['fresh', membership.isFresh() ? 1 : 0],
      ['published', ledger.seq],
      ['protocolVersion', PROTOCOL_VERSION],
    ],
    notes: [
      ['node', config.nodeId],
      ['origin', ledger.origin],
      ['address', parts.address?.requests ?? ''],
      ['consistency', config.consistency],
      ['storage', world.storage.durability],
      ['memberNames', membership.names],
      ['viewHitRate', share(counters.viewReads, counters.keysRead)],
      ['cacheHitRate', share(counters.cacheHits, counters.cacheMisses)],
    ],
    applied: history.cut(),
    placesOf: (txn) => history.find(txn)?.coordinates ?? [],
  }
}
