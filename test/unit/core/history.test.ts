import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Coordinates, coversBut, cutOf, EMPTY_CUT, sees } from '../../../src/core/cut.js'
import { History, type HistoryState } from '../../../src/core/history.js'
import type { Hlc } from '../../../src/core/hlc.js'
import type { Origin, TxnId } from '../../../src/core/ids.js'
import { KEYS, World } from './cluster-model.js'
import type { Node } from './cluster-model-parts.js'
import { Tape } from './tape.js'

const tapes = fc
  .array(fc.nat(5039), { maxLength: 2000, size: 'max' })
  .map((numbers) => ({ numbers, toString: () => `[${numbers.join(',')}]` }))

function worldOf({ numbers }: { readonly numbers: readonly number[] }): World {
  return new World(new Tape(numbers))
}

function checkReads(world: World): void {
  for (const node of world.members()) {
    const own = { cut: node.history.cut(), saw: node.visible }
    for (const { cut, saw } of [own, ...world.snapshots]) {
      if (!node.history.covers(cut)) continue
      for (const key of KEYS) {
        const [found, due] = [world.read(node, cut, key), world.newest(key, saw)]
        if (found !== due) throw new Error(`${key} at ${node.origin} is of ${found}, not of ${due}`)
      }
    }
  }
}

/** A snapshot is read at its home by its moment as it is anywhere by its cut: what the view relies on. */
function checkMoments(world: World): void {
  for (const { home, moment, saw } of world.snapshots) {
    for (const key of KEYS) {
      const [found, due] = [world.readAt(home, moment, key), world.newest(key, saw)]
      if (found !== due)
        throw new Error(`${key} at ${home.origin}, moment ${moment}, is of ${found}, not of ${due}`)
    }
  }
}

/** What a snapshot sees has all that it read in sight. Of the model, not the history: but without it nothing here means anything. */
function checkClosed(world: World): void {
  for (const { visible } of world.members())
    for (const txn of visible)
      for (const seen of world.txns.get(txn)!.saw)
        if (!visible.has(seen)) throw new Error(`${txn} is visible, ${seen} is not`)
}

function checkOrders(world: World, { history }: Node): void {
  const standing = new Set<TxnId>()
  const lastOfDeparted = new Map(world.departures)
  for (const [origin, places] of world.places) {
    const last = lastOfDeparted.get(origin)
    if (last !== undefined && history.departed.has(origin)) {
      expect(history.orderOf(origin, 1, last)).toEqual([])
      continue
    }
    const first = history.firstOf(origin)
    const seq = history.seqOf(origin)
    expect(first).toBe((history.compacted.get(origin) ?? 0) + 1)
    const due = places.slice(first - 1, seq).map(({ txn }) => txn)
    expect(history.orderOf(origin, 1, places.length)).toEqual(due)
    for (let at = 0; at <= places.length + 1; at++) {
      const placed = history.placed(origin, at)
      expect(placed?.txn).toBe(at < first ? undefined : due[at - first])
      if (placed === undefined) continue
      const { publication, hlc } = world.txns.get(placed.txn)!
      expect(placed.kind).toBe(history.has(placed.txn) ? 'decided' : 'compacted')
      if (placed.kind === 'decided') expect(placed.publication).toEqual(publication)
      else expect(placed.hlc).toBeGreaterThanOrEqual(hlc)
      if (placed.kind === 'decided') standing.add(placed.txn)
    }
  }
  // What is in no order would never be compacted.
  expect(history.decisions).toBe(standing.size)
}

/** Who takes a state over can take all of it: each decision stands at places that the state has applied. */
function checkState({ history }: Node): void {
  const { vector, applied } = history.state()
  for (const { txn, coordinates } of applied) {
    expect(coordinates.length, txn).toBeGreaterThan(0)
    for (const at of coordinates) expect(sees(vector, at), `${txn} at ${at.origin} ${at.seq}`).toBe(true)
  }
}

/** A failure is made smaller for as long as there is time; on a machine that is busy, fewer schedules are tried. */
const RUNS = { numRuns: 300, interruptAfterTimeLimit: 10_000 }

describe('a cluster of histories', () => {
  test('reads of every live cut are the newest of the explicit set of transactions that it sees (I1 to I3, I9)', () => {
    fc.assert(
      fc.property(tapes, (tape) => {
        const world = worldOf(tape)
        while (!world.isOver) {
          world.step()
          checkReads(world)
          checkMoments(world)
        }
        checkClosed(world)
        for (const node of world.nodes) {
          checkOrders(world, node)
          checkState(node)
        }
      }),
      RUNS,
    )
  })

  test('once all is told and compacted, nothing is left in memory, and the bases are the newest (I8, I10)', () => {
    fc.assert(
      fc.property(tapes, (tape) => {
        const world = worldOf(tape)
        while (!world.isOver) world.step()
        world.settle()
        checkReads(world)
        checkClosed(world)
        const [first] = world.nodes as [Node]
        expect(first.visible.size).toBe(world.txns.size)
        for (const node of world.nodes) {
          checkOrders(world, node)
          const { departed } = node.history
          expect(coversBut(node.history.cut(), first.history.cut(), (at) => departed.has(at.origin))).toBe(
            true,
          )
          expect(coversBut(first.history.cut(), node.history.cut(), (at) => departed.has(at.origin))).toBe(
            true,
          )
          expect(coversBut(node.history.compacted, node.history.cut(), (at) => departed.has(at.origin))).toBe(
            true,
          )
          const { decisions, versions, keys } = node.history
          expect({ decisions, versions, keys }).toEqual({ decisions: 0, versions: 0, keys: 0 })
        }
      }),
      RUNS,
    )
  })

  test('the schedules have in them what is subtle', () => {
    const counts = new Map<string, number>()
    for (const tape of fc.sample(tapes, { numRuns: 150, seed: 7 })) {
      const world = worldOf(tape)
      while (!world.isOver) world.step()
      for (const [what, count] of world.counts) counts.set(what, (counts.get(what) ?? 0) + count)
    }
    for (const what of [
      'boot from storage',
      'restore of what runs',
      'adopted',
      'came again',
      'compacted and not applied',
      'compacted there, applied here',
      'compacted there, unknown here',
      'install forward',
      'install of the past',
      'install across',
      'departed',
      'left out',
      'beyond a departure',
    ]) {
      expect(counts.get(what) ?? 0, what).toBeGreaterThan(20)
    }
  })
})

const [A, B, C] = ['a@1', 'b@1', 'c@1'] as unknown as readonly [Origin, Origin, Origin]

function put(history: History, name: string, hlc: number, { origin, seq }: Coordinates, keys = ['k']): void {
  const writes = keys.map((key) => ({ key, value: { kind: 'recorded' } as const }))
  history.apply(name as TxnId, { hlc: hlc as Hlc, cut: EMPTY_CUT, writes }, { origin, seq })
}

function readers(history: History, key = 'k'): string | undefined {
  return history.read(key, history.cut())?.applied.txn
}

describe('a history', () => {
  test('refuses a gap and a place that was taken, and changes nothing', () => {
    const history = new History()
    put(history, 't1', 1, { origin: A, seq: 1 })
    for (const seq of [0, 1, 3]) {
      expect(() => put(history, 't2', 2, { origin: A, seq })).toThrow(
        expect.objectContaining({ code: 'Internal' }),
      )
      expect(() => history.pass('t2' as TxnId, { origin: A, seq })).toThrow('is next')
    }
    expect(() => put(history, 't2', 2, { origin: B, seq: 2 })).toThrow('is next')
    expect(history.has('t2' as TxnId)).toBe(false)
    expect(history.cut()).toEqual(new Map([[A, 1]]))
    expect(history.orderOf(A, 1, 9)).toEqual(['t1'])
    expect(readers(history)).toBe('t1')
  })

  test('keeps a cut as it was when it was taken, and shares it until something is applied', () => {
    const history = new History()
    put(history, 't1', 1, { origin: A, seq: 1 })
    const cut = history.cut()
    expect(history.cut()).toBe(cut)
    put(history, 't2', 2, { origin: A, seq: 2 })
    expect(cut).toEqual(new Map([[A, 1]]))
    expect(history.read('k', cut)?.applied.txn).toBe('t1')
    expect(readers(history)).toBe('t2')
  })

  test('sees a decision by any of its places, whichever is told with what stands there', () => {
    const history = new History()
    put(history, 't1', 1, { origin: A, seq: 1 })
    put(history, 't1', 1, { origin: B, seq: 1 })
    history.pass('t1' as TxnId, { origin: C, seq: 1 })
    expect([history.decisions, history.versions]).toEqual([1, 1])
    for (const origin of [A, B, C]) expect(history.read('k', new Map([[origin, 1]]))?.applied.txn).toBe('t1')
    expect(history.read('k', new Map())).toBeUndefined()
  })

  test('a place told as compacted raises the horizon only if what stands there is not here', () => {
    const history = new History()
    put(history, 't1', 5, { origin: A, seq: 1 })
    history.pass('t1' as TxnId, { origin: B, seq: 1 }, 9 as Hlc)
    expect(history.horizon).toBe(0)
    history.pass('t2' as TxnId, { origin: B, seq: 2 }, 7 as Hlc)
    expect(history.horizon).toBe(7)
    history.pass('t3' as TxnId, { origin: B, seq: 3 }, 6 as Hlc)
    expect(history.horizon).toBe(7)
    expect(history.placed(B, 1)?.kind).toBe('decided')
    expect(history.placed(B, 2)).toEqual({ txn: 't2', kind: 'compacted', hlc: 7 })
  })

  test('has another moment once it is known that something is in the bases that was not: a cut of before does not see it', () => {
    const history = new History()
    const moments = [history.moment]
    const next = (): boolean => moments.push(history.moment) > 1 && moments.at(-1)! > moments.at(-2)!
    history.pass('unknown' as TxnId, { origin: 'a' as Origin, seq: 1 }, 5 as Hlc)
    expect(next()).toBe(true)
    history.foundCompacted(new Map([['b' as Origin, 3]]), 6 as Hlc)
    expect(next()).toBe(true)
    const other = new History()
    other.pass('another' as TxnId, { origin: 'c' as Origin, seq: 1 }, 7 as Hlc)
    history.install(other.state())
    expect(next()).toBe(true)
  })

  test('tells of no place that was forgotten or is to come', () => {
    const history = new History()
    for (let seq = 1; seq <= 5; seq++) put(history, `t${seq}`, seq, { origin: A, seq })
    expect(history.compact(A, 3).map(({ applied }) => applied.txn)).toEqual(['t1', 't2', 't3'])
    expect([0, 1, 3, 6].map((seq) => history.placed(A, seq))).toEqual(Array(4).fill(undefined))
    expect([4, 5].map((seq) => history.placed(A, seq)?.txn)).toEqual(['t4', 't5'])
    expect(history.placed(B, 1)).toBeUndefined()
    expect([history.firstOf(A), history.firstOf(B)]).toEqual([4, 1])
    expect(history.orderOf(A, 1, 2)).toEqual([])
    expect([history.horizon, history.compacted.get(A)]).toEqual([3, 3])
  })

  test('a version may be superseded by what left before it came, or never was here; not by what left meanwhile', () => {
    const history = new History()
    put(history, 't1', 5, { origin: A, seq: 1 })
    put(history, 't2', 3, { origin: B, seq: 1 })
    put(history, 't3', 4, { origin: C, seq: 1 }, ['other'])
    const left = (origin: Origin, through: number) =>
      history
        .compact(origin, through)
        .map((version) => [version.applied.txn, history.mayBeSuperseded(version)] as const)
    // The newer one takes the older one of its key along.
    expect(left(A, 1)).toEqual([
      ['t2', false],
      ['t1', false],
    ])
    expect(history.horizon).toBe(5)
    expect(left(C, 1)).toEqual([['t3', false]])
    put(history, 't4', 4, { origin: C, seq: 2 })
    expect(left(C, 2)).toEqual([['t4', true]])
    put(history, 't5', 6, { origin: C, seq: 3 }, ['other'])
    history.pass('t6' as TxnId, { origin: A, seq: 2 }, 7 as Hlc)
    put(history, 't7', 8, { origin: C, seq: 4 })
    expect(left(C, 4)).toEqual([
      ['t7', false],
      ['t5', true],
    ])
  })

  test('compacts what is applied, the rest when it is, and nothing twice', () => {
    const history = new History()
    put(history, 't1', 1, { origin: A, seq: 1 })
    expect(history.compact(B, 4)).toEqual([])
    expect(history.compact(A, 3)).toHaveLength(1)
    expect(history.compact(A, 3)).toEqual([])
    put(history, 't2', 2, { origin: A, seq: 2 })
    expect(readers(history)).toBe('t2')
    expect(history.compact(A, 3)).toHaveLength(1)
    expect([history.versions, history.keys, history.decisions]).toEqual([0, 0, 0])
  })

  test('a newer version takes older ones along, also those of decisions that are not compacted yet', () => {
    const history = new History()
    put(history, 't1', 1, { origin: A, seq: 1 }, ['k', 'other'])
    put(history, 't2', 2, { origin: B, seq: 1 })
    expect(history.compact(B, 1).map(({ applied }) => applied.txn)).toEqual(['t1', 't2'])
    expect([readers(history), readers(history, 'other')]).toEqual([undefined, 't1'])
    expect(history.has('t1' as TxnId)).toBe(true)
    expect(history.compact(A, 1).map(({ key }) => key)).toEqual(['other'])
    expect([history.versions, history.keys, history.decisions]).toEqual([0, 0, 0])
  })

  test('a decision that comes again after it was compacted is below the horizon, and leaves with its new place', () => {
    const history = new History()
    put(history, 't1', 1, { origin: A, seq: 1 })
    put(history, 't2', 2, { origin: A, seq: 2 })
    history.compact(A, 2)
    put(history, 't1', 1, { origin: B, seq: 1 })
    expect(readers(history)).toBe('t1')
    expect(history.horizon).toBeGreaterThanOrEqual(1)
    history.compact(B, 1)
    expect([history.versions, history.decisions]).toEqual([0, 0])
  })

  test('a state does not bring back what was compacted here', () => {
    const [behind, ahead] = [new History(), new History()]
    for (const history of [behind, ahead]) put(history, 't1', 1, { origin: A, seq: 1 })
    put(behind, 't2', 2, { origin: B, seq: 1 })
    ahead.compact(A, 1)
    const { added, dropped } = ahead.install(behind.state())
    expect([added.map(({ txn }) => txn), dropped]).toEqual([['t2'], []])
    expect(ahead.has('t1' as TxnId)).toBe(false)
    expect(ahead.cut()).toEqual(
      new Map([
        [A, 1],
        [B, 1],
      ]),
    )
  })
})

describe('an origin that has departed', () => {
  function departed(): History {
    const history = new History()
    put(history, 't1', 1, { origin: A, seq: 1 })
    put(history, 't2', 2, { origin: B, seq: 1 })
    history.compact(A, 1)
    expect(history.depart(A, 1, 1 as Hlc, 1)).toBe(true)
    return history
  }

  test('is in every cut, up to its last place and no further', () => {
    const history = departed()
    expect(
      history.covers(
        new Map([
          [A, 1],
          [B, 1],
        ]),
      ),
    ).toBe(true)
    expect(history.covers(new Map([[A, 2]]))).toBe(false)
    expect(history.covers(new Map([[B, 2]]))).toBe(false)
    history.leaveOut([A], 1)
    history.foundCompacted(new Map([[A, 1]]), 1 as Hlc)
    expect([...history.cut()]).toEqual([[B, 1]])
    expect(history.covers(new Map([[A, 1]]))).toBe(true)
    expect(history.covers(new Map([[A, 2]]))).toBe(false)
  })

  test('is lacked by a cut of before, and by none that names it to its end or says that it need not', () => {
    const history = departed()
    const before = new Map([[B, 1]])
    expect(history.lacksDeparted(before)).toBe(true)
    expect(history.lacksDeparted(cutOf(before, 0))).toBe(true)
    expect(history.lacksDeparted(new Map([[A, 1]]))).toBe(false)
    expect(history.lacksDeparted(history.cut())).toBe(false)
    history.leaveOut([A], 1)
    expect(history.cut()).toEqual(cutOf([[B, 1]], 1))
    expect(history.lacksDeparted(history.cut())).toBe(false)
    expect(history.lacksDeparted(before)).toBe(true)
    expect(history.depart(C, 4, 1 as Hlc, 2)).toBe(true)
    expect(history.lacksDeparted(cutOf([[B, 1]], 1))).toBe(true)
    expect(history.lacksDeparted(cutOf([[B, 1]], 2))).toBe(false)
    expect(history.lacksDeparted(history.cut())).toBe(false)
  })

  test('is seen by who takes the departure for known also beyond the last place, where a watermark names it', () => {
    const history = departed()
    const beyond = { origin: A, seq: 2 }
    expect(history.seesUnnamed(cutOf([[B, 1]], 1), beyond)).toBe(true)
    expect(history.seesUnnamed(cutOf([[B, 1]], 0), beyond)).toBe(false)
    expect(history.seesUnnamed(cutOf([[B, 1]], 0), { origin: A, seq: 1 })).toBe(true)
    expect(history.seesUnnamed(cutOf([[B, 1]], 1), { origin: B, seq: 2 })).toBe(false)
  })

  test('has not departed while something of it is not compacted', () => {
    const history = new History()
    for (const seq of [1, 2]) put(history, `t${seq}`, seq, { origin: A, seq })
    history.compact(A, 1)
    expect(history.depart(A, 1, 1 as Hlc, 1)).toBe(false)
    expect(history.departed.has(A)).toBe(false)
    expect(readers(history)).toBe('t2')
    put(history, 't2', 2, { origin: B, seq: 1 })
    history.compact(B, 1)
    expect(history.depart(A, 1, 1 as Hlc, 1)).toBe(true)
    expect(history.covers(new Map([[A, 2]]))).toBe(true)
  })

  test('does not come back with the state of a node that has not heard of it', () => {
    const unaware = new History()
    for (const seq of [1, 2]) put(unaware, `t${seq}`, seq, { origin: A, seq })
    put(unaware, 't3', 3, { origin: C, seq: 1 })
    for (const isLeftOut of [false, true]) {
      const history = departed()
      if (isLeftOut) history.leaveOut([A], 1)
      const { added } = history.install(unaware.state())
      expect(added.map(({ txn }) => txn)).toEqual(['t3'])
      expect(history.seqOf(A)).toBe(isLeftOut ? 0 : 1)
      const { vector, orders, compacted } = history.state()
      expect(orders.map(({ origin }) => origin).sort()).toEqual([...vector.keys()].sort())
      expect(compacted.has(A)).toBe(!isLeftOut)
      expect(vector.has(A)).toBe(!isLeftOut)
    }
  })
})

describe('a state in which something stands beyond the last place of an origin that has departed', () => {
  /** Of a node that was out of touch when the others heard of A for the last time, and has given `t2` a place of its own. */
  function returned(isLeftOut: boolean): HistoryState {
    const history = new History()
    put(history, 't1', 1, { origin: A, seq: 1 })
    put(history, 't2', 2, { origin: A, seq: 2 })
    put(history, 't2', 2, { origin: B, seq: 1 })
    history.compact(A, 1)
    expect(history.depart(A, 1, 1 as Hlc, 1)).toBe(true)
    if (isLeftOut) history.leaveOut([A], 1)
    return history.state()
  }

  test('names no place of an origin that is left out: who takes it over could not know what stands there', () => {
    const placesOf = (state: HistoryState) => state.applied.map(({ coordinates }) => coordinates)
    expect(placesOf(returned(false))).toEqual([
      [
        { origin: A, seq: 2 },
        { origin: B, seq: 1 },
      ],
    ])
    expect(placesOf(returned(true))).toEqual([[{ origin: B, seq: 1 }]])
  })

  test.each([false, true])(
    'is taken over with what stands there, also by who knows of the departure (left out: %s)',
    (isLeftOut) => {
      for (const knows of [false, true]) {
        const history = new History()
        if (knows) expect(history.depart(A, 1, 1 as Hlc, 1)).toBe(true)
        history.install(returned(isLeftOut))
        expect(history.seqOf(B)).toBe(1)
        expect(readers(history)).toBe('t2')
        history.compact(B, 1)
        expect(history.decisions).toBe(0)
      }
    },
  )
})

/** A cut that counts how often it is asked: what a read costs, whatever machine it runs on. */
class CountingCut extends Map<Origin, number> {
  asked = 0
  override get(origin: Origin): number | undefined {
    this.asked++
    return super.get(origin)
  }
}

describe('a key with 100,000 versions (scenario 8)', () => {
  const count = 100_000
  const history = new History()
  for (let seq = 1; seq <= count; seq++) put(history, `t${seq}`, seq, { origin: A, seq }, ['hot'])

  test('is read at a recent snapshot at the cost of the versions that came since', () => {
    for (const behind of [0, 1, 10, 100]) {
      const cut = new CountingCut([[A, count - behind]])
      expect(history.read('hot', cut)?.applied.txn).toBe(`t${count - behind}`)
      expect(cut.asked).toBeLessThanOrEqual(behind + 1)
    }
  })

  test('is compacted to the one that is above', () => {
    expect(history.compact(A, count - 1).length).toBe(count - 1)
    expect([history.versions, history.keys, history.horizon]).toEqual([1, 1, count - 1])
    expect(readers(history, 'hot')).toBe(`t${count}`)
  })
})
