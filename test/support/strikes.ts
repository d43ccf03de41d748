import type { Fault } from '../../src/testing/faulty-storage.js'
import type { Cluster } from './cluster-in-process.js'
import type { Fate, OnCall } from './incarnation.js'

/** One bad thing that happens at one storage operation of the node. */
interface Strike {
  readonly fault?: Fault
  readonly fate?: Fate
  /** From then on every operation fails, for so long. */
  readonly outageMs?: number
}

/** Longer than a node looks into an unknown outcome (`resolveMsMax`), so that it has to say that it doesn't know. */
const LONG_MS = 20_000

export const STRIKES = {
  'fails before its effect': { fault: { kind: 'before' } },
  'fails after its effect': { fault: { kind: 'after' } },
  'is lost': { fault: { kind: 'lost' } },
  'is half done': { fault: { kind: 'partial' } },
  'is slow': { fault: { kind: 'latency', latencyMs: 3_000 } },
  'times out, with its effect before that': {
    fault: { kind: 'timeout', latencyMs: 1_000, effectAfterMs: 400 },
  },
  'times out, with its effect soon after': {
    fault: { kind: 'timeout', latencyMs: 1_000, effectAfterMs: 1_005 },
  },
  'times out, with its effect much later': {
    fault: { kind: 'timeout', latencyMs: 1_000, effectAfterMs: LONG_MS },
  },
  'times out, without effect': { fault: { kind: 'timeout', latencyMs: 1_000, effectAfterMs: 'never' } },
  'has its effect, and storage fails for long': { fault: { kind: 'after' }, outageMs: LONG_MS },
  'is lost, and storage fails for long': { fault: { kind: 'lost' }, outageMs: LONG_MS },
  'has its effect in the middle of a long failure': {
    fault: { kind: 'timeout', latencyMs: 100, effectAfterMs: 15_000 },
    outageMs: LONG_MS,
  },
  'never comes, since the node dies': { fate: 'before' },
  'takes effect, and the node dies': { fate: 'after' },
  'is on its way when the node dies, and arrives before the next boot': {
    fault: { kind: 'timeout', latencyMs: 1, effectAfterMs: 10 },
    fate: 'during',
  },
  'is on its way when the node dies, and arrives after the next boot': {
    fault: { kind: 'timeout', latencyMs: 1, effectAfterMs: 400 },
    fate: 'during',
  },
} as const satisfies Record<string, Strike>

export type StrikeName = keyof typeof STRIKES
export const STRIKE_NAMES = Object.keys(STRIKES) as readonly StrikeName[]

/** Which of the node's storage operations, counted over all its incarnations, meet what. */
export type Plan = ReadonlyMap<number, StrikeName>

export function describePlan(plan: Plan): string {
  return [...plan].map(([call, name]) => `operation ${call} ${name}`).join('; ')
}

export class Striker {
  calls = 0
  readonly #cluster: Cluster
  readonly #plan: Plan
  #armed = false

  constructor(cluster: Cluster, plan: Plan) {
    this.#cluster = cluster
    this.#plan = plan
  }

  /** From now on operations count. */
  arm(): void {
    this.#armed = true
  }

  disarm(): void {
    this.#armed = false
    this.#cluster.storage.faults.plan(undefined)
  }

  readonly onCall: OnCall = (_call, operation) => {
    if (!this.#armed) return undefined
    const name = this.#plan.get(this.calls++)
    if (name === undefined) return undefined
    const strike: Strike = STRIKES[name]
    const { faults } = this.#cluster.storage
    if (strike.fault !== undefined) faults.next(operation, strike.fault)
    if (strike.outageMs !== undefined) {
      // From the next event on: this operation meets its own fault.
      this.#cluster.clock.defer(() => faults.plan({ probabilities: { before: 1 } }))
      this.#cluster.clock.timer(strike.outageMs, () => faults.plan(undefined))
    }
    return strike.fate
  }
}
