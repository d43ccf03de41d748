/** A function hands off without its node: what is said of it, what is kept for it, and when the node is asked all the same. */
import { expect, test } from 'vitest'
import { hlcAt } from '../../src/core/hlc.js'
import { makeTxnId } from '../../src/core/ids.js'
import { CLUSTER_KEY } from '../../src/core/layout.js'
import { macOf } from '../../src/platform/mac.js'
import type { Link, LinkHandlers } from '../../src/ports/transport.js'
import {
  contextBytes,
  contextSigning,
  contextText,
  decodeContext,
  encodeContext,
} from '../../src/wire/context.js'
import { type Cluster, withCluster } from '../support/cluster-in-process.js'
import { type ClusterNode, startCluster } from '../support/cluster-processes.js'
import { converged } from '../support/convergence.js'
import { NodeProcess, storageUrl, testClient, testNode } from '../support/nodes.js'
import { greeted, refusalOf } from '../support/raw-client.js'
import { until } from '../support/until.js'

const LARGE = 'y'.repeat(10_000)
/** For how long collection waits for snapshots that a node was not told of, and more. */
const COLLECTED_MS = 20_000

/** A connection that breaks, and takes nothing, when a test says so. */
class BreakingLink implements Link {
  readonly #link: Link
  #handlers: LinkHandlers | undefined
  isFull = false

  constructor(link: Link) {
    this.#link = link
  }

  open(handlers: LinkHandlers): void {
    this.#handlers = handlers
    this.#link.open(handlers)
  }

  send(frame: Uint8Array): boolean {
    return !this.isFull && this.#link.send(frame)
  }

  break(): void {
    this.#handlers?.onDown()
    this.#handlers?.onUp()
  }

  close(): Promise<void> {
    return this.#link.close()
  }
}

/** A node whose view shows `a`, `b` and `c`. */
async function withView(run: (cluster: Cluster) => Promise<void>): Promise<void> {
  await withCluster(async (cluster) => {
    await cluster.boot({ collectEveryMs: 50 })
    const virga = cluster.client()
    const keys = ['a', 'b', 'c']
    await cluster.until(virga.transaction((tx) => keys.forEach((key) => void tx.put(key, 'old'))))
    await cluster.until(Promise.all(keys.map((key) => virga.get(key))))
    await cluster.clock.advance(100)
    await run(cluster)
  })
}

/** Writes all keys anew, for as long as it takes to collect what was there. */
async function overwrite(cluster: Cluster): Promise<void> {
  const virga = cluster.client()
  for (let i = 0; i < COLLECTED_MS / 500; i++) {
    await cluster.until(virga.transaction((tx) => ['a', 'b', 'c'].forEach((key) => void tx.put(key, i))))
    await cluster.clock.advance(500)
  }
}

test('a DAG of small functions waits for its commit alone', async () => {
  await withView(async (cluster) => {
    const [first, second, third] = [cluster.client(), cluster.client(), cluster.client()]
    await cluster.clock.advance(100)
    const before = cluster.count('requests')
    const one = await first.step(undefined, async (tx) => tx.put('a', `${await tx.get('a')}, 1`))
    const two = await second.step(one.context, async (tx) => tx.put('b', `${await tx.get('a')}, 2`))
    const tx = await third.resume(two.context)
    tx.put('c', `${await tx.get('b')}, 3`)
    // That the first has handed off, which nobody waits for.
    expect(cluster.count('requests')).toBe(before + 1)
    const receipt = await cluster.until(tx.commit())
    expect(receipt.id).toBe(one.id)
    // The resume and the commit.
    expect(cluster.count('requests')).toBe(before + 3)
    expect(await cluster.until(first.transaction((each) => each.getMany(['a', 'b', 'c'])))).toEqual([
      'old, 1',
      'old, 1, 2',
      'old, 1, 2, 3',
    ])
    expect(cluster.count('handedOver')).toBe(0)
  })
})

test('what its snapshot needs is kept until the transaction ends, whoever handed off', async () => {
  await withView(async (cluster) => {
    const [first, second] = [cluster.client(), cluster.client()]
    await cluster.clock.advance(100)
    const one = await first.step(undefined, async (tx) => tx.put('a', 'mine'))
    await overwrite(cluster)
    expect(cluster.count('handedOver')).toBe(1)
    const two = await cluster.until(second.step(one.context, (tx) => tx.getMany(['a', 'b'])))
    expect(two.result).toEqual(['mine', 'old'])
    await overwrite(cluster)
    const tx = await cluster.until(first.resume(two.context))
    expect(await cluster.until(tx.getMany(['c', 'b', 'a']))).toEqual(['old', 'old', 'mine'])
    await cluster.until(tx.commit())
    expect(cluster.count('handedOver')).toBe(0)
    expect(await cluster.until(second.get('a'))).toBe('mine')
  })
})

test('what its snapshot needs is kept until the deadline, where nobody goes on', async () => {
  await withView(async (cluster) => {
    const first = cluster.client()
    await cluster.clock.advance(100)
    await first.step(undefined, (tx) => tx.get('a'), { deadlineMs: 5_000 })
    await cluster.clock.advance(100)
    expect(cluster.count('handedOver')).toBe(1)
    await cluster.clock.advance(120_000)
    expect(cluster.count('handedOver')).toBe(0)
  })
})

test('one that only reads leaves no trace, and one whose last function did not write is committed as a whole', async () => {
  await withView(async (cluster) => {
    const virga = cluster.client()
    await cluster.clock.advance(100)
    const decisions = cluster.count('decisions')
    const read = await virga.step(undefined, (tx) => tx.get('a'))
    const again = await virga.step(read.context, (tx) => tx.get('b'))
    // Nothing was added: it is the same context.
    expect(again.context).toBe(read.context)
    expect(await cluster.until(virga.commit(again.context))).toMatchObject({ session: undefined })
    await cluster.clock.advance(100)
    expect([cluster.count('handedOver'), cluster.count('decisions')]).toEqual([0, decisions])
    const written = await virga.step(undefined, (tx) => tx.put('a', 'new'))
    const looked = await virga.step(written.context, (tx) => tx.get('a'))
    await cluster.until(virga.commit(looked.context))
    expect(await cluster.until(virga.get('a'))).toBe('new')
  })
})

test('one that has ended without a decision before the node is told of it is kept no more', async () => {
  await withView(async (cluster) => {
    const [first, second] = [cluster.client(), cluster.client()]
    await cluster.clock.advance(100)
    // The first goes at once, others wait some milliseconds.
    await first.step(undefined, (tx) => tx.get('a'), { deadlineMs: 1_000 })
    const read = await first.step(undefined, (tx) => tx.get('a'))
    await cluster.until(second.commit(read.context))
    const given = await first.step(undefined, (tx) => tx.put('a', 'given up'))
    await cluster.until(second.cancel(given.id))
    await cluster.clock.advance(1_000)
    expect(cluster.count('handedOver')).toBe(1)
    await cluster.clock.advance(60_000)
    expect(cluster.count('handedOver')).toBe(0)
  })
})

test('a context of a time far ahead is refused, and moves neither the clock of the node nor that of who took it up', async () => {
  await withView(async (cluster) => {
    const virga = cluster.client()
    await cluster.clock.advance(100)
    const { context } = await virga.step(undefined, (tx) => tx.put('a', 1))
    const [key] = await cluster.until(cluster.storage.get([CLUSTER_KEY]))
    const { mac } = contextSigning(key!, macOf)
    const own = decodeContext(contextBytes(context), mac)
    // As far as is believed, again and again, and then too far.
    for (const minutes of [9, 9, 9, 11, 600]) {
      const hlc = hlcAt(cluster.clock.now() + minutes * 60_000)
      const lineage = own.lineage.map((writeSet) => ({ ...writeSet, hlc }))
      const ahead = contextText(encodeContext({ ...own, lineage }, mac))
      const next = await virga.step(ahead, (tx) => tx.put('b', 1))
      const tx = await cluster.until(virga.resume(next.context))
      const read = cluster.until(tx.get('not in the view'))
      if (minutes < 10) expect(await read).toBeUndefined()
      else await expect(read).rejects.toMatchObject({ code: 'ContextInvalid' })
      await tx.abort()
    }
    const { context: unrelated } = await virga.step(undefined, (tx) => tx.put('c', 'mine'))
    expect(decodeContext(contextBytes(unrelated), mac).lineage[0]!.hlc).toBeLessThan(
      hlcAt(cluster.clock.now() + 1_000),
    )
    await cluster.until(virga.commit(unrelated))
    expect(await cluster.until(virga.get('c'))).toBe('mine')
  })
})

test('the node is told across a connection that broke or was full, and not across its own death', async () => {
  await withView(async (cluster) => {
    const link = new BreakingLink(cluster.hub.link())
    const virga = cluster.client({}, link)
    await cluster.clock.advance(100)
    const handOff = () => virga.step(undefined, (tx) => tx.get('a'))
    // The first goes at once, the second waits some milliseconds for others.
    await handOff()
    await handOff()
    link.break()
    await cluster.clock.advance(1_000)
    expect(cluster.count('handedOver')).toBe(2)

    link.isFull = true
    await handOff()
    await cluster.clock.advance(100)
    expect(cluster.count('handedOver')).toBe(2)
    link.isFull = false
    await cluster.clock.advance(100)
    expect(cluster.count('handedOver')).toBe(3)

    await handOff()
    const { context } = await handOff()
    await cluster.crash()
    await cluster.boot({ collectEveryMs: 50 })
    await cluster.clock.advance(1_000)
    expect([cluster.count('handedOver'), cluster.count('internalErrors')]).toEqual([0, 0])
    // Its snapshot is of what the next one found, too.
    expect(await cluster.until(virga.commit(context))).toMatchObject({ session: undefined })
  })
})

test('branches are joined as those of a node are: downstream counts, then the later', async () => {
  await withView(async (cluster) => {
    const clients = Array.from({ length: 3 }, () => cluster.client())
    await cluster.clock.advance(100)
    const [first, left, right] = clients as [Client, Client, Client]
    const root = await first.step(undefined, (tx) => ['a', 'b'].forEach((key) => void tx.put(key, 'root')))
    await cluster.clock.advance(5)
    const one = await left.step(root.context, (tx) => ['b', 'c'].forEach((key) => void tx.put(key, 'left')))
    await cluster.clock.advance(5)
    const two = await right.step(root.context, (tx) => tx.put('c', 'right'))
    // Large: it stays on the node, which seals it.
    const three = await cluster.until(right.step(two.context, (tx) => tx.put('large', LARGE)))
    const joined = [one.context, three.context, root.context]
    const conflict = first.resume(joined, { onBranchConflict: 'error' })
    await expect(cluster.until(conflict)).rejects.toMatchObject({ code: 'BranchConflict' })
    await cluster.until(first.commit(joined))
    const all = first.transaction((tx) => tx.getMany(['a', 'b', 'c', 'large']))
    expect(await cluster.until(all)).toEqual(['root', 'left', 'right', LARGE])
  })
})
type Client = ReturnType<Cluster['client']>

test('the node is asked where it must be: a large write set, a durable one, an id that others may have tried', async () => {
  await withView(async (cluster) => {
    const virga = cluster.client()
    await cluster.clock.advance(100)
    const asked = async (step: Promise<unknown>): Promise<number> => {
      const before = cluster.count('handoffs')
      await cluster.until(step)
      const during = cluster.count('handoffs') - before
      await cluster.clock.advance(100)
      return during
    }
    const id = makeTxnId(Math.floor(cluster.clock.now()), new Uint8Array(10))
    expect(await asked(virga.step(undefined, (tx) => tx.put('a', 1)))).toBe(0)
    expect(await asked(virga.step(undefined, (tx) => tx.put('a', LARGE)))).toBe(1)
    expect(await asked(virga.step(undefined, (tx) => tx.put('a', 1), { durable: true }))).toBe(1)
    expect(await asked(virga.step(undefined, (tx) => tx.put('a', 1), { id }))).toBe(1)
    expect(await asked(virga.step(undefined, (tx) => tx.put('a', 1), { consistency: 'lww' }))).toBe(1)
    const unseen = virga.step(undefined, async (tx) => tx.put('a', String(await tx.get('not in the view'))))
    expect(await asked(unseen)).toBe(1)
    await expect(
      cluster.until(virga.step(undefined, () => undefined, { deadlineMs: 2 ** 40 })),
    ).rejects.toMatchObject({ code: 'InvalidArgument' })
  })
})

test('a node is told of it after the transaction has committed: it keeps nothing', async () => {
  const node = await NodeProcess.start({ storage: await storageUrl('memory') })
  const virga = await testClient(node.socket)
  const kept = async (): Promise<unknown> => (await virga.inspect()).handedOver
  await virga.transaction((tx) => tx.put('a', 1))
  const step = await virga.step(undefined, (tx) => tx.put('b', 1))
  await virga.commit(step.context)
  expect(await kept()).toBe(0)
  const raw = await greeted(node.socket)
  const [, , key] = await raw.ask('hello', 'the same one again', 0, '', '')
  const { snapshot, deadlineMs } = decodeContext(contextBytes(step.context), macOf(key as Uint8Array))
  await raw.askTogether(['passed', step.id, deadlineMs, snapshot], ['ping'])[1]
  expect(await kept()).toBe(0)
  const id = makeTxnId(Date.now(), new Uint8Array(10))
  await raw.askTogether(['passed', id, deadlineMs, snapshot], ['ping'])[1]
  expect(await kept()).toBe(1)
})

test('what can not be kept is refused, and nothing is', async () => {
  const node = await testNode()
  const raw = await greeted(node.socket)
  const id = makeTxnId(Date.now(), new Uint8Array(10))
  const soon = Date.now() + 1_000
  const snapshot = (moment: number, epoch: number): Uint8Array => {
    const bytes = Buffer.alloc(20)
    bytes.writeDoubleLE(moment, 0)
    bytes.writeDoubleLE(epoch, 8)
    return bytes
  }
  expect(await refusalOf(raw.ask('passed', id, soon, Buffer.alloc(7)))).toBe('Malformed')
  expect(await refusalOf(raw.ask('passed', id, soon, snapshot(1_000, 0)))).toBe('SnapshotTooOld')
  expect(await refusalOf(raw.ask('passed', id, soon, snapshot(0, 77)))).toBe('SnapshotTooOld')
  const late = Date.now() + 400 * 86_400_000
  expect(await refusalOf(raw.ask('passed', id, late, snapshot(0, 0)))).toBe('InvalidArgument')
  expect(node.count('handedOver')).toBe(0)
  expect(node.count('internalErrors')).toBe(0)
})

test('so many snapshots are kept for executors and no more: Busy', async () => {
  const node = await testNode({ transactionsMax: 5 })
  const raw = await greeted(node.socket)
  const told = Array.from({ length: 30 }, (_, i) => {
    const id = makeTxnId(
      Date.now(),
      Uint8Array.from({ length: 10 }, () => i),
    )
    return ['passed', id, Date.now() + 60_000, Buffer.alloc(20)] as const
  })
  const answers = raw.askTogether(...told, ['ping'])
  await answers.at(-1)
  expect(node.count('handedOver')).toBe(20)
  for (const answer of answers.slice(20, 30)) expect(await refusalOf(answer)).toBe('Busy')
})

test('functions on two nodes pass a DAG on and commit it, without a message between them', async () => {
  const { nodes } = await startCluster({ nodes: 2 })
  const [here, there] = nodes as [ClusterNode, ClusterNode]
  await here.virga.transaction((tx) => ['a', 'b'].forEach((key) => void tx.put(key, 0)))
  await converged(nodes, ['a', 'b'])
  for (const { virga } of nodes)
    await until(
      'the view holds them',
      async () => (await virga.transaction((tx) => tx.getMany(['a', 'b']))).length === 2,
    )
  const before = await Promise.all(nodes.map((node) => node.count('peerRequests')))
  let context: string | undefined
  for (let i = 0; i < 10; i++) {
    const { virga } = i % 2 === 0 ? here : there
    const add = async (key: string, tx: Parameters<Parameters<typeof virga.step>[1]>[0]): Promise<void> =>
      tx.put(key, ((await tx.get<number>(key)) ?? 0) + 1)
    const step = await virga.step(context, async (tx) => {
      await add('a', tx)
      await add(`only ${i}`, tx)
    })
    context = step.context
  }
  await there.virga.commit(context!)
  const keys = ['a', ...Array.from({ length: 10 }, (_, i) => `only ${i}`)]
  expect(await converged(nodes, keys)).toEqual([10, ...Array(10).fill(1)])
  expect(await Promise.all(nodes.map((node) => node.count('peerRequests')))).toEqual(before)
})
