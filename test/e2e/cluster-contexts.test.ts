import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Virga } from '../../src/client/virga.js'
import { transactionId } from '../../src/compose/transaction-id.js'
import { type ClusterNode, startCluster, within } from '../support/cluster-processes.js'
import { converged } from '../support/convergence.js'
import { expectCode } from '../support/failures.js'

/** Neither a context nor a decision carries it. */
const LARGE = 'x'.repeat(100_000)
const MIB = 1024 * 1024
const CHAIN = 30

function ofNodes(nodes: readonly ClusterNode[], i: number): Virga {
  return nodes[i % nodes.length]!.virga
}

/** Of all nodes together, once it stands still: greetings, which count as requests, are over. */
async function settledSum(nodes: readonly ClusterNode[], counter: string): Promise<number> {
  for (let before = -1; ; await sleep(200)) {
    const now = await sum(nodes, counter)
    if (now === before) return now
    before = now
  }
}

/** Of all nodes together. */
async function sum(nodes: readonly ClusterNode[], counter: string): Promise<number> {
  const counts = await Promise.all(nodes.map((node) => node.count(counter)))
  return counts.reduce((a, b) => a + b, 0)
}

test('a chain over all nodes: each function reads what all before it wrote, and the snapshot of the first', async () => {
  const { nodes } = await startCluster()
  await nodes[0]!.virga.transaction((tx) => tx.put('seen', 'before'))
  let context: string | undefined
  const keys: string[] = []
  for (let depth = 0; depth < CHAIN; depth++) {
    const step = await ofNodes(nodes, depth).step(context, async (tx) => {
      expect(await tx.getMany(keys)).toEqual(keys.map((_, i) => i))
      expect(await tx.get('seen')).toBe('before')
      tx.put(`link ${depth}`, depth)
      tx.put('last', depth)
    })
    context = step.context
    keys.push(`link ${depth}`)
    // Others go on meanwhile, on every node.
    await ofNodes(nodes, depth + 1).transaction((tx) => tx.put('seen', `after ${depth}`))
  }
  for (const { virga } of nodes) expect(await virga.get('link 0')).toBeUndefined()
  await ofNodes(nodes, CHAIN + 1).commit(context!)
  expect(await converged(nodes, [...keys, 'last', 'seen'])).toEqual([
    ...keys.map((_, i) => i),
    CHAIN - 1,
    `after ${CHAIN - 1}`,
  ])
})

test('small write sets travel in the context: a hop to another node takes no message between nodes', async () => {
  const { nodes } = await startCluster()
  const [a, b, c] = nodes as [ClusterNode, ClusterNode, ClusterNode]
  // What is committed anywhere is known everywhere, and greetings are over.
  await a.virga.transaction((tx) => tx.put('x', 1))
  await converged(nodes, ['x'])
  const before = await settledSum(nodes, 'peerRequests')
  const first = await a.virga.step(undefined, (tx) => tx.put('one', 1))
  const second = await b.virga.step(first.context, async (tx) =>
    tx.put('two', ((await tx.get<number>('one')) ?? 0) + 1),
  )
  await c.virga.commit(second.context)
  expect(await sum(nodes, 'peerRequests')).toBe(before)
  expect(await converged(nodes, ['one', 'two'])).toEqual([1, 2])
})

test('large write sets stay where they are: fetched once on first read, or prepared in parallel at the commit', async () => {
  const { nodes, redis } = await startCluster()
  const [a, b, c] = nodes as [ClusterNode, ClusterNode, ClusterNode]
  const root = await a.virga.step(undefined, (tx) => tx.put('root', LARGE))
  expect(await a.count('heldBytes')).toBeGreaterThan(LARGE.length)
  const before = await settledSum(nodes, 'peerRequests')
  const left = await b.virga.step(root.context, async (tx) => {
    expect(await tx.get('root')).toEqual(LARGE)
    expect(await tx.get('root')).toEqual(LARGE)
    expect(await tx.get('absent')).toBeUndefined()
    tx.put('left', LARGE)
  })
  expect(await sum(nodes, 'peerRequests'), 'one fetch').toBe(before + 1)
  // Reads nothing, so fetches nothing.
  const right = await c.virga.step(root.context, (tx) => tx.put('right', 'small'))
  expect(await sum(nodes, 'peerRequests')).toBe(before + 1)

  const writes = async () => {
    const counts = await redis.commandCounts()
    return (counts.get('hset') ?? 0) + (counts.get('evalsha') ?? 0)
  }
  expect(await writes()).toBeGreaterThan(0)
  const receipt = await c.virga.commit([left.context, right.context], { result: 'done' })
  expect(receipt).toMatchObject({ replayed: false, result: 'done' })
  expect(await c.count('preparesSent')).toBe(2)
  expect(await a.count('preparesAnswered')).toBe(1)
  expect(await b.count('preparesAnswered')).toBe(1)
  expect(await converged(nodes, ['root', 'left', 'right'])).toEqual([LARGE, LARGE, 'small'])
  await within(5_000, async () => expect(await sum(nodes, 'heldBytes'), 'held').toBe(0))
})

test('write sets that do not go into one answer are fetched in several', async () => {
  const { nodes } = await startCluster({ nodes: 2 })
  const [one, other] = nodes.map(({ virga }) => virga) as [Virga, Virga]
  const first = await one.step(undefined, (tx) => tx.put('before', 1))
  const parts = await Promise.all(
    [0, 1, 2].map((i) => one.step(first.context, (tx) => tx.put(`large${i}`, 'x'.repeat(3 * MIB)))),
  )
  const joined = await other.resume(parts.map(({ context }) => context))
  const before = await nodes[0]!.count('peerRequests')
  const read = await joined.getMany<string>(['large0', 'large1', 'large2', 'before'])
  expect(read.map((value) => (typeof value === 'string' ? value.length : value))).toEqual([
    3 * MIB,
    3 * MIB,
    3 * MIB,
    1,
  ])
  expect((await nodes[0]!.count('peerRequests')) - before).toBeGreaterThanOrEqual(3)
  await joined.commit()
})

test('scenario 11: written at the first node, read at the third, with one between that wrote nothing', async () => {
  const { nodes } = await startCluster()
  const [a, b, c] = nodes as [ClusterNode, ClusterNode, ClusterNode]
  for (const value of ['small', LARGE]) {
    for (const durable of [false, true]) {
      const first = await a.virga.step(undefined, (tx) => tx.put('x', value), { durable })
      const second = await b.virga.step(first.context, () => undefined, { durable })
      const third = await c.virga.step(second.context, (tx) => tx.get('x'))
      expect(third.result).toEqual(value)
      await b.virga.commit(third.context)
      expect(await b.virga.get('x')).toEqual(value)
    }
  }
})

test('fan-out and fan-in over all nodes, to depth 4, with write sets small, large and durable', async () => {
  const { nodes } = await startCluster()
  let at = 0
  const next = (): Virga => ofNodes(nodes, at++)
  const names: string[] = []
  const leaf = async (context: string, name: string, depth: number): Promise<readonly string[]> => {
    const value = name.length % 2 === 0 ? LARGE : name
    names.push(name)
    const step = await next().step(context, (tx) => tx.put(name, value), { durable: name.length % 3 === 0 })
    if (depth === 0) return [step.context]
    const below = await Promise.all(['l', 'r'].map((side) => leaf(step.context, `${name}${side}`, depth - 1)))
    // Each level is joined before the next one up, by a function elsewhere.
    const joined = await next().step(below.flat(), async (tx) => {
      const values = await tx.getMany([`${name}l`, `${name}r`, name])
      expect(values.every((one) => one !== undefined)).toBe(true)
      tx.put(`joined ${name}`, depth)
    })
    names.push(`joined ${name}`)
    return [joined.context]
  }
  const root = await next().step(undefined, (tx) => tx.put('t', 'root'))
  const contexts = await leaf(root.context, 'tt', 4)
  await next().commit(contexts)
  const held = await converged(nodes, ['t', ...names])
  expect(held.every((value) => value !== undefined)).toBe(true)
  expect(held).toHaveLength(1 + 31 + 15)
})

test('parallel branches of several nodes that wrote one key: the one sealed later counts, or the join fails, on any node', async () => {
  const { nodes } = await startCluster()
  const [a, b, c] = nodes as [ClusterNode, ClusterNode, ClusterNode]
  for (const padding of ['', LARGE]) {
    const root = await a.virga.step(undefined, (tx) => tx.put('padding', padding))
    const first = await b.virga.step(root.context, (tx) => tx.put('both', ['first', padding]))
    const second = await c.virga.step(root.context, (tx) => tx.put('both', ['second', padding]))
    const join = [second.context, first.context]
    await expectCode(a.virga.resume(join, { onBranchConflict: 'error' }), 'BranchConflict')
    const joined = await a.virga.step(join, async (tx) => ((await tx.get('both')) as string[])[0])
    expect(joined.result).toBe('second')
  }
})

test('of branches sealed within one millisecond, on several nodes, the later one counts', async () => {
  const { nodes } = await startCluster()
  const [a, b, c] = nodes as [ClusterNode, ClusterNode, ClusterNode]
  const root = await a.virga.step(undefined, (tx) => tx.put('root', 1))
  let withinAMs = 0
  // Enough that were: else it shows nothing.
  for (let i = 0; i < 200 || withinAMs <= 20; i++) {
    const [one, other] = i % 2 === 0 ? [b, c] : [c, b]
    const earlier = await one.virga.resume(root.context)
    const later = await other.virga.resume(root.context)
    earlier.put('both', 'earlier')
    later.put('both', 'later')
    const startMs = Date.now()
    const contexts = [await earlier.handoff(), await later.handoff()]
    if (Date.now() === startMs) withinAMs++
    const joined = await a.virga.resume(i % 3 === 0 ? contexts.reverse() : contexts)
    expect(await joined.get('both')).toBe('later')
    await joined.abort()
  }
})

test('a write set that died with its node: WriteSetLost in bounded time, and the same id commits in a new attempt', async () => {
  const { nodes } = await startCluster({ node: { leaseTtlMs: 1_000 } })
  const [a, b, c] = nodes as [ClusterNode, ClusterNode, ClusterNode]
  const id = transactionId('lost', Date.now())
  const inline = await b.virga.step(undefined, (tx) => tx.put('inline', 1))
  const durable = await b.virga.step(undefined, (tx) => tx.put('durable', LARGE), { durable: true })
  const root = await a.virga.step(undefined, (tx) => tx.put('root', 1), { id })
  const lost = await b.virga.step(root.context, (tx) => tx.put('lost', LARGE))
  await b.kill()
  const startMs = performance.now()
  const codes = new Set<string>()
  for (;;) {
    const error = await expectCode(c.virga.commit(lost.context), 'WriteSetLost', 'NodeUnavailable', 'Timeout')
    expect(error).toMatchObject({ retryable: true, outcome: 'definite' })
    codes.add(error.code)
    if (error.code === 'WriteSetLost') break
    expect(performance.now() - startMs).toBeLessThan(10_000)
  }
  // Taken up without an answer: it is told by what needs the node, and on any node.
  const tx = await a.virga.resume(lost.context)
  await expectCode(tx.get('lost'), 'WriteSetLost')
  await expectCode(tx.handoff(), 'WriteSetLost')
  // What travelled, and what is in storage, lives on.
  await c.virga.commit(inline.context)
  await a.virga.commit(durable.context)
  const again = await a.virga.step(undefined, (tx) => tx.put('root', 2), { id })
  expect(await c.virga.commit(again.context, { result: 'again' })).toMatchObject({ id, replayed: false })
  await b.restart()
  // It hands off without its node, and the commit is told.
  const late = await b.virga.step(lost.context, (tx) => tx.put('lost', 'late'))
  expect(await b.virga.commit(late.context)).toMatchObject({ id, replayed: true, result: 'again' })
  expect(await converged(nodes, ['inline', 'durable', 'root', 'lost'])).toEqual([1, LARGE, 2, undefined])
})

test('a durable context outlives every node, one after the other and all at once', async () => {
  const { nodes } = await startCluster()
  const [a, b, c] = nodes as [ClusterNode, ClusterNode, ClusterNode]
  await a.virga.transaction((tx) => tx.put('x', 'old'))
  await converged(nodes, ['x'])
  let { context, id } = await a.virga.step(undefined, (tx) => tx.put('one', LARGE), { durable: true })
  await b.virga.transaction((tx) => tx.put('x', 'new'))
  for (const [i, victim] of [a, b, c].entries()) {
    await victim.kill()
    const other = ofNodes(nodes, i + 1)
    const step = await other.step(
      context,
      async (tx) => {
        expect(await tx.getMany(['x', 'one'])).toEqual(['old', LARGE])
        tx.put(`after ${i}`, i)
      },
      { durable: true },
    )
    context = step.context
    await victim.restart()
  }
  await Promise.all(nodes.map((node) => node.kill()))
  await Promise.all(nodes.map((node) => node.restart()))
  await using tx = await within(10_000, () => c.virga.resume(context))
  expect(await tx.getMany(['x', 'one', 'after 0', 'after 1', 'after 2'])).toEqual(['old', LARGE, 0, 1, 2])
  expect(await tx.commit()).toMatchObject({ id, replayed: false })
  expect(await converged(nodes, ['x', 'one', 'after 2'])).toEqual(['new', LARGE, 2])
})

test('a commit that is retried on any node gets the first result, though the write sets it was made of are gone', async () => {
  const { nodes } = await startCluster()
  const [a, b, c] = nodes as [ClusterNode, ClusterNode, ClusterNode]
  const root = await a.virga.step(undefined, (tx) => tx.put('x', LARGE))
  const branch = await b.virga.step(root.context, (tx) => tx.put('y', LARGE))
  const contexts = [root.context, branch.context]
  expect(await c.virga.commit(contexts, { result: 'first' })).toMatchObject({ replayed: false })
  await within(5_000, async () => expect(await sum(nodes, 'heldBytes')).toBe(0))
  for (const node of nodes) {
    const again = await node.virga.commit(contexts, { result: 'again' })
    expect(again, node.id).toMatchObject({ id: root.id, replayed: true, result: 'first' })
  }
})
