import { describe, expect, test } from 'vitest'
import type { Try } from '../../../src/core/decision.js'
import { hlcAt } from '../../../src/core/hlc.js'
import type { TxnId } from '../../../src/core/ids.js'
import { decisionKey, guardKey } from '../../../src/core/layout.js'
import type { Fault, StorageOperation } from '../../../src/testing/faulty-storage.js'
import { encodeGuard, encodeStanding } from '../../../src/wire/records.js'
import { ClaimCluster, type ClaimNode } from '../../support/claim-cluster.js'
import { Dice } from '../../support/dice.js'
import { seedFor } from '../../support/seed.js'
import { thrown } from '../../support/thrown.js'

/** Longer than a claim is waited for, and than its owner is given. */
const LONG_MS = 2_000

/** An attempt that claims `key` and is never heard of again. */
async function abandon(cluster: ClaimCluster, key: string, txn: TxnId): Promise<Try> {
  const { by, cut, deadlineMs } = cluster.nodes[2]!.begin(txn)
  await cluster.clock.until(cluster.nodes[2]!.claims.claim(by, cut, [key], deadlineMs))
  return by
}

function operationsOf(node: ClaimNode): StorageOperation[] {
  const seen: StorageOperation[] = []
  node.strike = (_call, operation) => {
    seen.push(operation)
    return undefined
  }
  return seen
}

describe('without rivals', () => {
  test('one read and one swap for each key, at once, then the decision', async () => {
    const cluster = new ClaimCluster(1)
    const [node] = cluster.nodes
    const seen = operationsOf(node!)
    const first = node!.begin(cluster.newId())
    await cluster.clock.until(node!.commit(first, ['a', 'b']))
    expect(seen).toEqual(['get', 'compareAndSwap', 'compareAndSwap', 'compareAndSwap'])
    expect(await cluster.guard('a')).toEqual({ last: undefined, claimant: first.by })
    // Those whom the guards name are in the history by now: nobody is looked up.
    seen.length = 0
    const second = node!.begin(cluster.newId())
    await cluster.clock.until(node!.commit(second, ['a', 'b']))
    expect(seen).toEqual(['get', 'compareAndSwap', 'compareAndSwap', 'compareAndSwap'])
    expect(await cluster.guard('b')).toEqual({ last: first.by.txn, claimant: second.by })
    expect(await cluster.reckon('a')).toEqual({ value: 2, commits: 2 })
  })

  test('many keys are claimed a bounded number at a time', async () => {
    const cluster = new ClaimCluster(2)
    const [node] = cluster.nodes
    let underWay = 0
    let most = 0
    const { compareAndSwap } = cluster.storage
    cluster.storage.compareAndSwap = async (...args) => {
      most = Math.max(most, ++underWay)
      await new Promise<void>((resolve) => cluster.clock.timer(1, resolve))
      underWay--
      return compareAndSwap.apply(cluster.storage, args)
    }
    const keys = Array.from({ length: 500 }, (_, i) => `k${i}`)
    const { by, cut, deadlineMs } = node!.begin(cluster.newId())
    const claimed = await cluster.clock.until(node!.claims.claim(by, cut, keys, deadlineMs))
    expect(most).toBe(64)
    expect(await cluster.guard('k499')).toEqual({ last: undefined, claimant: by })
    await cluster.clock.until(claimed.release())
    for (const key of keys) expect(await cluster.guard(key)).toBeUndefined()
  })
})

describe('a commit that the cut does not see', () => {
  test('is a conflict, and visible on this node when that is told', async () => {
    const cluster = new ClaimCluster(3)
    const [here, there] = cluster.nodes as readonly [ClaimNode, ClaimNode]
    const late = here.begin(cluster.newId())
    const early = there.begin(cluster.newId())
    await cluster.clock.until(there.commit(early, ['a']))
    const error = await cluster.clock.until(thrown(here.commit(late, ['a', 'b'])))
    expect(error).toMatchObject({ code: 'Conflict', retryable: true, outcome: 'definite' })
    expect(here.adopted).toEqual([early.by.txn])
    expect(here.history.has(early.by.txn)).toBe(true)
    // What was claimed beside it is free again, and what was not is as it was.
    expect(await cluster.guard('b')).toBeUndefined()
    expect(await cluster.guard('a')).toEqual({ last: undefined, claimant: early.by })
    await cluster.clock.until(here.commit(here.begin(late.by.txn), ['a', 'b']))
    expect(await cluster.reckon('a')).toEqual({ value: 2, commits: 2 })
  })

  test('is a conflict also when it can not be adopted, with the reason', async () => {
    const cluster = new ClaimCluster(4)
    const [here, there] = cluster.nodes as readonly [ClaimNode, ClaimNode]
    const late = here.begin(cluster.newId())
    await cluster.clock.until(there.commit(there.begin(cluster.newId()), ['a']))
    cluster.log.set(there.origin, [])
    here.storage.faults.plan({ probabilities: {} })
    here.strike = (call) => {
      // Guards, then the record of the claimant; the third is the adoption.
      if (call === 2) here.storage.faults.next('get', 'before')
      return undefined
    }
    const error = await cluster.clock.until(thrown(here.commit(late, ['a'])))
    expect(error).toMatchObject({ code: 'Conflict', cause: { code: 'StorageUnavailable' } })
  })

  test('by an attempt that claimed elsewhere: the last writer here stays the last writer', async () => {
    const cluster = new ClaimCluster(5)
    const [one, two, three] = cluster.nodes as readonly [ClaimNode, ClaimNode, ClaimNode]
    const id = cluster.newId()
    const old = one.begin(id)
    // L writes `a`; a later attempt of `id` sees it and claims `a`; then the old attempt commits, without `a`.
    const last = two.begin(cluster.newId())
    await cluster.clock.until(two.commit(last, ['a']))
    two.pull()
    const later = two.begin(id)
    await cluster.clock.until(two.claims.claim(later.by, later.cut, ['a'], later.deadlineMs))
    await cluster.clock.until(one.commit(old, ['b']))
    // Who sees that commit, and not L, must not write `a`.
    const published = cluster.log.get(two.origin)!.splice(0)
    three.pull()
    expect(three.history.has(id)).toBe(true)
    const blind = three.begin(cluster.newId())
    cluster.log.get(two.origin)!.push(...published)
    expect(await cluster.clock.until(thrown(three.commit(blind, ['a'])))).toMatchObject({ code: 'Conflict' })
    expect(three.history.has(last.by.txn)).toBe(true)
    await cluster.clock.until(three.increment(blind.by.txn, ['a']))
    expect(await cluster.reckon('a')).toEqual({ value: 2, commits: 2 })
  })

  test('known by places of who adopted it, which the cut of the next one does not name, is not forgotten', async () => {
    const cluster = new ClaimCluster(7)
    const [one, two] = cluster.nodes as readonly [ClaimNode, ClaimNode]
    // Parted from each other: what one publishes the other never hears.
    const commit = async (opened: ReturnType<ClaimNode['begin']>): Promise<void> => {
      await cluster.clock.until(one.commit(opened, ['a']))
      cluster.log.set(one.origin, [])
    }
    const last = one.begin(cluster.newId())
    await commit(last)
    const slow = one.begin(cluster.newId())
    const next = one.begin(cluster.newId())
    await commit(next)
    for (const { by } of [last, next]) await cluster.clock.until(two.adopt(by.txn))
    const { by, cut, deadlineMs } = two.begin(cluster.newId())
    const claimed = await cluster.clock.until(two.claims.claim(by, cut, ['a'], deadlineMs))
    expect(await cluster.guard('a')).toEqual({ last: next.by.txn, claimant: by })
    await cluster.clock.until(claimed.release())
    expect(await cluster.clock.until(thrown(one.commit(slow, ['a'])))).toMatchObject({ code: 'Conflict' })
    expect(await cluster.reckon('a')).toEqual({ value: 2, commits: 2 })
  })

  test('that became a marker, or is not even that any more, is in every cut', async () => {
    for (const rest of ['marker', 'nothing'] as const) {
      const cluster = new ClaimCluster(6)
      const [here] = cluster.nodes
      const last = cluster.newId()
      await cluster.storage.put([{ ...guardKey('a'), value: encodeGuard({ last, claimant: undefined }) }])
      if (rest === 'marker') {
        const { attempt } = here!.begin(last).by
        const marker = { status: 'compacted', attempt, hlc: hlcAt(1), result: undefined, blobs: [] } as const
        await cluster.storage.put([{ ...decisionKey(last), value: encodeStanding(marker) }])
      }
      const opened = here!.begin(cluster.newId())
      await cluster.clock.until(here!.commit(opened, ['a']))
      expect(await cluster.guard('a')).toEqual({ last, claimant: opened.by })
    }
  })
})

describe('an undecided claim', () => {
  test('of a younger transaction is waited for a little, then fenced', async () => {
    const cluster = new ClaimCluster(7)
    const [node] = cluster.nodes
    const older = cluster.newId(1_000)
    const dead = await abandon(cluster, 'a', cluster.newId())
    const beganMs = cluster.clock.monotonic()
    await cluster.clock.until(node!.commit(node!.begin(older), ['a']))
    expect(cluster.clock.monotonic() - beganMs).toBeGreaterThan(30)
    expect(cluster.clock.monotonic() - beganMs).toBeLessThan(95)
    expect(node!.counters).toEqual({ conflicts: 0, claimWaits: 5, claimsFenced: 1 })
    expect(await node!.decisions.find(dead.txn)).toEqual({ status: 'fenced', upTo: dead.attempt })
  })

  test('of an older transaction makes the younger give way, and not for ever: its owner may be dead', async () => {
    const cluster = new ClaimCluster(8)
    const [node] = cluster.nodes
    const dead = await abandon(cluster, 'a', cluster.newId(1_000))
    const younger = cluster.newId()
    const losing = thrown(node!.commit(node!.begin(younger), ['a', 'b']))
    await cluster.clock.advance(1)
    // What it had is free while it still waits.
    expect(await cluster.guard('b')).toBeUndefined()
    const error = await cluster.clock.until(losing)
    expect(cluster.clock.monotonic()).toBeGreaterThan(30)
    expect(error).toMatchObject({ code: 'Conflict', retryable: true, outcome: 'definite' })
    expect(await cluster.guard('a')).toEqual({ last: undefined, claimant: dead })
    expect(await cluster.guard('b')).toBeUndefined()
    expect(node!.adopted).toEqual([])
    const beganMs = cluster.clock.monotonic()
    await cluster.clock.until(node!.increment(younger, ['a', 'b']))
    expect(cluster.clock.monotonic() - beganMs).toBeLessThan(1_500)
    expect(node!.counters.claimsFenced).toBe(1)
  })

  test('that commits while it is waited for is a conflict', async () => {
    const cluster = new ClaimCluster(9)
    const [here, there] = cluster.nodes as readonly [ClaimNode, ClaimNode]
    const rival = there.begin(cluster.newId())
    const hold = there.storage.faults.hold('compareAndSwap', 'after')
    const committing = there.commit(rival, ['a'])
    await cluster.clock.until(hold.reached)
    const waiting = thrown(here.commit(here.begin(cluster.newId(1_000)), ['a']))
    await cluster.clock.advance(5)
    hold.release()
    expect(await cluster.clock.until(waiting)).toMatchObject({ code: 'Conflict' })
    await cluster.clock.until(committing)
    expect(here.history.has(rival.by.txn)).toBe(true)
    expect(here.counters.claimsFenced).toBe(0)
  })

  test('that came in between costs the loser of the race nothing to tidy up', async () => {
    const cluster = new ClaimCluster(18)
    const [here, there] = cluster.nodes as readonly [ClaimNode, ClaimNode]
    const seen = operationsOf(here)
    const hold = here.storage.faults.hold('get', 'after')
    const losing = thrown(here.commit(here.begin(cluster.newId()), ['a']))
    await cluster.clock.until(hold.reached)
    await cluster.clock.until(there.commit(there.begin(cluster.newId()), ['a']))
    hold.release()
    expect(await cluster.clock.until(losing)).toMatchObject({ code: 'Conflict' })
    // The guard, the lost swap, and what became of the winner.
    expect(seen).toEqual(['get', 'compareAndSwap', 'get'])
  })

  test('is not waited for beyond the deadline, nor when another key is lost already', async () => {
    const cluster = new ClaimCluster(10)
    const [here, there] = cluster.nodes as readonly [ClaimNode, ClaimNode]
    await abandon(cluster, 'a', cluster.newId())
    const hurried = here.begin(cluster.newId(1_000), cluster.clock.now() + 10)
    expect(await cluster.clock.until(thrown(here.commit(hurried, ['a', 'b'])))).toMatchObject({
      code: 'DeadlineExceeded',
      outcome: 'definite',
    })
    expect(await cluster.guard('b')).toBeUndefined()
    const late = here.begin(cluster.newId(1_000))
    await cluster.clock.until(there.commit(there.begin(cluster.newId()), ['b']))
    const beganMs = cluster.clock.monotonic()
    expect(await cluster.clock.until(thrown(here.commit(late, ['a', 'b'])))).toMatchObject({
      code: 'Conflict',
    })
    expect(cluster.clock.monotonic() - beganMs).toBeLessThan(1)
  })

  test('of an earlier attempt of the same transaction is replaced; a later one is given way to', async () => {
    const cluster = new ClaimCluster(11)
    const [here, there] = cluster.nodes as readonly [ClaimNode, ClaimNode]
    const id = cluster.newId()
    const [early, late] = [here.begin(id), here.begin(id)]
    await cluster.clock.until(here.claims.claim(early.by, early.cut, ['a'], early.deadlineMs))
    // A clock that is behind makes attempts that are behind, until it has met a later one.
    cluster.clock.jump(60_000)
    const latest = there.begin(id)
    cluster.clock.jump(-60_000)
    await cluster.clock.until(there.claims.claim(latest.by, latest.cut, ['a'], latest.deadlineMs))
    expect(await cluster.guard('a')).toEqual({ last: undefined, claimant: latest.by })
    expect(await cluster.clock.until(thrown(here.commit(late, ['a', 'b'])))).toMatchObject({
      code: 'AttemptFenced',
      retryable: true,
    })
    expect(await cluster.guard('a')).toEqual({ last: undefined, claimant: latest.by })
    await cluster.clock.until(here.commit(here.begin(id), ['a']))
  })
})

test("two that want each other's keys close no circle: one gives way, and nobody is fenced", async (context) => {
  const seed = seedFor(context)
  let conflicts = 0
  for (let run = 0; run < 100; run++) {
    const cluster = new ClaimCluster(seed + run, 4)
    for (const node of cluster.nodes) node.storage.faults.plan({ probabilities: { latency: 1 } })
    const [one, two] = cluster.nodes as readonly [ClaimNode, ClaimNode]
    const both = [one.increment(cluster.newId(), ['a', 'b']), two.increment(cluster.newId(), ['b', 'a'])]
    await cluster.clock.until(Promise.all(both), 1_000)
    conflicts += one.counters.conflicts + two.counters.conflicts
    expect(one.counters.claimsFenced + two.counters.claimsFenced, `run ${run}`).toBe(0)
    expect(await cluster.reckon('a')).toEqual({ value: 2, commits: 2 })
  }
  expect(conflicts).toBeGreaterThan(50)
})

describe('taking back', () => {
  test('leaves the last writer, and nothing where there was none', async () => {
    const cluster = new ClaimCluster(12)
    const [node] = cluster.nodes
    const writer = node!.begin(cluster.newId())
    await cluster.clock.until(node!.commit(writer, ['a']))
    const { by, cut, deadlineMs } = node!.begin(cluster.newId())
    const claimed = await cluster.clock.until(node!.claims.claim(by, cut, ['a', 'b'], deadlineMs))
    await cluster.clock.until(Promise.all([claimed.release(), claimed.release()]))
    expect(await cluster.guard('a')).toEqual({ last: writer.by.txn, claimant: undefined })
    expect(await cluster.guard('b')).toBeUndefined()
    expect(await node!.decisions.find(by.txn)).toEqual({ status: 'fenced', upTo: by.attempt })
  })

  test('leaves the claims of an attempt that has committed', async () => {
    const cluster = new ClaimCluster(13)
    const [node] = cluster.nodes
    const opened = node!.begin(cluster.newId())
    const claimed = await cluster.clock.until(
      node!.claims.claim(opened.by, opened.cut, ['a'], opened.deadlineMs),
    )
    await cluster.clock.until(node!.commit(opened, ['a']))
    await cluster.clock.until(claimed.release())
    expect(await cluster.guard('a')).toEqual({ last: undefined, claimant: opened.by })
  })

  test('of an attempt that is committed in two places stops both, or neither', async () => {
    const cluster = new ClaimCluster(14)
    const [here, there] = cluster.nodes as readonly [ClaimNode, ClaimNode]
    const opened = here.begin(cluster.newId())
    const hold = there.storage.faults.hold('compareAndSwap', 'after')
    const elsewhere = thrown(there.commit(opened, ['a']))
    await cluster.clock.until(hold.reached)
    const claimed = await cluster.clock.until(
      here.claims.claim(opened.by, opened.cut, ['a', 'b'], opened.deadlineMs),
    )
    await cluster.clock.until(claimed.release())
    hold.release()
    expect(await cluster.clock.until(elsewhere)).toMatchObject({ code: 'AttemptFenced' })
    expect((await cluster.decisions()).size).toBe(0)
  })

  test("never throws, and what it leaves behind is in nobody's way for long", async () => {
    const cluster = new ClaimCluster(15)
    const [node, other] = cluster.nodes as readonly [ClaimNode, ClaimNode]
    const { by, cut, deadlineMs } = node.begin(cluster.newId())
    const claimed = await cluster.clock.until(node.claims.claim(by, cut, ['a'], deadlineMs))
    node.storage.faults.plan({ probabilities: { before: 1 } })
    await cluster.clock.until(claimed.release())
    expect(await cluster.guard('a')).toEqual({ last: undefined, claimant: by })
    await cluster.clock.until(other.increment(cluster.newId(), ['a']), LONG_MS)
  })
})

test('claims of a node that has lost touch are of no use: SnapshotTooOld, and they are taken back', async () => {
  const cluster = new ClaimCluster(16)
  const [node] = cluster.nodes
  node!.isFresh = false
  const error = await cluster.clock.until(thrown(node!.commit(node!.begin(cluster.newId()), ['a'])))
  expect(error).toMatchObject({ code: 'SnapshotTooOld', outcome: 'definite' })
  expect(await cluster.guard('a')).toBeUndefined()
})

test('a guard that can not be read stops the commit, and stays', async () => {
  const cluster = new ClaimCluster(17)
  const value = Uint8Array.of(1, 2, 3)
  await cluster.storage.put([{ ...guardKey('a'), value }])
  const [node] = cluster.nodes
  const error = await cluster.clock.until(thrown(node!.commit(node!.begin(cluster.newId()), ['a', 'b'])))
  expect(error).toMatchObject({ code: 'StorageCorrupt', outcome: 'definite' })
  expect(await cluster.storage.get([guardKey('a'), guardKey('b')])).toEqual([value, undefined])
})

const STRIKES: Readonly<Record<string, Fault | 'die before' | 'die after'>> = {
  'fails before its effect': { kind: 'before' },
  'fails after its effect': { kind: 'after' },
  'is lost': { kind: 'lost' },
  'is slow': { kind: 'latency', latencyMs: 700 },
  'times out, with its effect before that': { kind: 'timeout', latencyMs: 100, effectAfterMs: 40 },
  'times out, with its effect soon after': { kind: 'timeout', latencyMs: 100, effectAfterMs: 104 },
  'times out, with its effect much later': { kind: 'timeout', latencyMs: 100, effectAfterMs: 1_500 },
  'times out, without effect': { kind: 'timeout', latencyMs: 100, effectAfterMs: 'never' },
  'never comes, since the node dies': 'die before',
  'takes effect, and the node dies': 'die after',
}

/** Two keys that three nodes write at once, and one operation of the first node that goes wrong. */
async function struck(
  strikeAt: number,
  what: Fault | 'die before' | 'die after' | undefined,
): Promise<number> {
  const cluster = new ClaimCluster(strikeAt)
  const [victim, ...others] = cluster.nodes as readonly [ClaimNode, ClaimNode, ClaimNode]
  for (const node of cluster.nodes) node.storage.faults.plan({ probabilities: { latency: 0.5 } })
  victim.strike = (call, operation) => {
    if (call !== strikeAt || what === undefined) return undefined
    if (typeof what === 'string') return what
    victim.storage.faults.next(operation, what)
    return undefined
  }
  // The oldest of all, so that nobody younger may fence it at once.
  const id = cluster.newId(1_000)
  const lost = victim.increment(id, ['a', 'b']).catch(() => undefined)
  const rivals = others.flatMap((node) => [
    node.increment(cluster.newId(), ['a', 'b']),
    node.increment(cluster.newId(), ['a']),
    node.increment(cluster.newId(), ['b', 'c']),
  ])
  await cluster.clock.until(Promise.all(rivals), 120_000)
  // A retry elsewhere makes sure of the first, whether it is dead, at work or done.
  await cluster.clock.until(others[0]!.increment(id, ['a', 'b']), 120_000)
  await cluster.clock.advance(LONG_MS)
  for (const [key, commits] of [
    ['a', 5],
    ['b', 5],
    ['c', 2],
  ] as const) {
    expect(await cluster.reckon(key), `operation ${strikeAt}, ${key}`).toEqual({ value: commits, commits })
  }
  if (victim.isAlive) await cluster.clock.until(lost)
  return victim.calls
}

describe('no update is lost when an operation of a commit', () => {
  test.each(Object.keys(STRIKES))('%s', async (name) => {
    const calls = await struck(-1, undefined)
    expect(calls).toBeGreaterThan(6)
    for (let at = 0; at < calls + 4; at++) await struck(at, STRIKES[name])
  })
})

test('many writers of a few keys on several nodes, with random troubles, all commit and lose no update', async (context) => {
  const seed = seedFor(context)
  for (let run = 0; run < 12; run++) {
    const dice = new Dice(seed + run)
    const cluster = new ClaimCluster(seed + run)
    for (const node of cluster.nodes) {
      node.storage.faults.plan({
        probabilities: { latency: 0.6, before: 0.02, after: 0.02, lost: 0.02, timeout: 0.02 },
      })
    }
    const writes = Array.from({ length: 18 }, () => [
      ...new Set([dice.pick(['a', 'b', 'c']), dice.pick(['a', 'b', 'd'])]),
    ])
    const writers = writes.map((keys, i) => cluster.nodes[i % 3]!.increment(cluster.newId(), keys))
    await cluster.clock.until(Promise.all(writers), 600_000)
    for (const node of cluster.nodes) await cluster.clock.until(node.storage.faults.settled())
    for (const key of ['a', 'b', 'c', 'd']) {
      const commits = writes.filter((keys) => keys.includes(key)).length
      expect(await cluster.reckon(key), `run ${run}, ${key}`).toEqual({ value: commits, commits })
    }
  }
})
