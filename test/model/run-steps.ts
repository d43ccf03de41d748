import { type Commit, type Decision, fenceOver, isCommit, judge } from '../../src/core/decision.js'
import type { Hlc } from '../../src/core/hlc.js'
import { ATTEMPT_ENTROPY_BYTES, type Attempt, makeAttempt } from '../../src/core/ids.js'
import { modeOf } from '../../src/core/modes.js'
import { claimSteps, releaseSteps } from './claim-steps.js'
import type { Node, Plan, Run, State, Step } from './state.js'
import { indexOf, nameOf, recordOf, visibleIn, type World, withFault, withRecord } from './world.js'

export type AttemptPlan = Extract<Plan, { kind: 'attempt' }>

/** What plans do next: what src/node/executors and src/node/committing do, one storage operation or message at a time. */
export function* runSteps(world: World, state: State): Generator<Step> {
  for (const [r, run] of state.runs.entries()) {
    if (run.phase === 'over') continue
    const plan = world.scenario.plans[r]!
    if (plan.kind === 'fence') yield* fenceSteps(world, state, r, plan.of)
    else yield* attemptSteps(world, state, r, run, plan)
  }
}

function* fenceSteps(world: World, state: State, r: number, of: number): Generator<Step> {
  const { attempt, phase } = state.runs[of]!
  const plan = world.scenario.plans[of] as AttemptPlan
  if (attempt === undefined) {
    if (phase === 'over') yield fair('there is nothing to fence', world.end(state, r, undefined))
    return
  }
  const { next, commit } = fence(world, state, plan, attempt)
  const fenced = { ...next, runs: world.withRun(next, r, { attempt }).runs }
  yield fair(`somebody fences ${plan.txn}`, world.end(fenced, r, commit ? undefined : 'surely not'))
}

function* attemptSteps(world: World, state: State, r: number, run: Run, plan: AttemptPlan): Generator<Step> {
  if (run.phase === 'reading') {
    yield* readingSteps(world, state, r, run, plan)
    return
  }
  const at = run.phase === 'idle' ? plan.path[0]! : run.at
  const node = state.nodes[at]!
  if (node.replica === undefined || !node.serves) return
  switch (run.phase) {
    case 'idle':
      yield begin(world, state, r, plan, node)
      return
    case 'claiming':
      yield* claimSteps(world, state, r, plan)
      return
    case 'releasing':
      yield* releaseSteps(world, state, r, plan)
      return
    case 'ready':
      yield propose(world, state, r, plan)
      if (state.faults.lateness > 0) {
        const late = withFault(state, 'lateness')
        yield { label: `${name(r, plan)} is too late`, next: fail(world, late, r, 'too late'), isFair: false }
      }
      return
    case 'swapping':
      yield* swapSteps(world, state, r, run, plan)
      return
    case 'decided':
      yield publish(world, state, r, run, plan)
      return
    case 'resolving':
      yield* resolveSteps(world, state, r, run, plan)
      return
    case 'adopting':
      yield* adoptSteps(world, state, r, run, plan)
      return
    case 'failing':
      yield fenceItself(world, state, r, run, plan)
  }
}

/** Attempts are in the order of their plans, whenever they begin. */
function attemptOf(r: number): Attempt {
  return makeAttempt((r + 1) as Hlc, new Uint8Array(ATTEMPT_ENTROPY_BYTES))
}

/** A retry is told of the decision that stands, if one does, before it takes its snapshot. */
function begin(world: World, state: State, r: number, plan: AttemptPlan, { replica }: Node): Step {
  const { txn } = plan
  const at = plan.path[0]!
  const standing = recordOf(state, txn)
  const label = `${name(r, plan)} begins on ${nameOf(at)}`
  if (plan.isRetry && isCommit(standing)) {
    const next = world.withRun(state, r, { phase: 'adopting', at, met: standing })
    return fair(`${label}, and meets a decision`, next)
  }
  const cut = replica!.history.cut()
  const saw = visibleIn(replica!.history, cut)
  return fair(label, world.withRun(state, r, { phase: 'reading', at, attempt: attemptOf(r), cut, saw }))
}

/** One read after the other, each on the node that is next on its path. */
function* readingSteps(world: World, state: State, r: number, run: Run, plan: AttemptPlan): Generator<Step> {
  const key = plan.keys[run.reads.length]!
  const at = plan.path[Math.min(run.reads.length, plan.path.length - 1)]!
  const { replica, serves } = state.nodes[at]!
  if (replica === undefined || !serves) return
  if (!replica.history.covers(run.cut!)) {
    // The node that it comes from may be dead, and nobody else may know its places.
    const label = `${name(r, plan)} is given up: ${nameOf(at)} lacks some of its cut`
    yield fair(label, world.end(state, r, 'unavailable'))
    return
  }
  const cut = modeOf(world.scenario.mode).readCut(run.cut!, replica.history.cut())
  const version = replica.history.read(key, cut)
  const reads = [...run.reads, version?.applied.txn]
  const what = `${name(r, plan)} reads ${key} of ${version?.applied.txn ?? 'nobody'} on ${nameOf(at)}`
  if (reads.length < plan.keys.length) {
    yield fair(what, world.withRun(state, r, { at, reads }))
    return
  }
  const { claims } = modeOf(world.scenario.mode)
  const contests = claims ? plan.keys.map(() => ({ phase: 'unread', guard: undefined }) as const) : []
  yield fair(what, world.withRun(state, r, { phase: claims ? 'claiming' : 'ready', at, reads, contests }))
}

/** The decision is sent to storage. */
function propose(world: World, state: State, r: number, plan: AttemptPlan): Step {
  const { at, attempt, cut, saw } = state.runs[r]!
  const { mode, clocksMs } = world.scenario
  let next = world.act(state, at, { kind: 'tick', nowMs: clocksMs[at]! })
  const decision = world.decision(
    plan.txn,
    {
      status: 'committed',
      attempt: attempt!,
      hlc: next.nodes[at]!.replica!.clock.last,
      cut: cut!,
      writes: plan.keys.map((key) => ({ key, value: { kind: 'inline', bytes: VALUE } })),
      claimed: modeOf(mode).claims,
      result: undefined,
    },
    saw,
  )
  if (!world.rules.decidesFirst) next = world.act(next, at, { kind: 'publish', txn: plan.txn, decision })
  next = world.withRun(next, r, { phase: 'swapping', decision, expected: undefined, reads: [] })
  return fair(`${name(r, plan)} sends its decision to storage`, next)
}

function* swapSteps(world: World, state: State, r: number, run: Run, plan: AttemptPlan): Generator<Step> {
  const { txn } = plan
  const { attempt, expected, decision } = run
  const standing = recordOf(state, txn)
  const who = name(r, plan)
  if (standing === expected || !world.rules.compares) {
    const next = world.withRun(withRecord(state, txn, decision!), r, { phase: 'decided' })
    yield fair(`${who} is decided in storage`, next)
  } else if (standing === decision) yield fair(`${who} stands`, world.withRun(state, r, { phase: 'decided' }))
  else
    switch (judge(standing, attempt!)) {
      case 'write':
        yield fair(`${who} meets a fence below it`, world.withRun(state, r, { expected: standing }))
        break
      case 'ours':
      case 'replay':
        yield fair(`${who} meets a decision`, meet(world, state, r, standing as Commit))
        break
      case 'fenced':
      case 'aborted':
        yield fair(`${who} is fenced`, fail(world, state, r, 'fenced'))
    }
  if (state.faults.doubts === 0) return
  const flying = [...state.flying, { txn: indexOf(txn), expected, next: decision! }]
  const next = world.withRun({ ...withFault(state, 'doubts'), flying }, r, { phase: 'resolving' })
  yield { label: `${who} is not told what became of its swap`, next, isFair: false }
}

/** It stands: it gets a place here, the client is answered, and the others are told. */
function publish(world: World, state: State, r: number, run: Run, plan: AttemptPlan): Step {
  const { txn } = plan
  const decision = run.decision!
  const next = world.act(state, run.at, { kind: 'publish', txn, decision })
  return fair(`${name(r, plan)} is published`, world.end(next, r, 'committed', decision.attempt))
}

/** The attempt fences itself, and obeys what stands. A swap that was lost sight of may arrive until then. */
function* resolveSteps(world: World, state: State, r: number, run: Run, plan: AttemptPlan): Generator<Step> {
  const { txn } = plan
  const who = name(r, plan)
  const standing = recordOf(state, txn)
  const over = fenceOver(standing, run.attempt!)
  if (!world.rules.fencesInDoubt) {
    const next = isCommit(standing) ? meet(world, state, r, standing) : fail(world, state, r, 'surely not')
    yield fair(`${who} looks what stands`, next)
    return
  }
  if (over === undefined) {
    const next = isCommit(standing) ? meet(world, state, r, standing) : fail(world, state, r, 'surely not')
    yield fair(`${who} finds what became of its swap`, next)
    return
  }
  const record = world.record(txn, over)
  yield fair(`${who} fences itself`, fail(world, withRecord(state, txn, record), r, 'surely not'))
  if (state.faults.doubts === 0) return
  const flying = [...state.flying, { txn: indexOf(txn), expected: standing, next: record }]
  const label = `${who} is not told what became of its fence`
  yield { label, next: { ...withFault(state, 'doubts'), flying }, isFair: false }
}

/** A commit that was met is the answer, once it is visible here, and what it read before it. */
function* adoptSteps(world: World, state: State, r: number, run: Run, plan: AttemptPlan): Generator<Step> {
  const { history } = state.nodes[run.at]!.replica!
  const met = run.met as Decision
  const { txn } = plan
  const named = world.rules.obeysRecord ? met.attempt : (run.attempt ?? met.attempt)
  const told = (next: State) => world.end(next, r, 'committed', named)
  const who = name(r, plan)
  if (history.has(txn) || !world.rules.showsBeforeAnswer) yield fair(`${who} is answered`, told(state))
  else if (history.covers(met.cut) || run.look === 'done') {
    const next = world.act(state, run.at, { kind: 'adopt', txn, decision: met })
    yield fair(`${who} adopts what it met, and is answered`, told(next))
  }
}

/** What an attempt found under its id: what it decided itself, or what another did. */
function meet(world: World, state: State, r: number, commit: Commit): State {
  const { decision } = state.runs[r]!
  if (commit === decision) return world.withRun(state, r, { phase: 'decided' })
  return world.withRun(state, r, { phase: 'adopting', met: commit, decision: undefined, expected: undefined })
}

/** Where keys were claimed, the claims are taken back before the client is told. */
function fail(world: World, state: State, r: number, told: Run['told']): State {
  const { contests } = state.runs[r]!
  if (contests.every(({ phase }) => phase !== 'held')) return world.end(state, r, told)
  return world.withRun(state, r, { phase: 'failing', told, decision: undefined, expected: undefined })
}

function fenceItself(world: World, state: State, r: number, run: Run, plan: AttemptPlan): Step {
  const { next, commit } = fence(world, state, plan, run.attempt!)
  const label = `${name(r, plan)} fences itself, to take its claims back`
  if (commit !== undefined) return fair(label, world.end(next, r, run.told))
  return fair(label, world.withRun(next, r, { phase: 'releasing' }))
}

/**
 * Reads, and swaps until what was read is what is replaced: as if it were done at one moment, that of the last read or of the
 * swap that worked.
 */
export function fence(
  world: World,
  state: State,
  { txn }: Pick<AttemptPlan, 'txn'>,
  attempt: NonNullable<Run['attempt']>,
): { readonly next: State; readonly commit: Commit | undefined } {
  const standing = recordOf(state, txn)
  const over = fenceOver(standing, attempt)
  const next = over === undefined ? state : withRecord(state, txn, world.record(txn, over))
  return { next, commit: isCommit(standing) ? standing : undefined }
}

export function fair(label: string, next: State): Step {
  return { label, next, isFair: true }
}

export function name(r: number, { txn }: AttemptPlan): string {
  return `attempt ${r + 1}, at ${txn},`
}

/** One byte: values are told by their writers here. */
const VALUE = new Uint8Array(1)
