import type { Guard } from '../../src/core/claim.js'
import type { Cut } from '../../src/core/cut.js'
import type { Commit, Decision, Standing } from '../../src/core/decision.js'
import type { Attempt, Origin, TxnId } from '../../src/core/ids.js'
import type { Placed } from '../../src/core/publication.js'
import type { Replica } from './replica.js'

export const KEYS = ['x', 'y'] as const
export type Key = (typeof KEYS)[number]

export const [T1, T2] = ['t1', 't2'] as unknown as readonly [TxnId, TxnId]
export const TXNS = [T1, T2] as const

/** What somebody does, at whatever time he comes to it. */
export type Plan =
  | {
      readonly kind: 'attempt'
      readonly txn: TxnId
      /** The node that it begins on, and the one on which it goes on after its first read, if that is another. */
      readonly path: readonly number[]
      /** It reads these one after the other, then writes them all. */
      readonly keys: readonly Key[]
      /** It looks for a decision before it begins. */
      readonly isRetry: boolean
    }
  /** Someone who must be sure that an attempt, by its number among the plans, does not commit any more. */
  | { readonly kind: 'fence'; readonly of: number }

/** How often each may yet happen. What may happen without an end adds fewer states than what is counted. */
export interface Faults {
  readonly crashes: number
  /** Nodes that start again. Those that don't are gone for good. */
  readonly restarts: number
  /** Messages between nodes that are lost, and that come once more. */
  readonly losses: number
  readonly doubles: number
  /** Swaps of which nobody is told what became: they take effect at once, later, or never. */
  readonly doubts: number
  /** Deadlines that pass before the decision. */
  readonly lateness: number
  /** Looks through storage for which there is no reason. */
  readonly looks: number
  /** Live origins that somebody takes for dead. */
  readonly suspicions: number
}

export type Told = 'committed' | 'fenced' | 'surely not' | 'too late' | 'conflict' | 'unavailable'

/** How far the claim of one key is. */
export interface Contest {
  readonly phase: 'unread' | 'read' | 'held'
  /** The guard as read last; that of a claim, once it is held. */
  readonly guard: Guard | undefined
}

/** How far a plan is. */
export interface Run {
  readonly phase:
    | 'idle'
    | 'reading'
    | 'claiming'
    | 'ready'
    /** Its swap is on its way. */
    | 'swapping'
    /** Its swap has taken effect, and the answer is on its way. */
    | 'decided'
    /** It was not told what became of its swap. */
    | 'resolving'
    /** It met a commit, which must be visible here before that is the answer. */
    | 'adopting'
    /** It failed, and takes its claims back. */
    | 'failing'
    | 'releasing'
    | 'over'
  /** The node that it is on. */
  readonly at: number
  readonly attempt: Attempt | undefined
  readonly cut: Cut | undefined
  /** All transactions that its cut saw when it was taken. */
  readonly saw: readonly TxnId[]
  /** Whose versions it has read, in the order of its keys. */
  readonly reads: readonly (TxnId | undefined)[]
  readonly contests: readonly Contest[]
  readonly decision: Decision | undefined
  /** What its swap expects. */
  readonly expected: Standing | undefined
  readonly met: Commit | undefined
  /** It waits for a look: one that began after it came to wait. */
  readonly look: 'none' | 'under way' | 'done'
  readonly told: Told | undefined
  /** Which attempt has committed, as it was told. */
  readonly named: Attempt | undefined
  /** Where it was told. */
  readonly toldBy: Origin | undefined
}

export const IDLE: Run = {
  phase: 'idle',
  at: 0,
  attempt: undefined,
  cut: undefined,
  saw: [],
  reads: [],
  contests: [],
  decision: undefined,
  expected: undefined,
  met: undefined,
  look: 'none',
  told: undefined,
  named: undefined,
  toldBy: undefined,
}

/**
 * A look through storage: it lists all records, in any order, until it has seen all that it must. When it comes to a record makes a
 * difference only to one that is decided meanwhile: so only those are named that it came to before.
 */
export interface Look {
  readonly passed: readonly TxnId[]
  /** What the listing before this one had found. */
  readonly before: readonly TxnId[] | undefined
  /** The node starts from storage alone. */
  readonly restores: boolean
}

export interface Node {
  readonly boots: number
  /** Undefined: it is down. */
  readonly replica: Replica | undefined
  readonly serves: boolean
  readonly look: Look | undefined
}

/** A place of an origin's order, on its way to a node. */
export interface Message {
  readonly to: number
  readonly origin: Origin
  readonly seq: number
  readonly placed: Placed
}

/** A swap that may still take effect. */
export interface Flying {
  readonly txn: number
  readonly expected: Standing | undefined
  readonly next: Standing
}

export interface State {
  /** What stands under each transaction's id. */
  readonly records: readonly (Standing | undefined)[]
  readonly guards: readonly (Guard | undefined)[]
  readonly flying: readonly Flying[]
  readonly nodes: readonly Node[]
  readonly runs: readonly Run[]
  readonly messages: readonly Message[]
  readonly faults: Faults
}

export interface Step {
  readonly label: string
  readonly next: State
  /** It happens sooner or later, if nothing else does. Faults need not happen. */
  readonly isFair: boolean
}
