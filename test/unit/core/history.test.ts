import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { covers, sameCut } from '../../../src/core/cut.js'
import type { TxnId } from '../../../src/core/ids.js'
import { KEYS, type Node, Tape, World } from './cluster-model.js'

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
      if (!covers(node.history.cut(), cut)) continue
      for (const key of KEYS) {
        const [found, due] = [world.read(node, cut, key), world.newest(key, saw)]
        if (found !== due) throw new Error(`${key} at ${node.origin} is of ${found}, not of ${due}`)
      }
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
  for (const [origin, places] of world.places) {
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

/** A failure is made small for as long as it takes to see what it is about. */
const RUNS = { numRuns: 400, interruptAfterTimeLimit: 15_000, markInterruptAsFailure: true }

describe('a cluster of histories', () => {
  test('reads of every live cut are the newest of the explicit set of transactions that it sees (I1 to I3, I9)', () => {
    fc.assert(
      fc.property(tapes, (tape) => {
        const world = worldOf(tape)
        while (!world.isOver) {
          world.step()
          checkReads(world)
        }
        checkClosed(world)
        for (const node of world.nodes) checkOrders(world, node)
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
          expect(sameCut(node.history.cut(), first.history.cut())).toBe(true)
          expect(sameCut(node.history.cut(), node.history.compacted)).toBe(true)
          const { decisions, versions, keys } = node.history
          expect({ decisions, versions, keys }).toEqual({ decisions: 0, versions: 0, keys: 0 })
        }
      }),
      RUNS,
    )
  })
})
