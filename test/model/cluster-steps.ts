import { type Decision, isCommit } from '../../src/core/decision.js'
import type { TxnId } from '../../src/core/ids.js'
import { byClock, type Event } from './replica.js'
import { type Look, type Node, type State, type Step, TXNS } from './state.js'
import { nameOf, recordOf, type World, withFault, withNode } from './world.js'

/** What befalls nodes and what is between them: messages, deaths, starts, looks through storage. */
export function* clusterSteps(world: World, state: State): Generator<Step> {
  yield* messageSteps(world, state)
  for (const [n, node] of state.nodes.entries()) {
    if (node.replica === undefined) {
      if (state.faults.restarts > 0) yield* bootSteps(world, withFault(state, 'restarts'), n, node)
      continue
    }
    if (state.faults.crashes > 0) yield crash(world, state, n, node)
    yield* lapseSteps(world, state, n, node)
    if (node.look === undefined) yield* lookSteps(world, state, n, node)
    else yield* listingSteps(world, state, n, node, node.look)
  }
  for (const [i, { txn, expected, next }] of state.flying.entries()) {
    const landed = { ...state, flying: state.flying.filter((_, j) => j !== i) }
    const records = state.records.map((record, j) => (j === txn && record === expected ? next : record))
    yield { label: `a swap of ${TXNS[txn]} arrives late`, next: { ...landed, records }, isFair: false }
  }
}

function* messageSteps(world: World, state: State): Generator<Step> {
  const { faults } = state
  for (const message of state.messages) {
    const { to, origin, seq, placed } = message
    const what = `${origin}#${seq}, ${placed.txn}, at ${nameOf(to)}`
    const without = { ...state, messages: state.messages.filter((each) => each !== message) }
    const event: Event = { kind: 'take', origin, seq, placed }
    yield { label: `comes: ${what}`, next: world.act(without, to, event), isFair: true }
    if (faults.losses > 0)
      yield { label: `is lost: ${what}`, next: withFault(without, 'losses'), isFair: false }
    if (faults.doubles > 0) {
      const doubled = withFault(world.act(state, to, event), 'doubles')
      yield { label: `comes, and will come again: ${what}`, next: doubled, isFair: false }
    }
  }
  yield* repairSteps(world, state)
}

/** What a node has not been sent, or was lost, it fetches from whoever lives and remembers it. */
function* repairSteps(world: World, state: State): Generator<Step> {
  for (const [to, { replica }] of state.nodes.entries()) {
    if (replica === undefined) continue
    for (const [from, peer] of state.nodes.entries()) {
      if (from === to || peer.replica === undefined) continue
      const { history } = peer.replica
      for (const [origin, last] of history.cut()) {
        for (let seq = replica.history.seqOf(origin) + 1; seq <= last; seq++) {
          if (origin === replica.origin || replica.holds(origin, seq)) continue
          const placed = history.placed(origin, seq)
          if (placed === undefined) continue
          const message = world.message(to, origin, seq, placed)
          if (state.messages.includes(message)) continue
          const label = `${nameOf(to)} fetches ${origin}#${seq} from ${nameOf(from)}`
          yield { label, next: world.send(state, message), isFair: true }
        }
      }
    }
  }
}

/** All that it remembers is gone; what it sent is still on its way, what was sent to it comes to nobody. */
function crash(world: World, state: State, n: number, { boots }: Node): Step {
  let next = withNode(withFault(state, 'crashes'), n, world.node(n, boots, undefined, false))
  next = { ...next, messages: next.messages.filter(({ to }) => to !== n) }
  for (const [r, run] of state.runs.entries()) {
    const plan = world.scenario.plans[r]!
    if (plan.kind !== 'attempt' || run.phase === 'idle' || run.phase === 'over' || run.at !== n) continue
    // Between two functions, its caller has its context: it goes on elsewhere.
    if (run.phase === 'reading' && n !== plan.path.at(-1) && run.reads.length > 0) continue
    next = world.end(next, r, undefined)
  }
  return { label: `${nameOf(n)} dies`, next, isFair: false }
}

function* bootSteps(world: World, state: State, n: number, { boots }: Node): Generator<Step> {
  const begun = world.after(world.boot(n, boots + 1), { kind: 'look' })
  const alone = world.node(n, boots + 1, begun, false, newLook(true))
  yield { label: `${nameOf(n)} starts from storage`, next: withNode(state, n, alone), isFair: true }
  for (const [from, peer] of state.nodes.entries()) {
    if (peer.replica === undefined || !peer.serves) continue
    let replica = world.after(world.boot(n, boots + 1), { kind: 'install', from: peer.replica })
    replica = world.after(replica, { kind: 'look' })
    const node = world.node(n, boots + 1, replica, false, newLook(false))
    const label = `${nameOf(n)} starts from the state of ${nameOf(from)}`
    yield { label, next: withNode(state, n, node), isFair: true }
  }
}

/** That an origin is dead makes a difference to a node only where it waits for something of it: so it is learned then. */
function* lapseSteps(world: World, state: State, n: number, { replica }: Node): Generator<Step> {
  for (const origin of replica!.lacking.keys()) {
    if (replica!.lapsed.has(origin) || origin === replica!.origin) continue
    const isLive = state.nodes.some((node) => node.replica?.origin === origin)
    if (isLive && state.faults.suspicions === 0) continue
    const next = world.act(isLive ? withFault(state, 'suspicions') : state, n, { kind: 'lapse', origin })
    yield { label: `${nameOf(n)} takes ${origin} for dead`, next, isFair: !isLive }
  }
}

/** A look has a reason, or is one of a few that have none: it may begin at any time. */
function* lookSteps(world: World, state: State, n: number, node: Node): Generator<Step> {
  const isAsked =
    node.replica!.isStranded ||
    isUnheard(world, state) ||
    state.runs.some(({ phase, at, look }) => phase === 'adopting' && at === n && look === 'none')
  if (!isAsked && state.faults.looks === 0) return
  let next = world.act(isAsked ? state : withFault(state, 'looks'), n, { kind: 'look' })
  const { replica } = next.nodes[n]!
  next = withNode(next, n, world.node(n, node.boots, replica, true, newLook(false)))
  for (const [r, { phase, at, look }] of state.runs.entries()) {
    if (phase === 'adopting' && at === n && look === 'none')
      next = world.withRun(next, r, { look: 'under way' })
  }
  yield { label: `${nameOf(n)} begins to look through storage`, next, isFair: isAsked }
}

/** Whether there is a commit that nobody who lives will tell of. */
function isUnheard(world: World, { records, nodes, runs }: State): boolean {
  return TXNS.some((txn, i) => {
    if (!isCommit(records[i])) return false
    if (nodes.some(({ replica }) => replica?.history.has(txn) === true)) return false
    return !runs.some(({ phase }, r) => {
      const plan = world.scenario.plans[r]!
      return plan.kind === 'attempt' && plan.txn === txn && (phase === 'decided' || phase === 'resolving')
    })
  })
}

function* listingSteps(world: World, state: State, n: number, node: Node, look: Look): Generator<Step> {
  const { boots, replica, serves } = node
  for (const txn of TXNS) {
    if (look.passed.includes(txn) || isCommit(recordOf(state, txn)) || !mayCommit(world, state, txn)) continue
    const next: Look = { ...look, passed: [...look.passed, txn].sort() }
    const label = `${nameOf(n)} lists ${txn}, which is not decided yet`
    yield { label, next: withNode(state, n, world.node(n, boots, replica, serves, next)), isFair: false }
  }
  yield listed(world, state, n, node, look)
}

function mayCommit(world: World, { flying, runs }: State, txn: TxnId): boolean {
  return (
    flying.some(({ next }) => next.status === 'committed') ||
    runs.some(({ phase }, r) => {
      const plan = world.scenario.plans[r]!
      return plan.kind === 'attempt' && plan.txn === txn && phase !== 'over'
    })
  )
}

/** As src/node/sharing/adoption.ts goes on after a listing. */
function listed(world: World, state: State, n: number, node: Node, look: Look): Step {
  const { replica, boots, serves } = node
  const { before, passed, restores } = look
  const decisionOf = (txn: TxnId) => recordOf(state, txn) as Decision
  let found = TXNS.filter(
    (txn) => isCommit(recordOf(state, txn)) && !passed.includes(txn) && !replica!.history.has(txn),
  )
  if (before !== undefined && !restores) {
    const highest = Math.max(...before.map((txn) => decisionOf(txn).hlc))
    found = found.filter((txn) => decisionOf(txn).hlc <= highest)
  }
  const isComplete =
    found.length === 0 ||
    !world.rules.listsAgain ||
    (before !== undefined && found.every((txn) => before.includes(txn)))
  if (!isComplete) {
    const again: Look = { ...newLook(restores), before: found }
    const next = withNode(state, n, world.node(n, boots, replica, serves, again))
    return { label: `${nameOf(n)} lists once more`, next, isFair: true }
  }
  const adopting = found
    .map((txn) => [txn, decisionOf(txn)] as const)
    .sort(byClock)
    .map(([txn, decision]): Event => ({ kind: 'adopt', txn, decision }))
  let next = withNode(state, n, world.node(n, boots, replica, true))
  next = world.act(next, n, ...adopting, { kind: 'looked' })
  for (const [r, run] of state.runs.entries())
    if (run.at === n && run.look === 'under way') next = world.withRun(next, r, { look: 'done' })
  const label = `${nameOf(n)} adopts ${found.join(' and ') || 'nothing'}${serves ? '' : ', and serves'}`
  return { label, next, isFair: true }
}

function newLook(restores: boolean): Look {
  return { passed: [], before: undefined, restores }
}
