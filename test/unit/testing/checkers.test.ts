import { describe, expect, test } from 'vitest'
import type { Coordinates, Cut } from '../../../src/core/cut.js'
import type { Origin } from '../../../src/core/ids.js'
import { checkHistory } from '../../../src/testing/checkers/check.js'
import type {
  Candidate,
  CommitCall,
  Committed,
  Execution,
  History,
  Mode,
  Raised,
  Read,
  Snapshot,
  Tag,
  Told,
} from '../../../src/testing/checkers/history.js'

const ORIGIN = 'n1@0' as Origin

/** A history told by hand: what each checker must see, and what it must let pass. */
class Tale implements History {
  readonly committed = new Map<string, Committed>()
  readonly snapshots: Snapshot[] = []
  readonly executions: Execution[] = []
  readonly reads: Read[] = []
  readonly commits: CommitCall[] = []
  readonly told: Told[] = []
  readonly raised: Raised[] = []
  readonly places = new Map<string, readonly Coordinates[]>()
  readonly shrunk = new Map<string, number>()
  readonly departures = new Map<string, { readonly number: number; readonly last: number }>()
  readonly ran: { readonly txn: string; readonly calledAt: number }[] = []
  readonly idempotencyWindowMs = 1_000
  #at = 0

  begin(txn: string, { mode = 'read-atomic' as Mode, node = 'n1', after = [] as string[] } = {}): Execution {
    const number = this.snapshots.length + 1
    const beganAt = ++this.#at
    const snapshot: Snapshot = {
      number,
      txn,
      mode,
      keyed: true,
      node,
      beganAt,
      openAt: beganAt,
      after,
      attempt: `${txn}.${number}`,
    }
    this.snapshots.push(snapshot)
    return this.run(snapshot, node, [])
  }

  run(snapshot: Snapshot, node: string, upstream: readonly Execution[]): Execution {
    const execution: Execution = {
      number: this.executions.length + 1,
      snapshot,
      node,
      upstream,
      writes: new Map(),
    }
    this.executions.push(execution)
    return execution
  }

  read(execution: Execution, key: string, tag: Tag, own?: readonly Tag[]): void {
    this.reads.push({ at: ++this.#at, execution, key, tag, own: own && new Set(own) })
  }

  /** Decides at the clock `hlc`, and tells the caller, unless that is left out. */
  commit(
    execution: Execution,
    hlc: number,
    writes: Record<string, Tag>,
    { tell = true, claimed = execution.snapshot.mode === 'parallel-snapshot', sees = this.places.size } = {},
  ): CommitCall {
    const { snapshot } = execution
    const { txn } = snapshot
    const result = `r${execution.number}`
    const at = ++this.#at
    const entries = Object.entries(writes)
    const attempt = snapshot.attempt!
    const cut: Cut = new Map([[ORIGIN, sees]])
    this.places.set(txn, [{ origin: ORIGIN, seq: this.places.size + 1 }])
    this.committed.set(txn, { txn, attempt, hlc, writes: new Map(entries), result, at, claimed, cut })
    const candidate: Candidate = {
      snapshot,
      writes: new Map(entries.map(([key, tag]) => [key, new Set([tag])])),
      result,
      said: result,
    }
    return this.call(txn, snapshot.node, [candidate], tell ? 'committed' : 'unknown', result)
  }

  call(
    txn: string,
    node: string,
    candidates: Candidate[],
    outcome: CommitCall['outcome'],
    result?: unknown,
  ): CommitCall {
    const call: CommitCall = {
      txn,
      node,
      candidates,
      outcome,
      askedAt: this.#at,
      toldAt: ++this.#at,
      result,
      code: undefined,
    }
    this.commits.push(call)
    return call
  }

  /** Its record becomes a marker. */
  shrink(txn: string): void {
    this.shrunk.set(txn, ++this.#at)
  }

  raise(key: string, txn: string): void {
    this.raised.push({ key, txn, at: ++this.#at })
  }

  say(txn: string, said: Told['said'], result?: unknown, ageMsMax = 0): void {
    const askedAt = ++this.#at
    this.told.push({ txn, askedAt, at: ++this.#at, said, result, ageMsMax })
  }

  /** A transaction that writes and is done. */
  write(txn: string, hlc: number, writes: Record<string, Tag>, options = {}): void {
    this.commit(this.begin(txn, options), hlc, writes)
  }

  rules(): readonly string[] {
    return [...new Set(checkHistory(this).map(({ rule }) => rule))].sort()
  }
}

test('a history without fault passes', () => {
  const tale = new Tale()
  tale.write('t1', 1, { x: 'a1', y: 'a2' })
  const both = tale.begin('t2')
  tale.read(both, 'x', 'a1')
  tale.read(both, 'y', 'a2')
  tale.read(both, 'z', null)
  both.writes.set('x', 'b1')
  tale.read(both, 'x', 'b1', ['b1'])
  tale.commit(both, 2, { x: 'b1', y: null })
  const later = tale.begin('t3')
  tale.read(later, 'x', 'b1')
  tale.read(later, 'y', null)
  tale.say('t2', 'committed', `r${both.number}`)
  expect(tale.rules()).toEqual([])
})

test('fractured reads: one key of a transaction, and what was before it of another', () => {
  const tale = new Tale()
  tale.write('t1', 1, { x: 'a1', y: 'a2' }, { node: 'n2' })
  tale.write('t2', 2, { x: 'b1', y: 'b2' }, { node: 'n2' })
  const reader = tale.begin('t3')
  tale.read(reader, 'x', 'b1')
  tale.read(reader, 'y', 'a2')
  expect(tale.rules()).toContain('I2 no fractured reads')
  const absent = new Tale()
  absent.write('t1', 1, { x: 'a1', y: 'a2' }, { node: 'n2' })
  const other = absent.begin('t2')
  absent.read(other, 'x', 'a1')
  absent.read(other, 'y', null)
  expect(absent.rules()).toContain('I2 no fractured reads')
})

test('repeatable reads: two functions of one attempt, two answers', () => {
  const tale = new Tale()
  tale.write('t1', 1, { x: 'a' }, { node: 'n2' })
  tale.write('t2', 2, { x: 'b' }, { node: 'n2' })
  const first = tale.begin('t3')
  tale.read(first, 'x', 'a')
  const second = tale.run(first.snapshot, 'n3', [first])
  tale.read(second, 'x', 'b')
  expect(tale.rules()).toContain('I3 repeatable reads')
})

test('one cut: what was decided after the snapshot had begun; where collection had a part in it, that is told apart', () => {
  const tale = new Tale()
  tale.write('t1', 1, { x: 'a1', y: 'a2' })
  const reader = tale.begin('t2')
  tale.read(reader, 'x', 'a1')
  tale.write('t3', 3, { y: 'c1' })
  expect(tale.rules()).toEqual([])
  tale.read(reader, 'y', 'c1')
  expect(tale.rules()).toEqual(['I3 one cut'])
})

test('safe collection: a base was raised to what a snapshot that lived did not see', () => {
  const tale = new Tale()
  const reader = tale.begin('t2')
  tale.read(reader, 'x', null)
  tale.write('t3', 3, { y: 'c1' })
  tale.raise('y', 't3')
  tale.read(reader, 'y', 'c1')
  expect(tale.rules()).toEqual(['I9 safe collection'])
})

test('read your writes: what was written upstream is not seen; branches are chosen from differently', () => {
  const tale = new Tale()
  const one = tale.begin('t1')
  tale.read(one, 'x', null, ['mine'])
  expect(tale.rules()).toEqual(['I3 read your writes'])
  const branches = new Tale()
  const join = branches.begin('t1')
  branches.read(join, 'x', 'left', ['left', 'right'])
  branches.read(join, 'x', 'right', ['left', 'right'])
  expect(branches.rules()).toEqual(['I3 read your writes'])
})

test('dirty reads: of what nobody committed, and of what was committed only later', () => {
  const tale = new Tale()
  tale.read(tale.begin('t1'), 'x', 'nowhere')
  expect(tale.rules()).toEqual(['I4 no dirty reads'])
  const early = new Tale()
  const writer = early.begin('t1', { node: 'n2' })
  early.read(early.begin('t2'), 'x', 'a')
  early.commit(writer, 1, { x: 'a' })
  expect(early.rules()).toEqual(['I4 no dirty reads'])
})

test('causality: acknowledged here, shown by its token, or seen by what is seen', () => {
  const here = new Tale()
  here.write('t1', 1, { x: 'a' })
  here.read(here.begin('t2'), 'x', null)
  expect(here.rules()).toEqual(['I7 causality'])

  const elsewhere = new Tale()
  elsewhere.write('t1', 1, { x: 'a' }, { node: 'n2' })
  elsewhere.read(elsewhere.begin('t2'), 'x', null)
  expect(elsewhere.rules()).toEqual([])
  elsewhere.read(elsewhere.begin('t3', { after: ['t1'] }), 'x', null)
  expect(elsewhere.rules()).toEqual(['I7 causality'])

  const transitive = new Tale()
  transitive.write('t1', 1, { x: 'a' }, { node: 'n2' })
  const middle = transitive.begin('t2', { node: 'n3' })
  transitive.read(middle, 'x', 'a')
  transitive.commit(middle, 2, { y: 'b' })
  const reader = transitive.begin('t3')
  transitive.read(reader, 'y', 'b')
  transitive.read(reader, 'x', null)
  expect(transitive.rules()).toEqual(['I7 causality'])
})

test('acknowledgements: lost, told with another result, and not whole', () => {
  const lost = new Tale()
  const { snapshot } = lost.begin('t1')
  const writes = new Map([['x', new Set(['a'])]])
  lost.call('t1', 'n1', [{ snapshot, writes, result: 'r1', said: 'r1' }], 'committed', 'r1')
  expect(lost.rules()).toEqual(['I5 durability'])

  const differs = new Tale()
  differs.write('t1', 1, { x: 'a' })
  differs.call('t1', 'n2', [], 'committed', 'another')
  expect(differs.rules()).toEqual(['I6 exactly once'])

  const torn = new Tale()
  torn.write('t1', 1, { x: 'a', y: 'b' })
  const { committed } = torn
  committed.set('t1', { ...committed.get('t1')!, writes: new Map([['x', 'a']]) })
  expect(torn.rules()).toContain('I1 whole commits')
})

test('failures: told as definite, and decided all the same', () => {
  const tale = new Tale()
  const call = tale.commit(tale.begin('t1'), 1, { x: 'a' })
  call.outcome = 'failed'
  expect(tale.rules()).toEqual(['I6 exactly once'])
  // Unknown is no lie.
  call.outcome = 'unknown'
  expect(tale.rules()).toEqual([])
})

test('failures: told as definite of the very call that committed, whatever another call was told', () => {
  const tale = new Tale()
  const call = tale.commit(tale.begin('t1'), 1, { x: 'a' })
  // A retry, with writes of its own: it is told what stands.
  const { snapshot } = tale.begin('t1', { node: 'n2' })
  const writes = new Map([['x', new Set(['b'])]])
  tale.call('t1', 'n2', [{ snapshot, writes, result: 'r2', said: 'r2' }], 'committed', call.result)
  expect(tale.rules()).toEqual([])
  call.outcome = 'failed'
  expect(tale.rules()).toEqual(['I6 exactly once'])
})

test('clocks: what a transaction writes is newer than what it read', () => {
  const tale = new Tale()
  tale.write('t1', 5, { x: 'a' }, { node: 'n2' })
  const reader = tale.begin('t2')
  tale.read(reader, 'x', 'a')
  tale.commit(reader, 4, { y: 'b' })
  expect(tale.rules()).toEqual(['I7 clocks'])
})

test('a function that runs under an id whose commit had been acknowledged', () => {
  const tale = new Tale()
  tale.write('t1', 1, { x: 'a' })
  tale.ran.push({ txn: 't1', calledAt: 1 })
  expect(tale.rules()).toEqual([])
  tale.ran.push({ txn: 't1', calledAt: 1_000 })
  expect(tale.rules()).toEqual(['I6 exactly once'])
})

test('an id is refused as too old, and is not', () => {
  const tale = new Tale()
  tale.write('t1', 1, { x: 'a' })
  tale.say('t1', 'expired', undefined, 1_001)
  expect(tale.rules()).toEqual([])
  tale.say('t1', 'expired', undefined, 1_000)
  expect(tale.rules()).toEqual(['I6 exactly once'])
})

test.each(['cancelled', 'aborted', 'open'] as const)('a decided transaction is said to be %s', (said) => {
  const tale = new Tale()
  tale.write('t1', 1, { x: 'a' })
  tale.say('t1', said)
  expect(tale.rules()).toEqual(['I6 exactly once'])
})

test('lost updates: of two that read one version and write the key, both commit', () => {
  const mode = 'parallel-snapshot'
  const tale = new Tale()
  tale.write('t1', 1, { x: 'a' }, { mode })
  const [one, two] = [tale.begin('t2', { mode }), tale.begin('t3', { mode, node: 'n2' })]
  tale.read(one, 'x', 'a')
  tale.commit(one, 2, { x: 'b' })
  expect(tale.rules()).toEqual([])
  tale.read(two, 'x', 'a')
  tale.commit(two, 3, { x: 'c' })
  expect(tale.rules()).toEqual(['lost update'])
})

describe('lost updates by writers that read nothing', () => {
  const mode = 'parallel-snapshot'

  test('the later of two has the earlier in its cut', () => {
    const tale = new Tale()
    tale.write('t1', 1, { x: 'a' }, { mode })
    const [one, two] = [tale.begin('t2', { mode }), tale.begin('t3', { mode, node: 'n2' })]
    tale.commit(one, 2, { x: 'b' })
    tale.commit(two, 3, { x: 'c' })
    expect(tale.rules()).toEqual([])
  })

  test('it has not', () => {
    const tale = new Tale()
    tale.write('t1', 1, { x: 'a' }, { mode })
    const [one, two] = [tale.begin('t2', { mode }), tale.begin('t3', { mode, node: 'n2' })]
    tale.commit(one, 2, { x: 'b' })
    tale.commit(two, 3, { x: 'c' }, { sees: 1 })
    expect(tale.rules()).toEqual(['lost update'])
  })

  test('the earlier was collected before the later began, and has no place that its node knows', () => {
    const tale = new Tale()
    tale.write('t1', 1, { x: 'a' }, { mode })
    tale.shrink('t1')
    tale.commit(tale.begin('t2', { mode }), 2, { x: 'b' }, { sees: 0 })
    expect(tale.rules()).toEqual([])
  })

  test('it was collected after the later began', () => {
    const tale = new Tale()
    tale.write('t1', 1, { x: 'a' }, { mode })
    const late = tale.begin('t2', { mode })
    tale.shrink('t1')
    tale.commit(late, 2, { x: 'b' }, { sees: 0 })
    expect(tale.rules()).toEqual(['lost update'])
  })

  test('nothing was claimed', () => {
    const tale = new Tale()
    tale.commit(tale.begin('t1', { mode }), 1, { x: 'a' }, { claimed: false })
    expect(tale.rules()).toEqual(['lost update'])
  })
})
