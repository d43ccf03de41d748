import { describe, expect, test } from 'vitest'
import type { Attempt, TxnId } from '../../../../src/core/ids.js'
import {
  blobKey,
  blobName,
  CLUSTER_CHECKPOINT,
  CLUSTER_SWEPT,
  decisionKey,
  lateBucket,
  lateKey,
  minuteAt,
  orderBucket,
  orderedKey,
  orderKey,
  type Place,
  pinBuckets,
  pinKey,
  tombstoneBucket,
  txnMinute,
} from '../../../../src/core/layout.js'
import { decodeStanding, encodeOrder, encodePin } from '../../../../src/wire/records.js'
import type { Fate } from '../../../support/incarnation.js'
import { CollectingCluster, type CollectingNode, LARGE, MINUTE_MS } from './collecting-cluster.js'

/** Few renewals, since much time passes. */
const CONFIG = { leaseTtlMs: 10 * MINUTE_MS }
/** A test lasts no longer. */
const MINUTES = 400
/** Till a minute of ids is closed by all clocks, with what that takes. */
const CLOSED_MS = 15 * MINUTE_MS
/** The idempotency window, the longest deadline and a margin: see the configuration of the cluster. */
const RETIRED_MS = (60 + 30 + 60) * MINUTE_MS
/** And what tombstones wait for beyond that. */
const TOMBSTONES_MS = 122 * MINUTE_MS

async function cluster(): Promise<{ readonly cluster: CollectingCluster; readonly a: CollectingNode }> {
  const made = new CollectingCluster(1, CONFIG, MINUTES)
  return { cluster: made, a: await made.boot('a') }
}

/** Time passes, in which a node collects now and then. */
async function pass(
  of: CollectingCluster,
  node: CollectingNode,
  ms: number,
  everyMs = 5 * MINUTE_MS,
): Promise<void> {
  for (let passed = 0; passed < ms; passed += everyMs) {
    await of.clock.advance(everyMs)
    await node.collectAll()
  }
}

async function put(
  of: CollectingCluster,
  place: Place,
  value: Uint8Array = Buffer.from(LARGE),
): Promise<void> {
  await of.storage.put([{ ...place, value }])
}

async function stands(of: CollectingCluster, place: Place): Promise<boolean> {
  return (await of.witness.get([place]))[0] !== undefined
}

/** Values that a participant or a durable handoff left for an attempt. */
async function leave(of: CollectingCluster, txn: TxnId, attempt: Attempt): Promise<readonly Place[]> {
  const places = ['v1', 'w2'].map((name) => blobKey(txn, blobName(attempt, name)))
  for (const place of places) await put(of, place)
  return places
}

async function areGone(of: CollectingCluster, places: readonly Place[]): Promise<boolean> {
  const found = await Promise.all(places.map((place) => stands(of, place)))
  expect(new Set(found).size).toBe(1)
  return !found[0]
}

describe('a minute of ids', () => {
  test('is passed when it has closed and all of it is compacted', async () => {
    const { cluster: of, a } = await cluster()
    const txn = await of.until(a.commit({ x: '1', big: LARGE }))
    const reader = a.snapshot()
    await of.until(a.commit({ x: '2' }))
    await pass(of, a, CLOSED_MS)
    // A snapshot needs what is in it still.
    expect(await of.stored.minute(CLUSTER_CHECKPOINT)).toBe(txnMinute(txn))
    a.end(reader)
    await pass(of, a, 10 * MINUTE_MS)
    const checkpoint = await of.stored.minute(CLUSTER_CHECKPOINT)
    expect(checkpoint).toBeGreaterThan(txnMinute(txn))
    expect(checkpoint).toBeLessThan(minuteAt(of.clock.now()) - 10)
    await of.checkReads()
    // Who starts now does not see the markers, and finds the bases.
    a.life.die()
    await of.boot('b')
    await of.checkReads()
    await of.close()
  })

  test('is not passed by the clock of one who is ahead', async () => {
    const { cluster: of, a } = await cluster()
    const before = await of.stored.minute(CLUSTER_CHECKPOINT)
    const behind = await of.boot('behind', a)
    const now = behind.state.world.clock.now
    Object.assign(behind.state.world.clock, { now: () => now() - 60 * MINUTE_MS })
    Object.assign(a.membership, { isPicked: () => true })
    await pass(of, a, 30 * MINUTE_MS)
    expect(await of.stored.minute(CLUSTER_CHECKPOINT)).toBe(before)
    behind.life.die()
    await pass(of, a, 30 * MINUTE_MS)
    expect(await of.stored.minute(CLUSTER_CHECKPOINT)).toBeGreaterThan(before + 30)
    await of.close()
  })

  test.each([
    ['in it', 0],
    ['announced in it', 40 * MINUTE_MS],
  ])('that has a decision %s which nobody heard of is adopted first', async (_where, ageMs) => {
    const { cluster: of, a } = await cluster()
    const dead = await of.boot('dead', a)
    await of.until(a.commit({ x: '1' }))
    const txn = await of.until(dead.commit({ x: '2', big: LARGE }, { silent: true, txn: of.newId(ageMs) }))
    // The clock that the dead one told last counts until its lease has lapsed.
    await pass(of, a, CLOSED_MS + 15 * MINUTE_MS)
    expect(a.state.counters.adoptions).toBe(1)
    a.visible.add(txn)
    await of.checkReads()
    await pass(of, a, CLOSED_MS)
    expect(await of.stored.minute(CLUSTER_CHECKPOINT)).toBeGreaterThan(minuteAt(of.clock.now()) - 20)
    expect(await of.stored.records()).toEqual({ compacted: 2 })
    await of.checkReads()
    await of.close()
  })

  test('is deleted when no id of it can be tried any more, and not before', async () => {
    const { cluster: of, a } = await cluster()
    const txn = await of.until(a.commit({ x: '1', big: LARGE, gone: 'x' }))
    await of.until(a.commit({ gone: null }))
    const old = await of.until(a.commit({ y: '1' }, { txn: of.newId(50 * MINUTE_MS) }))
    const [fenced, cancelled] = [of.newId(), of.newId()]
    await of.until(a.state.decisions.fence(fenced, a.attempt()))
    await of.until(a.state.decisions.abort(cancelled))
    const announced = minuteAt(of.clock.now())
    await put(of, lateKey(of.newId(30 * MINUTE_MS), announced), new Uint8Array(0))
    expect((await of.stored.list(lateBucket(announced))).size).toBe(2)
    await pass(of, a, RETIRED_MS - 5 * MINUTE_MS)
    expect(await of.stored.records()).toEqual({ compacted: 2, fenced: 1, aborted: 1 })
    // A retry still finds what stands, with its result; the older id is out of the window.
    expect(decodeStanding((await of.witness.get([decisionKey(txn)]))[0]!)).toMatchObject({
      status: 'compacted',
      result: new Uint8Array(Buffer.from(`result of ${txn}`)),
    })
    expect(await stands(of, decisionKey(old))).toBe(false)
    await pass(of, a, 10 * MINUTE_MS)
    expect(await of.stored.records()).toEqual({})
    expect((await of.stored.list(lateBucket(announced))).size).toBe(0)
    expect(await of.stored.minute(CLUSTER_SWEPT)).toBeGreaterThan(txnMinute(txn))
    await of.checkReads()
    await of.stored.checkValues()
    // Absence is a base until nothing older can come.
    expect([...(await of.stored.bases()).keys()].sort()).toEqual(['big', 'gone', 'x', 'y'])
    await pass(of, a, TOMBSTONES_MS)
    expect([...(await of.stored.bases()).keys()].sort()).toEqual(['big', 'x', 'y'])
    expect((await of.stored.list(tombstoneBucket(announced))).size).toBe(0)
    expect(a.state.counters.tombstonesDeleted).toBe(1)
    await of.checkReads()
    a.life.die()
    await of.boot('b')
    await of.checkReads()
    await of.stored.checkNoGarbage()
    await of.close()
  })
})

describe('large values that nothing refers to', () => {
  test('are deleted when the minute closes, if their attempt can not commit any more', async () => {
    const { cluster: of, a } = await cluster()
    const [fenced, cancelled, other] = [of.newId(), of.newId(), of.newId()]
    const left = [
      await leave(of, fenced, a.attempt()),
      await leave(of, cancelled, a.attempt()),
      await leave(of, other, a.attempt()),
    ].flat()
    await of.until(a.state.decisions.fence(fenced, a.attempt()))
    await of.until(a.state.decisions.abort(cancelled))
    await of.until(a.commit({ big: LARGE }, { txn: other }))
    // Of the very attempt that committed: an execution that handed off, or one that was overtaken by itself.
    left.push(...(await leave(of, other, of.committed.get(other)!.attempt)))
    await pass(of, a, CLOSED_MS)
    expect(await areGone(of, left)).toBe(true)
    await of.stored.checkValues()
    await of.checkReads()
    expect(a.state.counters.orphansFenced).toBe(0)
    await of.close()
  })

  test('stay as long as their attempt may commit; then it is fenced, and they go', async () => {
    const { cluster: of, a } = await cluster()
    const attempt = a.attempt()
    const txn = of.newId()
    const left = await leave(of, txn, attempt)
    await pass(of, a, CLOSED_MS + 30 * MINUTE_MS)
    expect(await areGone(of, left)).toBe(false)
    await pass(of, a, RETIRED_MS)
    expect(await areGone(of, left)).toBe(true)
    expect(a.state.counters.orphansFenced).toBe(1)
    // The fence is as old as what it fences.
    expect(await of.stored.records()).toEqual({})
    await of.close()
  })

  test('are fenced early where no deadline is that long, and obey a commit that stands', async () => {
    const made = new CollectingCluster(1, { ...CONFIG, deadlineMsMax: MINUTE_MS }, MINUTES)
    const a = await made.boot('a')
    const [txn, pinned] = [made.newId(), made.newId()]
    const [attempt, pinnedAttempt] = [a.attempt(), a.attempt()]
    const left = await leave(made, txn, attempt)
    const kept = await leave(made, pinned, pinnedAttempt)
    const pin = { attempt: pinnedAttempt, deadlineMs: made.clock.now() + 60 * MINUTE_MS, cut: new Map() }
    await put(made, pinKey({ txn: pinned, attempt: pinnedAttempt }), encodePin(pin))
    await pass(made, a, CLOSED_MS)
    expect(await areGone(made, left)).toBe(true)
    expect(await areGone(made, kept)).toBe(false)
    const [record] = await made.witness.get([decisionKey(txn)])
    expect(decodeStanding(record!)).toEqual({ status: 'fenced', upTo: attempt })
    await pass(made, a, 140 * MINUTE_MS)
    expect(await areGone(made, kept)).toBe(true)
    for (const bucket of pinBuckets()) expect((await made.stored.list(bucket)).size).toBe(0)
    await made.close()
  })
})

test('stretches of orders go when what is compacted covers them, and when their origin is long dead', async () => {
  const { cluster: of, a } = await cluster()
  const dead = await of.boot('dead', a)
  for (const node of [a, dead]) {
    const txns = [await of.until(node.commit({ x: node.origin })), await of.until(node.commit({ y: '1' }))]
    await put(of, orderedKey(node.origin), new Uint8Array(0))
    await put(of, orderKey(node.origin, 1, 1), encodeOrder({ first: 1, txns: txns.slice(0, 1) }))
    await put(of, orderKey(node.origin, 1, 2), encodeOrder({ first: 1, txns }))
    // Of a place that nobody has compacted.
    await put(of, orderKey(node.origin, 3, 9), encodeOrder({ first: 3, txns }))
  }
  await pass(of, a, 10 * MINUTE_MS)
  expect([...(await of.stored.list(orderBucket(a.origin))).keys()]).toEqual(['3-9'])
  expect((await of.stored.list(orderBucket(dead.origin))).size).toBe(3)
  dead.life.die()
  await pass(of, a, 60 * MINUTE_MS)
  // Nobody has pinned a cut that reaches into it.
  expect((await of.stored.list(orderBucket(dead.origin))).size).toBe(0)
  expect([...(await of.stored.list(orderBucket(a.origin))).keys()]).toEqual(['3-9'])
  await of.close()
})

test('stretches of a dead origin stay while what stands there is in chains: a handoff may rely on them (seed 5000756)', async () => {
  const { cluster: of, a } = await cluster()
  const dead = await of.boot('dead', a)
  const old = a.snapshot()
  const txns = [await of.until(dead.commit({ x: '1' })), await of.until(dead.commit({ y: '1' }))]
  await put(of, orderedKey(dead.origin), new Uint8Array(0))
  await put(of, orderKey(dead.origin, 1, 2), encodeOrder({ first: 1, txns }))
  await put(of, orderKey(dead.origin, 3, 9), encodeOrder({ first: 3, txns }))
  dead.life.die()
  await pass(of, a, 60 * MINUTE_MS)
  expect(a.state.history.compacted.get(dead.origin)).toBe(undefined)
  expect([...(await of.stored.list(orderBucket(dead.origin))).keys()]).toEqual(['1-2'])
  a.end(old)
  await pass(of, a, 60 * MINUTE_MS)
  expect((await of.stored.list(orderBucket(dead.origin))).size).toBe(0)
  await of.close()
})

describe('a sweep that dies at any of its storage operations is finished by the next node', () => {
  const FATES: readonly Fate[] = ['before', 'during', 'after']

  /** All that a sweep can meet, up to shortly before it does. */
  async function scene(
    untilMs: number,
  ): Promise<{ of: CollectingCluster; a: CollectingNode; left: readonly Place[] }> {
    const { cluster: of, a } = await cluster()
    const dead = await of.boot('dead', a)
    await of.until(a.commit({ x: '1', big: `${LARGE} 1`, gone: '1' }))
    const other = of.newId()
    const left = [await leave(of, other, a.attempt()), await leave(of, of.newId(), a.attempt())].flat()
    await of.until(a.commit({ big: `${LARGE} 2`, kept: LARGE, gone: null }, { txn: other }))
    await of.until(a.state.decisions.fence(of.newId(), a.attempt()))
    const silent = await of.until(dead.commit({ y: LARGE }, { silent: true }))
    await of.until(a.adoption.look(0))
    a.visible.add(silent)
    await of.until(a.commit({ late: '1' }, { txn: of.newId(30 * MINUTE_MS) }))
    await of.clock.advance(10 * MINUTE_MS)
    await pass(of, a, untilMs)
    return { of, a, left }
  }

  test.each([
    ['when it closes', 0, 10 * MINUTE_MS],
    ['when it is retired', CLOSED_MS, RETIRED_MS - 10 * MINUTE_MS],
  ])('a minute, %s', { timeout: 120_000 }, async (_when, beforeMs, aheadMs) => {
    const whole = await scene(beforeMs)
    await whole.of.clock.advance(aheadMs)
    const seen: string[] = []
    whole.a.strike = (_call, operation) => {
      if (operation !== 'list') seen.push(operation)
      return undefined
    }
    await whole.a.collectAll()
    await whole.of.close()
    expect(seen.length).toBeGreaterThan(20)
    const failures: string[] = []
    // Most of a sweep goes through minutes in which there is nothing.
    const every: Record<string, number> = { get: 64, compareAndSwap: 8 }
    const struck = seen.flatMap((operation, at) => (at % (every[operation] ?? 1) === 0 ? [at] : []))
    for (const at of struck) {
      const { of, a, left } = await scene(beforeMs)
      await of.clock.advance(aheadMs)
      let count = 0
      const fate = FATES[at % FATES.length]!
      a.strike = (_call, operation) => (operation !== 'list' && count++ === at ? fate : undefined)
      while (a.life.isAlive) await a.collect()
      try {
        const b = await of.boot('b')
        await of.checkReads()
        await of.stored.checkValues()
        await of.clock.advance(20 * MINUTE_MS)
        await pass(of, b, RETIRED_MS + 20 * MINUTE_MS, 20 * MINUTE_MS)
        await of.checkReads()
        await of.stored.checkValues()
        await of.stored.checkNoGarbage()
        expect(await areGone(of, left)).toBe(true)
        expect(await of.stored.records()).toEqual({})
        b.life.die()
        await of.boot('c')
        await of.checkReads()
        await of.close()
      } catch (error) {
        failures.push(`${at} ${seen[at]} ${fate}: ${(error as Error).message}`)
      }
    }
    expect(failures).toEqual([])
  })
})
