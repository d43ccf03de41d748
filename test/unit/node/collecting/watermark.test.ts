import { describe, expect, test } from 'vitest'
import { type Cut, covers, EMPTY_CUT } from '../../../../src/core/cut.js'
import { CLUSTER_WATERMARK, pinKey } from '../../../../src/core/layout.js'
import { joinWatermark } from '../../../../src/node/collecting/join-watermark.js'
import { PinnedCuts } from '../../../../src/node/collecting/pinned-cuts.js'
import { WatermarkRounds } from '../../../../src/node/collecting/watermark.js'
import { decodeWatermark, encodePin, type Watermark } from '../../../../src/wire/records.js'
import { CollectingCluster, CollectingNode, LEASE_TTL_MS } from './collecting-cluster.js'

const MAY = { check: () => undefined }

function rounds(node: CollectingNode): WatermarkRounds {
  return new WatermarkRounds(node.parts, new PinnedCuts(node.state.world.storage), MAY)
}

async function inForce(of: CollectingCluster): Promise<Watermark> {
  const [record] = await of.witness.get([CLUSTER_WATERMARK])
  return record === undefined ? { cut: EMPTY_CUT, joins: 0, restored: [] } : decodeWatermark(record)
}

async function two(): Promise<{ of: CollectingCluster; a: CollectingNode; b: CollectingNode }> {
  const of = new CollectingCluster()
  const a = await of.boot('a')
  const b = await of.boot('b', a)
  await of.until(a.commit({ x: '1' }))
  await of.until(b.commit({ x: '2' }))
  return { of, a, b }
}

describe('the watermark', () => {
  test('rises to what every member has told, and not above what one still reads', async () => {
    const { of, a, b } = await two()
    const reader = b.snapshot()
    await of.until(a.commit({ x: '3' }))
    await of.settle()
    const cut = await of.until(rounds(a).raise())
    expect(cut).toEqual(reader.transaction.start.cut)
    expect(await inForce(of)).toEqual({ cut, joins: 2, restored: [] })
    b.end(reader)
    await of.settle()
    expect(await of.until(rounds(b).raise())).toEqual(a.state.history.cut())
    expect(a.state.counters.watermarksRaised + b.state.counters.watermarksRaised).toBe(2)
    // Nothing new: nothing is written.
    of.storage.faults.next('compareAndSwap', 'before')
    expect(await of.until(rounds(a).raise())).toEqual(a.state.history.cut())
    await of.close()
  })

  test('is not raised by who computed it before a node joined', async () => {
    const { of, a } = await two()
    await of.settle()
    const before = await inForce(of)
    const held = of.storage.faults.hold('compareAndSwap')
    const raising = rounds(a).raise()
    await of.until(held.reached)
    // It takes a state that is older than what the others are about to collect: here, none at all.
    await of.until(joinWatermark(of.witness))
    held.release()
    expect(await of.until(raising)).toEqual(before.cut)
    expect(await inForce(of)).toEqual({ cut: before.cut, joins: before.joins + 1, restored: [] })
    await of.close()
  })

  test.each(['list', 'get'] as const)(
    'nor by who read of leases before one joined, wherever it is when that happens (%s)',
    async (operation) => {
      for (let nth = 0; nth < 6; nth++) {
        const { of, a } = await two()
        await of.settle()
        let calls = 0
        let joining: Promise<Cut> | undefined
        const late = await CollectingNode.open(of, 'late', 'late')
        a.strike = (_call, struck) => {
          if (struck !== operation || calls++ !== nth) return undefined
          const held = of.storage.faults.hold(operation)
          // The first steps of a node that starts: its lease, then the watermark.
          const join = async (): Promise<Cut> => {
            await held.reached
            await late.membership.join(undefined)
            const { cut: inForceThen } = await joinWatermark(of.storage)
            held.release()
            return inForceThen
          }
          joining = join()
          return undefined
        }
        const cut = await of.until(rounds(a).raise())
        a.strike = () => undefined
        if (joining !== undefined) {
          // It has promised nothing yet: what was in force when it joined is in force still.
          expect(covers(await of.until(joining), (await inForce(of)).cut)).toBe(true)
        } else expect(cut).toEqual(a.state.history.cut())
        await of.close()
      }
    },
  )

  test('counts a member until one and a half times its time to live have passed without a renewal', async () => {
    const { of, a, b } = await two()
    await of.settle()
    b.life.die()
    await of.until(a.commit({ x: '3' }))
    await of.clock.advance(LEASE_TTL_MS * 1.2)
    expect((await of.until(rounds(a).raise())).get(a.origin)).toBe(1)
    await of.clock.advance(LEASE_TTL_MS)
    expect((await of.until(rounds(a).raise())).get(a.origin)).toBe(2)
    await of.close()
  })

  test('does not pass a cut that the dead have pinned, until its deadline has', async () => {
    const { of, a, b } = await two()
    const { cut } = b.snapshot().transaction.start
    const tried = { txn: of.newId(), attempt: b.attempt() }
    const pin = { attempt: tried.attempt, deadlineMs: of.clock.now() + 120_000, cut }
    await of.storage.put([{ ...pinKey(tried), value: encodePin(pin) }])
    b.life.die()
    await of.until(a.commit({ x: '3' }))
    await of.clock.advance(LEASE_TTL_MS * 3)
    expect(await of.until(rounds(a).raise())).toEqual(cut)
    await of.clock.advance(140_000)
    expect((await of.until(rounds(a).raise())).get(a.origin)).toBe(2)
    await of.close()
  })

  test('is left alone by a round that took too long, and by a node whose own lease is gone', async () => {
    const { of, a, b } = await two()
    await of.settle()
    of.storage.faults.next('list', { kind: 'latency', latencyMs: LEASE_TTL_MS * 0.6 })
    expect(await of.until(rounds(a).raise())).toEqual(EMPTY_CUT)
    await of.storage.delete([{ bucket: 'member', id: 'a' }])
    expect(await of.until(rounds(a).raise())).toEqual(EMPTY_CUT)
    expect((await inForce(of)).cut).toEqual(EMPTY_CUT)
    await of.clock.advance(3_000)
    expect((await of.until(rounds(b).raise())).size).toBe(2)
    await of.close()
  })
})
