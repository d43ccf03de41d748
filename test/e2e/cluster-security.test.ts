/** Who may speak to a node, over real processes: keys that leases name, keys pinned in files, and nodes without any. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Transaction } from '../../src/client/transaction.js'
import { leaseKey } from '../../src/core/layout.js'
import { openRedisStorage } from '../../src/storage/redis.js'
import { decodeLease } from '../../src/wire/records.js'
import { virga } from '../support/cli.js'
import {
  allConnected,
  type Cluster,
  type ClusterNode,
  startCluster,
  within,
} from '../support/cluster-processes.js'
import { converged, readAll } from '../support/convergence.js'
import { freePort } from '../support/free-port.js'
import type { RedisServer } from '../support/redis.js'
import { tempFolder } from '../support/temp.js'

/** Neither a context nor a decision carries it: other nodes fetch it. */
const LARGE = 'x'.repeat(100_000)
/** Far less than what nodes that can not speak to each other need to find a decision in storage. */
const SHARED_MS = 5_000
/** What a node that left decided and told nobody is looked for in storage. */
const THROUGH_STORAGE_MS = 10_000
const INCREMENTS = 5
const CURVE = { security: 'curve' } as const

test('keys that nodes make at their start are told in leases: they find each other, and share all, and a node that is restarted with new keys is let in again', async () => {
  const { redis, nodes } = await startCluster({
    nodes: 2,
    node: CURVE,
    nodeAt: (i) => ({ listen: `127.0.${i + 2}.1:0` }),
  })
  const [a, b] = nodes as [ClusterNode, ClusterNode]
  const keys = await Promise.all(nodes.map((node) => publicKeyOf(redis, node)))
  for (const key of keys) expect(key).toMatch(/^\S{40}$/)
  expect(new Set(keys).size).toBe(2)
  for (const [i, node] of nodes.entries())
    expect((await node.inspect()).address).toMatch(new RegExp(`^tcp://127\\.0\\.${i + 2}\\.1:\\d+$`))
  await shareAll(nodes, 'first')
  await b.kill()
  await b.restart()
  expect(await publicKeyOf(redis, b)).not.toBe(keys[1])
  await allConnected(nodes)
  await shareAll(nodes, 'with new keys')
  expect(await a.count('internalErrors')).toBe(0)
})

test('a node that is back at its address with new keys, before others see that it was gone, is heard again', async () => {
  const ports = [await freePort(), await freePort()]
  const { nodes } = await startCluster({
    nodes: 2,
    node: CURVE,
    nodeAt: (i) => ({ listen: `127.0.0.1:${ports[i]}` }),
  })
  const [, b] = nodes as [ClusterNode, ClusterNode]
  await shareAll(nodes, 'first')
  await b.kill()
  await b.restart()
  await allConnected(nodes)
  await shareAll(nodes, 'with new keys')
})

test('keys of virga keygen, pinned on both sides: nodes speak to each other, before and after a restart', async () => {
  const [one, other] = [await keygen(), await keygen()]
  const { redis, nodes } = await startCluster({
    nodes: 2,
    node: CURVE,
    nodeAt: (i) =>
      i === 0
        ? { keyFile: one.path, peerKeysFile: pinned(other.publicKey) }
        : { keyFile: other.path, peerKeysFile: pinned(one.publicKey) },
  })
  const [a, b] = nodes as [ClusterNode, ClusterNode]
  await shareAll(nodes, 'first')
  await a.kill()
  await a.restart()
  await allConnected(nodes)
  await shareAll(nodes, 'after a restart')
  expect(await publicKeyOf(redis, a)).toBe(one.publicKey)
  expect(await publicKeyOf(redis, b)).toBe(other.publicKey)
  for (const node of nodes) expect(await node.count('peersRefused'), node.id).toBe(0)
})

test('a node whose key is not among those pinned gets nothing, is counted and logged, and agrees with the others through storage', async () => {
  const [one, other, stranger] = [await keygen(), await keygen(), await keygen()]
  const cluster = await startCluster({
    nodes: 2,
    node: CURVE,
    nodeAt: (i) =>
      i < 2
        ? {
            keyFile: [one, other][i]!.path,
            peerKeysFile: pinned(one.publicKey, other.publicKey),
          }
        : { keyFile: stranger.path },
  })
  const joined = await cluster.join()
  const listed = cluster.nodes.slice(0, 2)
  for (const node of listed) {
    await refuses(node, stranger.publicKey)
    expect(await node.count('peersUp'), node.id).toBe(1)
  }
  expect(await joined.count('peersUp')).toBe(0)
  await agreeThroughStorage(cluster.nodes)
  await shareAll(listed, 'among those listed')
})

test('a node without a key gets nothing of one that has one, and agrees with it through storage', async () => {
  const cluster = await startCluster({
    nodes: 1,
    nodeAt: (i) => ({ security: i === 1 ? 'plain' : 'curve' }),
  })
  const [keyed] = cluster.nodes as [ClusterNode]
  const plain = await cluster.join()
  await refuses(plain, 'it has a key, and this node has none')
  await refuses(keyed, 'it has no key, and this node has one')
  for (const node of [keyed, plain]) expect(await node.count('peersUp'), node.id).toBe(0)
  await agreeThroughStorage([keyed, plain])
  const other = await cluster.join()
  await allConnected([keyed, other])
  await shareAll([keyed, other], 'among those with keys')
})

interface KeyFile {
  readonly path: string
  readonly publicKey: string
}

async function keygen(): Promise<KeyFile> {
  const path = join(tempFolder(), 'node.key')
  const ended = await virga(['keygen', '--out', path])
  expect(ended.code, ended.stderr).toBe(0)
  const publicKey = ended.stdout.toString().trim()
  expect(readFileSync(path, 'utf8')).toContain(publicKey)
  return { path, publicKey }
}

function pinned(...keys: readonly string[]): string {
  const path = join(tempFolder(), 'peers.keys')
  writeFileSync(path, keys.map((key) => `${key} # of a node\n`).join(''))
  return path
}

/** As its lease tells it to the others. */
async function publicKeyOf({ url }: RedisServer, node: ClusterNode): Promise<string> {
  const storage = await openRedisStorage({ url })
  try {
    const [record] = await storage.get([leaseKey(node.id)])
    return decodeLease(record!).address!.publicKey!
  } finally {
    await storage.close()
  }
}

/** Decisions, and what contexts leave behind on the node that they were made on. */
async function shareAll(nodes: readonly ClusterNode[], what: string): Promise<void> {
  const [a, b] = nodes as [ClusterNode, ClusterNode]
  const root = await a.virga.step(undefined, (tx) => tx.put('large', LARGE + what))
  const next = await b.virga.step(root.context, async (tx) => {
    expect(await tx.get('large')).toBe(LARGE + what)
    tx.put('small', what)
  })
  await a.virga.commit(next.context)
  expect(await converged(nodes, ['large', 'small'], SHARED_MS)).toEqual([LARGE + what, what])
}

/** The node counts and logs what it refuses, with all of these words. */
async function refuses(node: ClusterNode, ...words: readonly string[]): Promise<void> {
  await within(10_000, async () => {
    expect(await node.count('peersRefused'), node.id).toBeGreaterThan(0)
    const reasons = (await node.logged())
      .filter(({ level, message }) => level === 'warn' && message === 'a peer was refused')
      .map(({ fields }) => String(fields.reason))
    expect(reasons, node.id).toContainEqual(
      expect.stringMatching(new RegExp(words.map((word) => `(?=[^]*${escaped(word)})`).join(''))),
    )
  })
}

function escaped(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9 ]/g, '\\$&')
}

/**
 * Nodes that can not speak to each other are parted, and all go on. What one of them committed is seen on another by who has
 * its token, updates are not lost, and when the last one leaves, all that it committed is with the others.
 */
async function agreeThroughStorage(nodes: Cluster['nodes']): Promise<void> {
  const last = nodes.at(-1)!
  await tokenShows(last, nodes[0]!)
  await tokenShows(nodes[0]!, last)
  await Promise.all(
    nodes.map(async ({ virga }) => {
      for (let i = 0; i < INCREMENTS; i++) {
        const add = async (tx: Transaction): Promise<void> =>
          tx.put('sum', Number((await tx.get('sum')) ?? 0) + 1)
        await virga.transaction(add, { consistency: 'parallel-snapshot' })
      }
    }),
  )
  await last.virga.transaction((tx) => tx.put('untold', 'by the last'))
  await last.stop()
  await within(THROUGH_STORAGE_MS, async () => {
    for (const { id, virga } of nodes.slice(0, -1))
      expect(await readAll(virga, ['sum', 'untold']), id).toEqual([INCREMENTS * nodes.length, 'by the last'])
  })
}

async function tokenShows(from: ClusterNode, to: ClusterNode): Promise<void> {
  const tx = await from.virga.begin()
  tx.put('shown', `by ${from.id}`)
  const { session } = await tx.commit()
  const shown = await to.virga.transaction((tx) => tx.get('shown'), { after: session! })
  expect(shown, to.id).toBe(`by ${from.id}`)
}
