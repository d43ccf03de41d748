import type { History } from '../core/history.js'
import type { HybridClock } from '../core/hlc.js'
import type { Decisions } from './committing/decisions.js'
import type { NodeConfig } from './config.js'
import type { Counters } from './counters.js'
import type { Budget } from './executors/budget.js'
import type { SnapshotLife } from './executors/transaction.js'
import type { Ledger } from './sharing/ledger.js'
import type { World } from './world.js'

/** What all parts of a node work on: the world outside, what it was told, and what it knows. */
export interface NodeState {
  readonly world: World
  readonly config: NodeConfig
  readonly clock: HybridClock
  readonly history: History
  readonly ledger: Ledger
  readonly decisions: Decisions
  readonly counters: Counters
  /** Of bytes that executors make the node hold for them. */
  readonly budget: Budget
  readonly life: SnapshotLife
}
