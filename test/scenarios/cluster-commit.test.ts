/** Commits of functions that are spread over nodes, real processes on one real Redis. */
import { expect, test } from 'vitest'
import { transactionId } from '../../src/compose/transaction-id.js'
import { type ClusterNode, startCluster, within } from '../support/cluster-processes.js'
import { converged, readAll } from '../support/convergence.js'
import { expectCode, failure } from '../support/failures.js'
import { executorProcess } from '../support/nodes.js'

/** Neither a context nor a decision carries it. */
const LARGE = 'x'.repeat(60_000)

type Three = [ClusterNode, ClusterNode, ClusterNode]

async function nothingLeft(nodes: readonly ClusterNode[]): Promise<void> {
  await within(10_000, async () => {
    for (const node of nodes)
      for (const gauge of ['heldBytes', 'transactionsOpen', 'pins', 'placesWaiting'])
        expect(await node.count(gauge), `${gauge} of ${node.id}`).toBe(0)
  })
}

test('retries of one id on all nodes at once: one commit, and all get its result', async () => {
  const { nodes } = await startCluster()
  for (let round = 0; round < 20; round++) {
    const id = transactionId(`at once ${round}`, Date.now())
    const results = await Promise.all(
      [...nodes, ...nodes].map(({ virga }, i) =>
        virga.transaction(
          (tx) => {
            tx.put(`x ${round}`, `${i}`)
            tx.put(`y ${round}`, `${i}`)
            return `${i}`
          },
          { id },
        ),
      ),
    )
    expect(new Set(results).size).toBe(1)
    expect(await converged(nodes, [`x ${round}`, `y ${round}`])).toEqual([results[0], results[0]])
  }
})

test('one DAG committed on all nodes at once, and tried again from its start: one commit, and all get its result', async () => {
  const { nodes } = await startCluster()
  for (let round = 0; round < 10; round++) {
    const id = transactionId(`dag ${round}`, Date.now())
    const results = await Promise.all(
      nodes.map(async ({ virga }, i) => {
        const root = await virga.step(undefined, (tx) => tx.put(`x ${round}`, i), { id })
        const next = nodes[(i + 1) % nodes.length]!.virga
        const step = await next.step(root.context, (tx) => tx.put(`y ${round}`, [i, LARGE]))
        const receipts = await Promise.all(
          nodes.map((node) => node.virga.commit<number>(step.context, { result: i }).catch((error) => error)),
        )
        return receipts
      }),
    )
    const winners = new Set<number>()
    for (const receipt of results.flat()) {
      if (receipt instanceof Error) expect(receipt).toMatchObject({ retryable: true, outcome: 'definite' })
      else winners.add(receipt.result)
    }
    expect(winners.size).toBe(1)
    const [winner] = winners
    expect(await converged(nodes, [`x ${round}`, `y ${round}`])).toEqual([winner, [winner, LARGE]])
  }
  await nothingLeft(nodes)
})

test('scenario 10: nothing that a participant wrote is readable before the decision, nor after an abort, on any node', async () => {
  const { nodes } = await startCluster()
  const [a, b, c] = nodes as Three
  for (const end of ['cancel', 'commit'] as const) {
    const root = await a.virga.step(undefined, (tx) => tx.put('x', LARGE))
    const branch = await b.virga.step(root.context, (tx) => tx.put('y', LARGE), { durable: true })
    const tx = await c.virga.resume(branch.context)
    tx.put('z', 1)
    expect(await tx.getMany(['x', 'y', 'z'])).toEqual([LARGE, LARGE, 1])
    for (const { virga } of nodes)
      expect(await readAll(virga, ['x', 'y', 'z'])).toEqual([undefined, undefined, undefined])
    if (end === 'commit') {
      await tx.commit()
      continue
    }
    await a.virga.cancel(root.id)
    await expectCode(tx.commit(), 'TransactionAborted')
    for (const { virga } of nodes)
      expect(await readAll(virga, ['x', 'y', 'z'])).toEqual([undefined, undefined, undefined])
    await nothingLeft(nodes)
  }
  expect(await converged(nodes, ['x', 'y', 'z'])).toEqual([LARGE, LARGE, 1])
})

test('scenario 13: a peer that is stopped, in each step of a DAG: a time-out and a typed error, never a wait for ever', async () => {
  const { nodes } = await startCluster({
    node: { leaseTtlMs: 30_000, peerTimeoutMs: 500, reachMsMax: 1_000 },
  })
  const [a, b, c] = nodes as Three
  const root = await a.virga.step(undefined, (tx) => tx.put('x', LARGE))
  const branch = await b.virga.step(root.context, (tx) => tx.put('y', LARGE))
  a.pause()
  const timed = async (what: string, running: Promise<unknown>): Promise<void> => {
    const startMs = performance.now()
    const error = await failure(running)
    expect(['Timeout', 'NodeUnavailable', 'SnapshotUnavailable', 'WriteSetLost'], what).toContain(error.code)
    expect(error, what).toMatchObject({ retryable: true, outcome: 'definite' })
    expect(performance.now() - startMs, what).toBeLessThan(5_000)
  }
  await timed(
    'read',
    c.virga.step(root.context, (tx) => tx.get('x')),
  )
  await timed('join', c.virga.resume([root.context, branch.context], { onBranchConflict: 'error' }))
  await timed(
    'durable',
    c.virga.step(root.context, (tx) => tx.put('z', 1), { durable: true }),
  )
  await timed('commit', b.virga.commit(branch.context))
  const small = await b.virga.step(undefined, (tx) => tx.put('small', 1))
  await c.virga.commit(small.context)
  a.resume()
  await within(5_000, () => b.virga.commit(branch.context))
  expect(await converged(nodes, ['x', 'y', 'small'])).toEqual([LARGE, LARGE, 1])
})

test('scenario 15: an aborted DAG leaves its keys readable on every node at once; so does a failed commit, across a restart', async () => {
  const { nodes } = await startCluster()
  const [a, b, c] = nodes as Three
  await a.virga.transaction((tx) => tx.put('x', 'before'))
  await converged(nodes, ['x'])
  const root = await a.virga.step(undefined, (tx) => tx.put('x', 'aborted'))
  await expect(b.virga.step(root.context, () => Promise.reject(new Error('thrown')))).rejects.toThrow(
    'thrown',
  )
  const failed = await b.virga.step(root.context, (tx) => tx.put('x', LARGE), {})
  await c.virga.cancel(root.id)
  await expectCode(c.virga.commit(failed.context), 'TransactionAborted', 'WriteSetLost')
  for (const node of nodes) expect(await node.virga.get('x'), node.id).toBe('before')
  for (const node of nodes) await node.restart()
  for (const node of nodes) expect(await node.virga.get('x'), node.id).toBe('before')
  await nothingLeft(nodes)
})

test('scenario 16: 100 commits and 100 resumes in flight over three nodes: every answer reaches its own request', async () => {
  const { nodes } = await startCluster()
  const at = (i: number) => nodes[i % 3]!.virga
  const steps = await Promise.all(
    Array.from({ length: 100 }, (_, i) =>
      at(i).step(undefined, (tx) => tx.put(`k${i}`, i % 10 === 0 ? [i, LARGE] : i)),
    ),
  )
  const done = await Promise.all(
    steps.map(async ({ context, id }, i) => {
      const step = await at(i + 1).step(context, async (tx) => {
        const value = await tx.get<number | [number]>(`k${i}`)
        expect(typeof value === 'number' ? value : value![0]).toBe(i)
        tx.put(`l${i}`, i)
      })
      const receipt = await at(i + 2).commit(step.context, { result: i })
      expect(receipt).toMatchObject({ id, result: i, replayed: false })
      return i
    }),
  )
  const keys = done.map((i) => `l${i}`)
  expect(await converged(nodes, keys)).toEqual(done)
  await nothingLeft(nodes)
})

test('scenario 17: duplicate commits and aborts, and what nobody knows: a typed answer on any node, which lives', async () => {
  const { nodes } = await startCluster()
  const [a, b, c] = nodes as Three
  const id = transactionId('unknown', Date.now())
  for (const { virga } of nodes) expect(await virga.status(id)).toMatchObject({ status: 'open' })
  const step = await a.virga.step(undefined, (tx) => tx.put('x', 1))
  await b.virga.commit(step.context, { result: 'first' })
  for (const { virga } of nodes) {
    expect(await virga.commit(step.context, { result: 'again' })).toMatchObject({
      replayed: true,
      result: 'first',
    })
    await expectCode(virga.cancel(step.id), 'AlreadyCommitted')
    expect(await virga.status(step.id)).toMatchObject({ status: 'committed', result: 'first' })
  }
  const aborted = await a.virga.step(undefined, (tx) => tx.put('x', 2))
  for (const { virga } of [c, b, a]) await virga.cancel(aborted.id)
  for (const { virga } of nodes) {
    await expectCode(virga.commit(aborted.context), 'TransactionAborted')
    expect(await virga.status(aborted.id)).toMatchObject({ status: 'aborted' })
  }
  expect(await converged(nodes, ['x'])).toEqual([1])
})

test('scenario 18: one transaction read and written by executors of two nodes at once', async () => {
  const { nodes } = await startCluster()
  const [a, b, c] = nodes as Three
  await a.virga.transaction((tx) => tx.put('shared', 'old'))
  await converged(nodes, ['shared'])
  const root = await a.virga.step(undefined, (tx) => tx.put('root', LARGE))
  const executors = await Promise.all([executorProcess(b.socket), executorProcess(c.socket)])
  const contexts = await Promise.all(
    executors.map(async (executor, i) => {
      await executor.call('resume', 't', 'c', root.context)
      for (let n = 0; n < 20; n++) {
        expect(await executor.call('getMany', 't', ['shared', 'root', `of ${1 - i}`])).toEqual([
          'old',
          LARGE,
          undefined,
        ])
        await executor.call('put', 't', `of ${i}`, n)
        expect(await executor.call('get', 't', `of ${i}`)).toBe(n)
        await nodes[i]!.virga.transaction((tx) => tx.put('shared', `new ${i} ${n}`))
      }
      return executor.call<string>('handoff', 't')
    }),
  )
  await a.virga.commit(contexts)
  expect(await converged(nodes, ['of 0', 'of 1', 'root'])).toEqual([19, 19, LARGE])
})

test('scenario 19: what was acknowledged is seen by the next transaction there, soon by all, and at once by who brings its token', async () => {
  const { nodes } = await startCluster()
  const tookMs: number[] = []
  for (let i = 0; i < 100; i++) {
    const [here, there] = [nodes[i % 3]!.virga, nodes[(i + 1) % 3]!.virga]
    const tx = await here.begin()
    tx.put('x', i)
    const { session } = await tx.commit()
    const startMs = performance.now()
    await using after = await there.begin({ after: session })
    expect(await after.get('x')).toBe(i)
    tookMs.push(performance.now() - startMs)
    expect(await here.get('x')).toBe(i)
  }
  tookMs.sort((x, y) => x - y)
  expect(tookMs[50]).toBeLessThan(500)
  await within(2_000, async () => {
    for (const { virga } of nodes) expect(await virga.get('x')).toBe(99)
  })
})

test('a token of a node that died at once is good on any node', async () => {
  const { nodes } = await startCluster()
  const [a, b, c] = nodes as Three
  for (const [i, victim] of [b, c].entries()) {
    const tx = await victim.virga.begin()
    tx.put('x', i)
    const { session } = await tx.commit()
    await victim.kill()
    await using after = await a.virga.begin({ after: session })
    expect(await after.get('x')).toBe(i)
    await victim.restart()
    await using back = await victim.virga.begin({ after: session })
    expect(await back.get('x')).toBe(i)
  }
})

test('scenario 20: read-only and aborted DAGs leave nothing behind on any node that they touched', async () => {
  // What is decided stays in the histories: nothing is collected meanwhile.
  const { nodes, redis } = await startCluster({ node: { collectEveryMs: 60_000 } })
  const [a, b, c] = nodes as Three
  await a.virga.transaction((tx) => tx.put('x', 1))
  await converged(nodes, ['x'])
  const [published, decisions] = [await sumOf(nodes, 'published'), await sumOf(nodes, 'decisions')]
  for (let round = 0; round < 20; round++) {
    const first = await a.virga.step(undefined, (tx) => tx.get('x'))
    const second = await b.virga.step(first.context, (tx) => tx.get('x'))
    await c.virga.commit(second.context)
    const written = await a.virga.step(undefined, (tx) => tx.put('y', LARGE))
    const more = await b.virga.step(written.context, (tx) => tx.put('z', LARGE), { durable: round % 2 === 0 })
    const tx = await c.virga.resume(more.context)
    await tx.getMany(['y', 'z'])
    await tx.abort()
    await c.virga.cancel(written.id)
  }
  await nothingLeft(nodes)
  expect(await sumOf(nodes, 'published')).toBe(published)
  expect(await sumOf(nodes, 'decisions')).toBe(decisions)
  await within(10_000, async () => {
    const left = (await redis.command('KEYS', '*')) as string[]
    expect(left.filter((key) => /^virga:(pin|value)/.test(key))).toEqual([])
  })
})

test('scenario 21: a function that throws commits nothing, wherever it ran; a late answer answers no other request', async () => {
  const { nodes } = await startCluster({ node: { peerTimeoutMs: 300 } })
  const [a, b, c] = nodes as Three
  const root = await a.virga.step(undefined, (tx) => tx.put('x', [1, LARGE]))
  const other = await a.virga.step(undefined, (tx) => tx.put('x', [2, LARGE]))
  const throwing = b.virga.step(root.context, (tx) => {
    tx.put('y', 1)
    throw new Error('thrown')
  })
  await expect(throwing).rejects.toThrow('thrown')
  a.pause()
  const first = failure(b.virga.step(root.context, (tx) => tx.get('x')))
  await first
  a.resume()
  for (let i = 0; i < 5; i++) {
    const [one, two] = await Promise.all([
      within(5_000, () => b.virga.step(root.context, (tx) => tx.get<[number]>('x'))),
      within(5_000, () => b.virga.step(other.context, (tx) => tx.get<[number]>('x'))),
    ])
    expect([one.result![0], two.result![0]]).toEqual([1, 2])
  }
  await within(5_000, () => c.virga.commit(other.context))
  expect(await converged(nodes, ['x', 'y'])).toEqual([[2, LARGE], undefined])
})

async function sumOf(nodes: readonly ClusterNode[], gauge: string): Promise<number> {
  const counts = await Promise.all(nodes.map((node) => node.count(gauge)))
  return counts.reduce((x, y) => x + y, 0)
}
