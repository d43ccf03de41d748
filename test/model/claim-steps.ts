import { type Guard, givesWay, knownFrom, knownWith, nextStep, released } from '../../src/core/claim.js'
import type { Try } from '../../src/core/decision.js'
import { type AttemptPlan, fair, fence, name } from './run-steps.js'
import { type Contest, KEYS, type State, type Step } from './state.js'
import { recordOf, type World, withFault, withGuard } from './world.js'

/** How an attempt claims its keys, all at the same time: what src/node/committing/claiming.ts does. */
export function* claimSteps(world: World, state: State, r: number, plan: AttemptPlan): Generator<Step> {
  const { contests } = state.runs[r]!
  if (contests.every(({ phase }) => phase === 'held')) {
    yield fair(`${name(r, plan)} has claimed all`, world.withRun(state, r, { phase: 'ready' }))
    return
  }
  for (const [k, { phase }] of contests.entries()) {
    const guard = state.guards[KEYS.indexOf(plan.keys[k]!)]
    if (phase === 'unread') {
      const next = withContest(world, state, r, k, { phase: 'read', guard })
      yield fair(`${name(r, plan)} reads the guard of ${plan.keys[k]}`, next)
    } else if (phase === 'read') yield* contestSteps(world, state, r, plan, k)
  }
}

function* contestSteps(world: World, state: State, r: number, plan: AttemptPlan, k: number): Generator<Step> {
  const { at, attempt, cut, contests } = state.runs[r]!
  const { history } = state.nodes[at]!.replica!
  const by: Try = { txn: plan.txn, attempt: attempt! }
  const key = plan.keys[k]!
  const who = name(r, plan)
  const { guard } = contests[k]!
  const known = guard && knownFrom((txn) => history.find(txn), cut!, guard)
  let step = nextStep(guard, by, known ?? NOTHING_KNOWN)
  if (step.kind === 'look') {
    // As if it were read in the moment of the swap: what leads to one, a commit or a fence, is never undone.
    const { claimant, last } = guard!
    const standings = {
      claimant: claimant && recordOf(state, claimant.txn),
      last: last && recordOf(state, last),
    }
    step = nextStep(guard, by, knownWith(known!, key, guard!, standings))
  }
  switch (step.kind) {
    case 'look':
      throw new Error('a guard was looked into, and is to be looked into again')
    case 'held':
    case 'committed':
      yield fair(`${who} holds ${key}`, withContest(world, state, r, k, { phase: 'held', guard }))
      return
    case 'superseded':
      yield fair(`${who} is superseded`, giveUp(world, state, r, 'fenced'))
      return
    case 'conflict':
      yield fair(`${who} meets ${step.with}, which it does not see`, giveUp(world, state, r, 'conflict'))
      return
    case 'contended':
      if (givesWay(by, step.whom)) yield fair(`${who} gives way`, giveUp(world, state, r, 'conflict'))
      if (!world.rules.fencesRivals) {
        const next: Guard = { last: guard?.last, claimant: by }
        yield* swap(world, state, r, plan, k, next)
      } else {
        const { next } = fence(world, state, step.whom, step.whom.attempt)
        yield fair(`${who} fences ${step.whom.txn}`, next)
      }
      return
    case 'swap':
      yield* swap(world, state, r, plan, k, step.next)
  }
}

function* swap(
  world: World,
  state: State,
  r: number,
  plan: AttemptPlan,
  k: number,
  to: Guard,
): Generator<Step> {
  const key = plan.keys[k]!
  const { guard } = state.runs[r]!.contests[k]!
  const stands = state.guards[KEYS.indexOf(key)]
  const who = name(r, plan)
  if (stands !== guard) {
    const next = withContest(world, state, r, k, { phase: 'read', guard: stands })
    yield fair(`${who} finds another guard of ${key}`, next)
    return
  }
  const claim = world.guard(to)
  const swapped = withGuard(state, key, claim)
  yield fair(`${who} claims ${key}`, withContest(world, swapped, r, k, { phase: 'held', guard: claim }))
  // The same step again then tells what became of it.
  if (state.faults.doubts > 0)
    yield {
      label: `${who} claims ${key}, and is not told`,
      next: withFault(swapped, 'doubts'),
      isFair: false,
    }
}

/** Nothing more is begun; what is held is taken back. */
function giveUp(world: World, state: State, r: number, told: 'fenced' | 'conflict'): State {
  return world.withRun(state, r, { phase: 'failing', told })
}

export function* releaseSteps(world: World, state: State, r: number, plan: AttemptPlan): Generator<Step> {
  const { rules } = world
  const { contests, told } = state.runs[r]!
  const k = contests.findIndex(({ phase }) => phase === 'held')
  if (k < 0) {
    yield fair(`${name(r, plan)} has taken its claims back`, world.end(state, r, told))
    return
  }
  const key = plan.keys[k]!
  const { guard } = contests[k]!
  const stands = state.guards[KEYS.indexOf(key)]
  const next = withContest(world, state, r, k, { phase: 'unread', guard: undefined })
  const isOwn = stands === guard && guard?.claimant?.attempt === state.runs[r]!.attempt
  yield fair(
    `${name(r, plan)} takes its claim of ${key} back`,
    isOwn ? withGuard(next, key, rules.keepsLastWriter ? world.guard(released(guard!)) : undefined) : next,
  )
}

function withContest(world: World, state: State, r: number, k: number, contest: Contest): State {
  const contests = state.runs[r]!.contests.map((each, i) => (i === k ? contest : each))
  return world.withRun(state, r, { contests })
}

const NOTHING_KNOWN = { claimant: undefined, last: undefined, ordered: undefined }
