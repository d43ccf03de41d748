/** Reads of functions that are spread over nodes, real processes on one real Redis. */
import { expect, type TestContext, test } from 'vitest'
import { ClusterNetwork } from '../support/cluster-network.js'
import { type ClusterNode, startCluster, within } from '../support/cluster-processes.js'
import { converged, readAll } from '../support/convergence.js'
import { Dice } from '../support/dice.js'
import { seedFor } from '../support/seed.js'

type Three = [ClusterNode, ClusterNode, ClusterNode]

function write({ virga }: ClusterNode, keys: readonly string[], value: unknown): Promise<void> {
  return virga.transaction((tx) => {
    for (const key of keys) tx.put(key, value)
  })
}

/** Everything is collected soon, and nobody is waited for long. */
const COLLECTING = { leaseTtlMs: 2_000, collectEveryMs: 100 }

test('scenarios 1, 2 and 9: a DAG reads one snapshot at every node, however warm newer and older versions are there', async () => {
  const { nodes } = await startCluster()
  const [a, b, c] = nodes as Three
  await a.virga.transaction((tx) => tx.put('c', 'T1'))
  await converged(nodes, ['c'])
  // Begins now, commits after all others: seen when it has committed, not when it began.
  const late = await b.virga.begin()
  late.put('late', 'written early')
  const root = await a.virga.step(undefined, async (tx) => expect(await tx.get('c')).toBe('T1'))
  await write(b, ['a', 'b'], 'T2')
  await write(c, ['b', 'c'], 'T3')
  await converged(nodes, ['a', 'b', 'c'])
  for (const { virga } of nodes) {
    await readAll(virga, ['a', 'b', 'c'])
    await using tx = await virga.resume(root.context)
    for (let i = 0; i < 3; i++)
      expect(await tx.getMany(['b', 'c', 'a', 'late'])).toEqual([undefined, 'T1', undefined, undefined])
  }
  await late.commit()
  await within(2_000, async () => {
    for (const { virga } of nodes) expect(await virga.get('late')).toBe('written early')
  })
  expect(await readAll(c.virga, ['a', 'b', 'c'])).toEqual(['T2', 'T3', 'T3'])
})

test('scenarios 3 and 6: what the next node has not heard of yet is fetched: never an older value, never an absence of before', async (context: TestContext) => {
  const network = await ClusterNetwork.start({ dice: new Dice(seedFor(context)) })
  const { nodes } = await startCluster({ nodeAt: network.nodeAt })
  const [a, b, c] = nodes as Three
  for (let round = 0; round < 10; round++) {
    // b hears no publication, but is asked and answers.
    network.delay(0)
    if (round % 2 === 1) network.delay(300)
    await write(a, ['x', 'y', `new ${round}`], round)
    const root = await a.virga.step(undefined, (tx) => tx.get('x'))
    expect(root.result).toBe(round)
    const next = await b.virga.step(root.context, (tx) =>
      tx.getMany(['y', `new ${round}`, `new ${round + 1}`]),
    )
    expect(next.result).toEqual([round, round, undefined])
    const last = await c.virga.step(next.context, (tx) => tx.getMany(['x', 'y']))
    expect(last.result).toEqual([round, round])
  }
})

test('scenario 4: the transaction that a read came from is superseded and collected on the next node', async () => {
  const { nodes } = await startCluster({ node: COLLECTING })
  const [a, b, c] = nodes as Three
  await write(a, ['x', 'y'], 'first')
  await converged(nodes, ['x', 'y'])
  const root = await a.virga.step(undefined, (tx) => tx.get('x'))
  const before = (await b.count('compactedDecisions')) + (await c.count('compactedDecisions'))
  for (let i = 0; i < 30; i++) {
    await write(nodes[1 + (i % 2)]!, ['x', 'y'], i)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  // What others wrote since waits for the snapshot: it is open, though no node has it open.
  const next = await b.virga.step(root.context, (tx) => tx.getMany(['x', 'y']))
  expect(next.result).toEqual(['first', 'first'])
  const last = await c.virga.step(next.context, (tx) => tx.getMany(['y', 'x']))
  expect(last.result).toEqual(['first', 'first'])
  await c.virga.commit(last.context)
  await within(15_000, async () => {
    const after = (await b.count('compactedDecisions')) + (await c.count('compactedDecisions'))
    expect(after - before, 'collected once it has ended').toBeGreaterThan(20)
  })
  expect(await converged(nodes, ['x', 'y'])).toEqual([29, 29])
})

test('scenarios 5, 7 and 12: values of every kind and keys of every kind, byte for byte, on every path and node', async () => {
  const { nodes } = await startCluster({ node: COLLECTING })
  const keys = [
    '',
    '/',
    ':',
    '|',
    '\0',
    '{a}b',
    'ключ',
    '鍵',
    '\u{1f327}',
    '~',
    ' ',
    '*',
    'é'.repeat(512),
  ].map((end) => `k${end}`.slice(0, 512))
  const values = [
    null,
    0,
    '',
    'text',
    [],
    { a: [1, 'b', null] },
    true,
    -1.5,
    new Uint8Array([0, 255]),
    new Uint8Array(0),
    'l'.repeat(5_000),
    'h'.repeat(50_000),
    2 ** 40,
  ]
  let context: string | undefined
  for (const [i, key] of keys.entries()) {
    const step = await nodes[i % 3]!.virga.step(
      context,
      async (tx) => {
        expect(await tx.getMany([...keys.slice(0, i), 'absent', key])).toEqual([
          ...values.slice(0, i),
          undefined,
          undefined,
        ])
        tx.put(key, values[i])
      },
      { durable: i % 4 === 0 },
    )
    context = step.context
  }
  await nodes[1]!.virga.commit(context!)
  expect(await converged(nodes, [...keys, 'absent'])).toEqual([...values, undefined])
  // Once it is collected, it comes from the bases; and from storage alone to a node that starts.
  await within(10_000, async () => expect(await nodes[1]!.count('compactedDecisions')).toBeGreaterThan(0))
  for (const node of nodes) await node.restart()
  expect(await converged(nodes, [...keys, 'absent'])).toEqual([...values, undefined])
})
