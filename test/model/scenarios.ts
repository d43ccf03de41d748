import type { Mark } from '../../src/marks.js'
import { type Faults, type Plan, T1, T2 } from './state.js'
import type { Rules, Scenario } from './world.js'

const NONE: Faults = {
  crashes: 0,
  restarts: Number.POSITIVE_INFINITY,
  losses: 0,
  doubles: 0,
  doubts: 0,
  lateness: 0,
  looks: 0,
  suspicions: 0,
}
/** Messages are lost, and come more than once, as often as may be. */
const UNRELIABLE = { losses: Number.POSITIVE_INFINITY, doubles: Number.POSITIVE_INFINITY }
const LOSSY = { losses: Number.POSITIVE_INFINITY }

const [A, B] = [0, 1]

function attempt(txn: typeof T1, ...path: readonly number[]): Plan {
  return { kind: 'attempt', txn, path, keys: txn === T1 ? ['x', 'y'] : ['y', 'x'], isRetry: false }
}

/** The same transaction once more, on another node. Whoever retries does not know what became of the first attempt. */
function retry(txn: typeof T1, on: number): Plan {
  return { kind: 'attempt', txn, path: [on], keys: ['x', 'y'], isRetry: true }
}

function onOneKey(plan: Plan): Plan {
  return plan.kind === 'attempt' ? { ...plan, keys: ['x'] } : plan
}

const fenceOf = (of: number): Plan => ({ kind: 'fence', of })

function scenario(plans: readonly Plan[], faults: Partial<Faults>, more: Partial<Scenario> = {}): Scenario {
  const all = { nodes: 2, mode: 'read-atomic', clocksMs: [0, 0, 0] } as const
  return { ...all, plans, faults: { ...NONE, ...faults }, ...more }
}

const TWO = [attempt(T1, A), attempt(T2, B)]

const GONE = { crashes: 1, restarts: 0 }

/** Two transactions, each of which reads two keys and writes both. With how many states there are, at least. */
export const SCENARIOS: readonly (readonly [name: string, scenario: Scenario, statesMin: number])[] = [
  ['no faults', scenario(TWO, {}), 80],
  [
    'messages lost and doubled, and a look without a reason',
    scenario(TWO, { looks: 1, ...UNRELIABLE }),
    4_000,
  ],
  ['a node that dies, and messages lost', scenario(TWO, { crashes: 1, ...LOSSY }), 50_000],
  ['both on a node that dies', scenario([attempt(T1, A), attempt(T2, A)], { crashes: 1, ...LOSSY }), 50_000],
  [
    'both on a node, and a look without a reason',
    scenario([attempt(T1, A), attempt(T2, A)], { looks: 1, ...LOSSY }),
    4_000,
  ],
  ['two deaths', scenario([attempt(T1, A), retry(T1, B)], { crashes: 2 }), 100_000],
  ['clocks apart', scenario(TWO, { crashes: 1 }, { clocksMs: [1, 0, 0] }), 25_000],
  [
    'a swap without an answer, and a death',
    scenario([attempt(T1, A), attempt(T1, B)], { doubts: 1, crashes: 1 }),
    45_000,
  ],
  [
    'two swaps without an answer, and a deadline',
    scenario([attempt(T1, A), retry(T1, B)], { doubts: 2, lateness: 1 }),
    1_800,
  ],
  [
    'a retry elsewhere, and a swap without an answer',
    scenario([...TWO, retry(T1, B)], { doubts: 1 }),
    25_000,
  ],
  ['a retry elsewhere, and a node that is gone', scenario([...TWO, retry(T1, B)], GONE), 20_000],
  [
    'a fence, a retry, and a node that is gone',
    scenario([attempt(T1, A), retry(T1, B), fenceOf(0)], { doubts: 1, ...GONE }),
    4_500,
  ],
  [
    'a transaction that goes from node to node',
    scenario([attempt(T1, A), attempt(T2, A, B)], { crashes: 1 }),
    30_000,
  ],
  ['a third node listens', scenario(TWO, LOSSY, { nodes: 3 }), 350],
  ['a third node listens, and another is gone', scenario(TWO, { ...GONE, ...LOSSY }, { nodes: 3 }), 60_000],
  [
    'a third node listens, and takes another for dead',
    scenario(TWO, { suspicions: 1, ...LOSSY }, { nodes: 3 }),
    400,
  ],
  [
    'claims, and a swap without an answer',
    scenario(TWO, { doubts: 1, ...LOSSY }, { mode: 'parallel-snapshot' }),
    5_500,
  ],
  ['claims, and a death', scenario(TWO, { crashes: 1 }, { mode: 'parallel-snapshot' }), 60_000],
  [
    'claims, and a retry of which only one key is left',
    scenario([...TWO, onOneKey(retry(T1, B))], {}, { mode: 'parallel-snapshot' }),
    50_000,
  ],
  [
    'claims of one key, a retry, and a swap without an answer',
    scenario([...TWO, retry(T1, B)].map(onOneKey), { doubts: 1 }, { mode: 'parallel-snapshot' }),
    70_000,
  ],
]

/** Defects, where they show, and the rule that they break. */
export const DEFECTS: readonly (readonly [
  says: string,
  scenario: Scenario,
  rules: Partial<Rules>,
  broken: string,
])[] = [
  ['reads ignore the cut', scenario(TWO, {}, { mode: 'lww' }), {}, 'I2'],
  ['a decision is applied before its cut', scenario(TWO, {}, { nodes: 3 }), { gates: false }, 'I7'],
  ['a decision is published before it stands', scenario(TWO, {}), { decidesFirst: false }, 'I4'],
  [
    'a decision replaces whatever stands',
    scenario([attempt(T1, A), attempt(T1, B)], {}),
    { compares: false },
    'I6',
  ],
  [
    'who was not told of its swap looks, and believes it',
    scenario([attempt(T1, A)], { doubts: 1 }),
    { fencesInDoubt: false },
    'I6',
  ],
  [
    'a retry is told of its own attempt, not of the one that stands',
    scenario([attempt(T1, A), retry(T1, B)], {}),
    { obeysRecord: false },
    'I6',
  ],
  [
    'a retry is answered before it can see the commit',
    scenario([attempt(T1, A), retry(T1, B)], {}),
    { showsBeforeAnswer: false },
    'I7',
  ],
  [
    'storage is listed once',
    scenario([attempt(T1, A), attempt(T2, A)], { looks: 1 }),
    { listsAgain: false },
    'I7',
  ],
  [
    'an undecided claimant is replaced without a fence',
    scenario(TWO, {}, { mode: 'parallel-snapshot' }),
    { fencesRivals: false },
    'lost update',
  ],
  [
    'the last writer is forgotten with a claimant that failed',
    scenario([...TWO, retry(T1, B)].map(onOneKey), { lateness: 1 }, { mode: 'parallel-snapshot' }),
    { keepsLastWriter: false },
    'lost update',
  ],
]

/** Branches of the real code that all scenarios together take: else they are about less than they seem to be. */
export const REACHED: readonly Mark[] = [
  'inbox.early',
  'inbox.gated',
  'inbox.listed',
  'apply.known',
  'claim.free',
  'claim.held',
  'claim.own-earlier',
  'claim.superseded',
  'claim.committed',
  'claim.unseen-claimant',
  'claim.unseen-last-writer',
  'claim.becomes-last-writer',
  'claim.failed-claimant',
]
