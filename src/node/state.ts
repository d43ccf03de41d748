import type { History } from '../core/history.js'
import type { HybridClock } from '../core/hlc.js'
import type { Budget } from './budget.js'
import type { NodeConfig } from './config.js'
import type { Counters } from './counters.js'
import type { Decisions } from './decisions.js'
import type { Ledger } from './ledger.js'
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
}
