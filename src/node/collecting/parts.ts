import type { Decision } from '../../core/decision.js'
import type { Origin, TxnId } from '../../core/ids.js'
import type { Membership } from '../cluster/membership.js'
import type { ValueCache } from '../reading/value-cache.js'
import type { NodeState } from '../state.js'
import type { Departures } from './departures.js'
import type { Minutes } from './minutes.js'

/** What collection works on. */
export interface CollectingParts {
  readonly state: Pick<NodeState, 'world' | 'config' | 'history' | 'decisions' | 'counters'> & {
    readonly ledger: { readonly origin: Origin }
  }
  readonly membership: Pick<Membership, 'look' | 'renew' | 'counted' | 'isLive' | 'isPicked' | 'isFresh'>
  readonly minutes: Minutes
  readonly departures: Pick<Departures, 'run'>
  readonly values: Pick<ValueCache, 'glance'>
  /** Makes every decision that storage holds, and this node does not know, visible here. */
  readonly adopt: () => Promise<void>
  /** The same, of one decision that was met. */
  readonly adoptOne: (txn: TxnId, decision: Decision) => Promise<void>
  /** Storage holds that an origin is compacted up to a place: what it published up to there is in the bases. */
  readonly onCompacted: (origin: Origin, through: number) => void
}

/** Whether a round may go on. Asked before each of its writes. */
export interface Permit {
  /** Throws `Interrupted` when the node stops, or has lost touch with its cluster. */
  check(): void
}
