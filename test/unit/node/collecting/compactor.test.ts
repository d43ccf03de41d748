import { describe, expect, test } from 'vitest'
import { isCommit } from '../../../../src/core/decision.js'
import type { TxnId } from '../../../../src/core/ids.js'
import { decisionKey } from '../../../../src/core/layout.js'
import { decodeStanding } from '../../../../src/wire/records.js'
import type { Fate } from '../../../support/incarnation.js'
import { CollectingCluster, type CollectingNode, LARGE, LEASE_TTL_MS } from './collecting-cluster.js'

const FATES: readonly Fate[] = ['before', 'during', 'after']

interface Scene {
  readonly cluster: CollectingCluster
  readonly a: CollectingNode
  readonly b: CollectingNode
}

/** Two nodes and what a compaction can meet: values small, large and deleted, overwritten by either, read at several cuts. */
async function scene(): Promise<Scene> {
  const cluster = new CollectingCluster()
  const a = await cluster.boot('a')
  const b = await cluster.boot('b', a)
  const commit = (
    node: CollectingNode,
    writes: Record<string, string | null>,
    hasResult = true,
  ): Promise<TxnId> => cluster.until(node.commit(writes, { hasResult }))
  await commit(a, { x: '1', y: '1', big: `${LARGE} 1`, gone: '1' })
  await commit(b, { x: '2', big: `${LARGE} 2`, huge: `${LARGE} 1` })
  await commit(a, { big: `${LARGE} 3`, gone: null })
  await commit(a, { big: 'small', shrunk: `${LARGE} 1` })
  // The rounds before: so that bases stand that are replaced.
  await cluster.settle()
  await a.collectAll()
  await b.collectAll()
  // Without a result, and superseded as a whole: nobody reads its record to make its marker.
  await commit(a, { x: '2.5', y: '1.5', gone: null }, false)
  // And in part only: what is newest in it must become a base.
  await commit(a, { x: '2.7', plain: '1' }, false)
  await commit(a, { x: '3', y: '2', big: `${LARGE} 4`, shrunk: 'small' })
  await commit(b, { huge: `${LARGE} 2`, big: `${LARGE} 5`, gone: 'back' })
  await commit(a, { huge: `${LARGE} 3`, y: '3', other: `${LARGE} 1` })
  await commit(a, { gone: null, x: '4', big: `${LARGE} 6` })
  await cluster.settle()
  b.snapshot()
  await commit(a, { x: '5', y: '5', huge: `${LARGE} 4`, other: null })
  await commit(b, { x: '6', big: `${LARGE} 7` })
  await cluster.settle()
  return { cluster, a, b }
}

/** Whoever is left does the rest, and then nothing is left over. */
async function finish({ cluster, a, b }: Scene): Promise<void> {
  await cluster.checkReads()
  await cluster.stored.checkValues()
  // A node that starts from storage alone, as things stand.
  const late = await cluster.boot('late')
  await cluster.checkReads()
  late.life.die()
  await cluster.clock.advance(LEASE_TTL_MS * 2)
  if (!a.life.isAlive) await b.membership.look()
  for (const node of cluster.live) await node.collectAll()
  await cluster.checkReads()
  await cluster.stored.checkValues()
  cluster.snapshots.clear()
  await cluster.clock.advance(LEASE_TTL_MS * 2)
  for (let round = 0; round < 3; round++) {
    await cluster.settle()
    for (const node of cluster.live) await node.collectAll()
  }
  await cluster.checkReads()
  await cluster.stored.checkValues()
  await cluster.stored.checkNoGarbage()
  expect(await cluster.stored.records()).toEqual({ compacted: cluster.committed.size })
  for (const { state } of cluster.live) expect(state.history.versions).toBe(0)
  const fresh = await cluster.boot('fresh')
  await cluster.checkReads()
  expect(fresh.state.history.decisions).toBe(0)
  await cluster.close()
}

describe('compaction', () => {
  test('leaves of each key its newest version, and markers with their results', async () => {
    const { cluster, a, b } = await scene()
    await a.collectAll()
    await b.collectAll()
    await cluster.checkReads()
    const { compacted = 0, committed = 0 } = await cluster.stored.records()
    // The snapshot keeps what it does not see.
    expect({ compacted, committed }).toEqual({ compacted: 10, committed: 2 })
    expect(a.state.counters.compactedDecisions + b.state.counters.compactedDecisions).toBe(10)
    for (const [txn, { attempt, hlc, result }] of cluster.committed) {
      const [record] = await cluster.witness.get([decisionKey(txn)])
      const standing = decodeStanding(record!)
      expect(standing).toMatchObject({ attempt, hlc })
      expect(isCommit(standing) && standing.result).toEqual(result && new Uint8Array(result))
    }
    await finish({ cluster, a, b })
  })

  test('that dies at any of its storage operations is finished by another', {
    timeout: 120_000,
  }, async () => {
    let calls = 0
    const whole = await scene()
    whole.a.strike = () => {
      calls++
      return undefined
    }
    await whole.a.collect()
    expect(whole.a.state.counters.compactedDecisions).toBeGreaterThan(0)
    await whole.cluster.close()
    expect(calls).toBeGreaterThan(15)
    const failures: string[] = []
    for (let call = 0; call < calls; call++) {
      for (const fate of FATES) {
        const one = await scene()
        let count = 0
        one.a.strike = () => (count++ === call ? fate : undefined)
        await one.a.collect()
        expect(one.a.life.isAlive).toBe(false)
        await finish(one).catch((error: Error) => failures.push(`${call} ${fate}: ${error.message}`))
      }
    }
    expect(failures).toEqual([])
  })

  test('whose storage answers badly at any of its operations goes on in a later round', {
    timeout: 120_000,
  }, async () => {
    const failures: string[] = []
    for (const kind of ['before', 'after', 'lost', 'partial', 'timeout'] as const) {
      for (let call = 0; call < 200; call++) {
        const one = await scene()
        let count = 0
        one.a.strike = (_call, operation) => {
          if (count++ === call)
            one.cluster.storage.faults.next(operation, { kind, latencyMs: 50, effectAfterMs: 3_000 })
          return undefined
        }
        await one.a.collect()
        one.a.strike = () => undefined
        await finish(one).catch((error: Error) => failures.push(`${call} ${kind}: ${error.message}`))
        if (count <= call) break
      }
    }
    expect(failures).toEqual([])
  })
})
