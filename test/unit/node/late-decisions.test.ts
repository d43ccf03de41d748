import { expect, test } from 'vitest'
import type { ClientOptions } from '../../../src/client/options.js'
import { transactionId } from '../../../src/compose/transaction-id.js'
import { EMPTY_CUT } from '../../../src/core/cut.js'
import type { Decision } from '../../../src/core/decision.js'
import { hlcAt } from '../../../src/core/hlc.js'
import { ATTEMPT_ENTROPY_BYTES, makeAttempt, type Origin, type TxnId } from '../../../src/core/ids.js'
import {
  CLUSTER_CHECKPOINT,
  decisionKey,
  lateBucket,
  leaseKey,
  minuteAt,
  txnMinute,
} from '../../../src/core/layout.js'
import { DEFAULT_BOUNDS } from '../../../src/node/bounds.js'
import { DEFAULT_CONFIG } from '../../../src/node/config.js'
import {
  decodeLease,
  decodeMinute,
  encodeLease,
  encodeStanding,
  type Lease,
} from '../../../src/wire/records.js'
import { encodeValue } from '../../../src/wire/value.js'
import { type Cluster, withCluster } from '../../support/cluster-in-process.js'
import { idOf } from '../../support/ids.js'
import { thrown } from '../../support/thrown.js'

/** Clocks may differ by more. */
const AHEAD_MS = 8 * 60_000
/** For the look itself, beyond the time when it is due. */
const LOOK_MS = 2_000
const LEASE_TTL_MS = 10_000
/** How long a node looks into an outcome before it tells its client that it is unknown. */
const RESOLVE_MS = DEFAULT_CONFIG.resolveMsMax

test.each([1_000, 15_000, 40_000, 300_000])(
  'a decision that comes %d ms after another process took the place of its node is seen after twice as long',
  async (ms) => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const executor = cluster.client()
      const id = idOf(cluster)
      const tx = await cluster.until(executor.begin({ id }))
      tx.put('a', 1)
      cluster.storage.faults.next('compareAndSwap', { kind: 'timeout', latencyMs: ms, effectAfterMs: ms })
      const committing = thrown(tx.commit({ result: 'done' }))
      await cluster.clock.advance(10)
      await cluster.crash()
      // Else it would see to it that this attempt never commits.
      await cluster.until(executor.close())
      await cluster.until(committing)
      await cluster.boot()
      const virga = cluster.client()
      expect(await cluster.until(virga.get('a'))).toBeUndefined()
      expect(cluster.witness.committed.has(id)).toBe(false)
      await cluster.clock.advance(ms)
      expect(cluster.witness.committed.has(id)).toBe(true)
      await cluster.clock.advance(Math.max(ms, LEASE_TTL_MS) + LOOK_MS)
      expect(await cluster.until(virga.get('a'))).toBe(1)
      expect(cluster.count('adoptions')).toBe(1)
      expect(cluster.logged).toEqual([])
    })
  },
)

test.each([1_000, 40_000])(
  'a decision that comes %d ms after its node had too many outcomes to look into is found by that node',
  async (ms) => {
    await withCluster(async (cluster) => {
      await cluster.boot({ bounds: { ...DEFAULT_BOUNDS, unresolvedMax: 0 } })
      const virga = cluster.client({ commitTimeoutMs: 2 * RESOLVE_MS })
      const tx = await cluster.until(virga.begin())
      tx.put('a', 1)
      const { faults } = cluster.storage
      faults.next('compareAndSwap', { kind: 'timeout', latencyMs: 10, effectAfterMs: RESOLVE_MS + ms })
      const committing = thrown(tx.commit())
      await cluster.clock.advance(5)
      faults.plan({ probabilities: { before: 1 }, spared: ['put', 'compareAndSwap', 'delete', 'list'] })
      await cluster.clock.advance(RESOLVE_MS)
      faults.plan(undefined)
      expect(await cluster.until(committing)).toMatchObject({ outcome: 'indefinite' })
      expect(await cluster.until(virga.get('a'))).toBeUndefined()
      await cluster.clock.advance(Math.max(2 * ms, LEASE_TTL_MS) + LOOK_MS)
      expect(await cluster.until(virga.get('a'))).toBe(1)
      expect(cluster.count('adoptions')).toBe(1)
    })
  },
)

/** After which nobody looks any more for what is in a minute of ids. */
const LONG_MS = 30 * 60_000
const PATIENT: ClientOptions = { commitTimeoutMs: 2 * LONG_MS, requestTimeoutMs: 2 * LONG_MS }

async function isPassed(cluster: Cluster, txn: string): Promise<boolean> {
  const [record] = await cluster.until(cluster.storage.get([CLUSTER_CHECKPOINT]))
  return decodeMinute(record!) > txnMinute(txn as TxnId)
}

test.each([
  ['its large value', 'put', 100_000],
  ['its decision', 'compareAndSwap', 10],
] as const)(
  'a commit is found by a node that starts, though its minute was passed while %s was on its way',
  async (_, operation, bytes) => {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const virga = cluster.client(PATIENT)
      const tx = await cluster.until(virga.begin({ deadlineMs: 2 * LONG_MS }))
      tx.put('a', 'x'.repeat(bytes))
      const held = cluster.storage.faults.hold(operation)
      const committing = tx.commit()
      await cluster.until(held.reached)
      await cluster.clock.advance(LONG_MS)
      expect(await isPassed(cluster, tx.id)).toBe(true)
      held.release()
      await cluster.until(committing)
      await cluster.crash()
      await cluster.boot()
      expect(await cluster.until(cluster.client().get('a'))).toHaveLength(bytes)
    })
  },
)

test('what was written so late that nobody looked for it any more is adopted when its minute is retired', async () => {
  await withCluster(async (cluster) => {
    const config = { idempotencyWindowMs: 10 * 60_000, deadlineMsMax: LONG_MS }
    await cluster.boot(config)
    const executor = cluster.client()
    const tx = await cluster.until(executor.begin())
    tx.put('a', 1)
    const ms = 2 * LONG_MS
    cluster.storage.faults.next('compareAndSwap', { kind: 'timeout', latencyMs: ms, effectAfterMs: ms })
    const committing = thrown(tx.commit())
    await cluster.clock.advance(10)
    await cluster.crash()
    await cluster.until(executor.close())
    await cluster.until(committing)
    await cluster.boot(config)
    await cluster.clock.advance(ms)
    expect(await isPassed(cluster, tx.id)).toBe(true)
    const virga = cluster.client()
    expect(await cluster.until(virga.get('a'))).toBeUndefined()
    await cluster.clock.advance(4 * LONG_MS)
    expect(await cluster.until(virga.get('a'))).toBe(1)
    expect(cluster.count('markersDeleted')).toBeGreaterThan(0)
  })
})

test('a commit is announced where the clock of another member says that its minute soon closes', async () => {
  await withCluster(async (cluster) => {
    await cluster.boot()
    const announced = async (): Promise<number> => {
      let found = 0
      const minute = minuteAt(cluster.clock.now())
      for (let m = minute; m < minute + 30; m++)
        for await (const _ of cluster.storage.list(lateBucket(m))) found++
      return found
    }
    const virga = cluster.client()
    await cluster.until(virga.transaction((tx) => tx.put('a', 1)))
    expect(await cluster.until(announced())).toBe(0)
    const [own] = await cluster.until(cluster.storage.get([leaseKey(cluster.node.origin.split('@')[0]!)]))
    const other: Lease = {
      ...decodeLease(own!),
      origin: 'fast@0640e0c2e7b000f0e1d2c3b4' as Origin,
      address: undefined,
      nowMs: Math.floor(cluster.clock.now()) + AHEAD_MS,
    }
    await cluster.until(cluster.storage.put([{ ...leaseKey('fast'), value: encodeLease(other) }]))
    await cluster.clock.advance(LOOK_MS)
    await cluster.until(virga.transaction((tx) => tx.put('a', 2)))
    expect(await cluster.until(announced())).toBe(1)
  })
})

test('a commit that meets a decision, and can not see to it that it is found, is no definite failure', async () => {
  await withCluster(async (cluster) => {
    await cluster.boot()
    const virga = cluster.client()
    // Of a minute that is closed: what stands in it has to be announced before anyone is told of it.
    const id = transactionId('met', cluster.clock.now() - LONG_MS)
    const tx = await cluster.until(virga.begin({ id }))
    tx.put('a', 'late')
    const decision: Decision = {
      status: 'committed',
      attempt: makeAttempt(hlcAt(cluster.clock.now()), new Uint8Array(ATTEMPT_ENTROPY_BYTES)),
      hlc: hlcAt(cluster.clock.now()),
      cut: EMPTY_CUT,
      writes: [{ key: 'a', value: { kind: 'inline', bytes: encodeValue(7) } }],
      claimed: false,
      result: undefined,
    }
    const key = decisionKey(id as TxnId)
    expect(
      await cluster.until(cluster.storage.compareAndSwap(key, undefined, encodeStanding(decision))),
    ).toEqual({ swapped: true })
    // The first announcement is that of the commit itself.
    cluster.storage.faults.next('put', { kind: 'latency', latencyMs: 0 })
    cluster.storage.faults.next('put', 'before')
    expect(await cluster.until(thrown(tx.commit()))).toMatchObject({
      code: 'OutcomeUnknown',
      outcome: 'indefinite',
      retryable: true,
    })
    expect(await cluster.until(virga.status(id))).toMatchObject({ status: 'committed' })
    expect(await cluster.until(virga.transaction((again) => again.put('a', 'again'), { id }))).toBeUndefined()
    expect(await cluster.until(virga.get('a'))).toBe(7)
  })
})
