import { describe, expect, test } from 'vitest'
import { EMPTY_CUT } from '../../../src/core/cut.js'
import {
  type Decision,
  fenceOver,
  isCommit,
  judge,
  markerOf,
  type Standing,
} from '../../../src/core/decision.js'
import type { Hlc } from '../../../src/core/hlc.js'
import { type Attempt, attemptCeiling, makeAttempt } from '../../../src/core/ids.js'

/**
 * Every interleaving of a few parties over one compare-and-swap register, explored to the end. The parties do what
 * src/node/committing/decisions.ts does: each step reads or swaps once, and a swap may be told as "outcome unknown" and take its
 * effect later, or never. What is explored is whether core's judgement keeps the promises, whatever the order.
 */
const ATTEMPTS: readonly Attempt[] = [1, 2, 3].map((at) => makeAttempt((at * 1024) as Hlc, new Uint8Array(5)))

function decisionOf(attempt: Attempt): Decision {
  return {
    status: 'committed',
    attempt,
    hlc: 1 as Hlc,
    cut: EMPTY_CUT,
    writes: [],
    claimed: false,
    result: undefined,
  }
}

/** The register as text, so that states compare and hash; the parties see it through `judge` and `fenceOver` alone. */
type Register = string
const EMPTY: Register = ''

function show(standing: Standing | undefined): Register {
  if (standing === undefined) return EMPTY
  if (isCommit(standing)) return `${standing.status} ${standing.attempt}`
  return standing.status === 'fenced' ? `fenced ${standing.upTo}` : 'aborted'
}

function parse(register: Register): Standing | undefined {
  if (register === EMPTY) return undefined
  const [status, attempt] = register.split(' ')
  if (status === 'committed') return decisionOf(attempt as Attempt)
  if (status === 'compacted') return markerOf(decisionOf(attempt as Attempt))
  return status === 'fenced' ? { status, upTo: attempt as Attempt } : { status: 'aborted' }
}

type Told = 'committed' | 'fenced' | 'aborted' | 'cancelled' | 'already' | 'surely not'

interface Party {
  readonly kind: 'commit' | 'fence' | 'cancel'
  /** Of commits and fences. */
  readonly attempt: Attempt
  readonly phase: 'swap' | 'read' | 'done'
  readonly expected: Register
  /** A coordinator that lost sight of its swap resolves by fencing itself. */
  readonly resolving: boolean
  /** What it acknowledged: the outcome, and the attempt that it named as committed. */
  readonly told: Told | ''
  readonly named: string
}

interface State {
  readonly register: Register
  readonly parties: readonly Party[]
  /** Swaps whose effect may still come. */
  readonly flying: readonly { readonly expected: Register; readonly next: Register }[]
  /** Unknown outcomes that may still happen, to keep the exploration finite. */
  readonly faultsLeft: number
}

const party = (kind: Party['kind'], attempt: Attempt = ATTEMPTS[0]!): Party => ({
  kind,
  attempt,
  phase: kind === 'commit' ? 'swap' : 'read',
  expected: EMPTY,
  resolving: false,
  told: '',
  named: '',
})

/** All states that follow from one step of anyone. */
function* successors(state: State): Generator<State> {
  // Collection looks at nobody: a decision may shrink to its marker at any time.
  const standing = parse(state.register)
  if (standing?.status === 'committed') yield { ...state, register: show(markerOf(standing)) }
  for (const [i, flying] of state.flying.entries()) {
    const rest = state.flying.filter((_, j) => j !== i)
    const register = state.register === flying.expected ? flying.next : state.register
    yield { ...state, register, flying: rest }
  }
  for (const [i, one] of state.parties.entries()) {
    if (one.phase === 'done') continue
    for (const next of step(state, one)) {
      const parties = state.parties.map((each, j) => (j === i ? next.party : each))
      yield { ...state, ...next.state, parties }
    }
  }
}

interface Next {
  readonly party: Party
  readonly state: Partial<State>
}

const done = (one: Party, told: Told, named = ''): Party => ({ ...one, phase: 'done', told, named })

function* step(state: State, one: Party): Generator<Next> {
  const swap = swapOf(state, one)
  if (swap === undefined) {
    yield* look(state, one)
    return
  }
  const { expected, next } = swap
  if (state.register === expected) yield { party: afterSwap(one), state: { register: next } }
  else yield* refusedSwap(state, one)
  if (state.faultsLeft === 0) return
  const faultsLeft = state.faultsLeft - 1
  // Fencers and cancellers read again when a swap is not known to have worked.
  const unsure: Party = { ...one, phase: 'read', resolving: one.kind === 'commit' }
  yield { party: unsure, state: { faultsLeft, flying: [...state.flying, { expected, next }] } }
  yield { party: unsure, state: { faultsLeft } }
}

function swapOf(
  state: State,
  one: Party,
): { readonly expected: Register; readonly next: Register } | undefined {
  if (one.phase !== 'swap') return undefined
  const { expected } = one
  if (one.kind === 'cancel') return { expected, next: 'aborted' }
  if (one.kind === 'commit' && !one.resolving) return { expected, next: show(decisionOf(one.attempt)) }
  const fence = fenceOver(parse(expected), one.attempt)
  if (fence === undefined) throw new Error(`a fence over ${expected} in ${JSON.stringify(state)}`)
  return { expected, next: show(fence) }
}

function afterSwap(one: Party): Party {
  if (one.kind === 'cancel') return done(one, 'cancelled')
  if (one.kind === 'commit' && !one.resolving) return done(one, 'committed', one.attempt)
  return done(one, 'surely not')
}

function* refusedSwap(state: State, one: Party): Generator<Next> {
  if (one.kind !== 'commit' || one.resolving) {
    yield { party: { ...one, phase: 'read' }, state: {} }
    return
  }
  const standing = parse(state.register)
  switch (judge(standing, one.attempt)) {
    case 'write':
      yield { party: { ...one, expected: state.register }, state: {} }
      return
    case 'ours':
    case 'replay':
      if (!isCommit(standing)) throw new Error(`${state.register} is no commit`)
      yield { party: done(one, 'committed', standing.attempt), state: {} }
      return
    case 'fenced':
      yield { party: done(one, 'fenced'), state: {} }
      return
    case 'aborted':
      yield { party: done(one, 'aborted'), state: {} }
  }
}

/** Reads the register, and answers or goes on to swap. */
function* look(state: State, one: Party): Generator<Next> {
  const standing = parse(state.register)
  if (isCommit(standing)) {
    const told = one.kind === 'cancel' ? 'already' : 'committed'
    yield { party: done(one, told, standing.attempt), state: {} }
    return
  }
  if (one.kind === 'cancel') {
    if (standing?.status === 'aborted') yield { party: done(one, 'cancelled'), state: {} }
    else yield { party: { ...one, phase: 'swap', expected: state.register }, state: {} }
    return
  }
  if (fenceOver(standing, one.attempt) === undefined) yield { party: done(one, 'surely not'), state: {} }
  else yield { party: { ...one, phase: 'swap', expected: state.register }, state: {} }
}

/** The register only ever moves forward. */
function checkMove(before: Register, after: Register): void {
  if (before === after) return
  const [from, to] = [parse(before), parse(after)]
  const move = `${before || 'nothing'} -> ${after || 'nothing'}`
  if (to === undefined || from?.status === 'compacted' || from?.status === 'aborted') throw new Error(move)
  if (from?.status === 'committed' || to.status === 'compacted') {
    if (from?.status !== 'committed' || to.status !== 'compacted' || from.attempt !== to.attempt)
      throw new Error(move)
    return
  }
  if (from === undefined || to.status === 'aborted') return
  const attempt = to.status === 'committed' ? to.attempt : to.upTo
  if (attempt <= from.upTo) throw new Error(`a fence was passed: ${move}`)
}

/** What was acknowledged is true, now and (checked in every later state) ever after. */
function checkAnswers({ register, parties }: State): void {
  for (const one of parties) {
    const where = `${one.kind} of ${one.attempt} was told '${one.told}' and ${register || 'nothing'} stands`
    if (one.told === 'committed' || one.told === 'already') {
      const standing = parse(register)
      if (!isCommit(standing) || standing.attempt !== one.named) throw new Error(where)
    } else if (one.told === 'cancelled' || one.told === 'aborted') {
      if (register !== 'aborted') throw new Error(where)
    } else if (one.told === 'fenced' || one.told === 'surely not') {
      const standing = parse(register)
      // A later attempt may have committed; this one, and those below a fence, did not.
      if (isCommit(standing) && standing.attempt <= one.attempt) throw new Error(where)
    }
  }
}

/** Nobody can commit any more whom an answer has stopped: checked of what may still fly in. */
function checkFlying({ register, flying, parties }: State): void {
  for (const { expected, next } of flying) {
    if (register !== expected || !next.startsWith('committed')) continue
    const attempt = next.slice('committed '.length)
    const stopped = parties.some(
      (one) =>
        one.told === 'cancelled' ||
        ((one.told === 'fenced' || one.told === 'surely not') && attempt <= one.attempt),
    )
    if (stopped)
      throw new Error(`a stopped attempt ${attempt} may still commit over ${register || 'nothing'}`)
  }
}

function explore(parties: readonly Party[], faultsLeft: number): number {
  const start: State = { register: EMPTY, parties, flying: [], faultsLeft }
  const seen = new Set([JSON.stringify(start)])
  const open = [start]
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    for (const next of successors(state)) {
      checkMove(state.register, next.register)
      checkAnswers(next)
      checkFlying(next)
      const key = JSON.stringify(next)
      if (seen.has(key)) continue
      seen.add(key)
      open.push(next)
    }
  }
  return seen.size
}

const [first, second, third] = ATTEMPTS as [Attempt, Attempt, Attempt]

describe('over every interleaving: at most one decision, no acknowledged answer changes, no stopped attempt commits', () => {
  test.each<readonly [string, readonly Party[], number]>([
    ['one coordinator', [party('commit', first)], 3],
    ['two attempts', [party('commit', first), party('commit', second)], 3],
    ['three attempts', [party('commit', first), party('commit', second), party('commit', third)], 2],
    ['one attempt, twice', [party('commit', first), party('commit', first)], 3],
    ['an attempt and a cancel', [party('commit', first), party('cancel')], 3],
    ['two attempts and a cancel', [party('commit', first), party('commit', second), party('cancel')], 2],
    [
      'two attempts, the first fenced',
      [party('commit', first), party('commit', second), party('fence', first)],
      2,
    ],
    [
      'two attempts, both fenced',
      [party('commit', first), party('commit', second), party('fence', second)],
      2,
    ],
    [
      'an attempt, two fences, a cancel',
      [party('commit', first), party('fence', first), party('fence', second), party('cancel')],
      2,
    ],
    [
      'three attempts, a fence between, a cancel',
      [
        party('commit', first),
        party('commit', second),
        party('commit', third),
        party('fence', second),
        party('cancel'),
      ],
      1,
    ],
  ])('%s', (_name, parties, faults) => {
    expect(explore(parties, faults)).toBeGreaterThan(3)
  })

  test('the exploration finds a rule that is broken', () => {
    // A register that is swapped without being compared would lose a decision.
    expect(() => checkMove(`committed ${first}`, `committed ${second}`)).toThrow('->')
    expect(() => checkMove(`committed ${first}`, `compacted ${second}`)).toThrow('->')
    expect(() => checkMove(`compacted ${first}`, `committed ${first}`)).toThrow('->')
    expect(() => checkMove(EMPTY, `compacted ${first}`)).toThrow('->')
    expect(() => checkMove(`fenced ${second}`, `committed ${first}`)).toThrow('a fence was passed')
    const told = { ...party('commit', first), phase: 'done', told: 'surely not' } as const
    const state: State = {
      register: `committed ${first}`,
      parties: [told],
      flying: [],
      faultsLeft: 0,
    }
    expect(() => checkAnswers(state)).toThrow('surely not')
  })
})

test('judge, case by case', () => {
  const cases: readonly [Standing | undefined, Attempt, ReturnType<typeof judge>][] = [
    [undefined, first, 'write'],
    [decisionOf(first), first, 'ours'],
    [decisionOf(first), second, 'replay'],
    [markerOf(decisionOf(first)), first, 'ours'],
    [markerOf(decisionOf(second)), first, 'replay'],
    [markerOf(decisionOf(first)), second, 'replay'],
    [{ status: 'aborted' }, first, 'aborted'],
    [{ status: 'fenced', upTo: first }, first, 'fenced'],
    [{ status: 'fenced', upTo: second }, first, 'fenced'],
    [{ status: 'fenced', upTo: first }, second, 'write'],
    [{ status: 'fenced', upTo: attemptCeiling(1024 as Hlc) }, first, 'fenced'],
    [{ status: 'fenced', upTo: attemptCeiling(1024 as Hlc) }, third, 'write'],
  ]
  for (const [standing, attempt, verdict] of cases) {
    expect(judge(standing, attempt)).toBe(verdict)
    expect(fenceOver(standing, attempt)).toEqual(
      verdict === 'write' ? { status: 'fenced', upTo: attempt } : undefined,
    )
  }
})

test('a marker answers every attempt like its decision', () => {
  const decision = decisionOf(second)
  for (const attempt of ATTEMPTS) {
    expect(judge(markerOf(decision), attempt)).toBe(judge(decision, attempt))
    expect(fenceOver(markerOf(decision), attempt)).toBe(fenceOver(decision, attempt))
  }
})

test('a marker keeps attempt, clock, result and the names of large values, and no write', () => {
  const result = new Uint8Array([1, 192])
  const decision: Decision = {
    ...decisionOf(first),
    hlc: 7 as Hlc,
    claimed: true,
    writes: [
      { key: 'a', value: { kind: 'inline', bytes: new Uint8Array(9) } },
      { key: 'b', value: { kind: 'blob', blob: 'v1', size: 5 } },
      { key: 'c', value: { kind: 'tombstone' } },
      { key: 'd', value: { kind: 'blob', blob: 'v2', size: 6 } },
    ],
    result,
  }
  expect(markerOf(decision)).toEqual({
    status: 'compacted',
    attempt: first,
    hlc: 7,
    result,
    blobs: ['v1', 'v2'],
  })
})

test('what is a commit', () => {
  expect([decisionOf(first), markerOf(decisionOf(first))].map(isCommit)).toEqual([true, true])
  expect(
    [undefined, { status: 'aborted' }, { status: 'fenced', upTo: first }].map((s) => isCommit(s as Standing)),
  ).toEqual([false, false, false])
})
