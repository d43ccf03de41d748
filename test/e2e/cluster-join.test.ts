/** Nodes that start while storage holds many keys: they know only what is recent, and read the rest when it is asked for. */
import { expect, test } from 'vitest'
import type { Virga } from '../../src/client/virga.js'
import { type Cluster, type ClusterNode, startCluster, within } from '../support/cluster-processes.js'
import { readAll } from '../support/convergence.js'

const KEYS = 100_000
const KEYS_PER_TRANSACTION = 1_000
const AT_ONCE = 4
/** Of the many versions that were written: those that are left when all has been moved to bases. */
const VERSIONS_LEFT_MAX = KEYS / 100
const COLLECTED_MS = 60_000
/** With the start of its process. On a machine that does nothing else it takes less than a second. */
const SERVES_MS_MAX = 10_000
const COLD_KEYS = [0, 1, 999, 1_000, 50_123, 99_999]

test('100,000 live keys in storage: a node that joins serves within seconds, holds none of them, and reads a cold key once', async () => {
  const cluster = await startCluster({ nodes: 2 })
  await fill(cluster)
  const startedAtMs = performance.now()
  const joined = await cluster.join()
  expect(await joined.virga.get(keyOf(42))).toEqual(42)
  tell('the node that joined served', performance.now() - startedAtMs)
  await holdsNoChains(joined)
  await readsColdKeysOnce(joined)
  await isWholeMember(cluster, joined)
})

test('100,000 live keys in storage: a node that starts alone, from storage, serves within seconds, and reads all of them right', async () => {
  const cluster = await startCluster({ nodes: 1 })
  await fill(cluster)
  const [node] = cluster.nodes as [ClusterNode]
  for (const end of ['killed', 'stopped'] as const) {
    await (end === 'killed' ? node.kill() : node.stop())
    const startedAtMs = performance.now()
    await node.restart()
    const client = await node.client()
    expect(await client.get(keyOf(42))).toEqual(42)
    tell(`the node that was ${end} served again`, performance.now() - startedAtMs)
    await holdsNoChains(node)
    await readsColdKeysOnce(node)
  }
  const keys = Array.from({ length: KEYS }, (_, i) => keyOf(i))
  expect(await readAll(node.virga, keys)).toEqual(keys.map((_, i) => i))
})

function keyOf(i: number): string {
  return `key ${i}`
}

/** Writes all keys, over all nodes, and waits until what every snapshot sees has left their memory. */
async function fill({ nodes }: Cluster): Promise<void> {
  let next = 0
  const write = async (virga: Virga): Promise<void> => {
    while (next < KEYS) {
      const first = next
      next += KEYS_PER_TRANSACTION
      await virga.transaction((tx) => {
        for (let i = first; i < first + KEYS_PER_TRANSACTION; i++) tx.put(keyOf(i), i)
      })
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => write(nodes[i % nodes.length]!.virga)))
  await within(COLLECTED_MS, async () => {
    for (const node of nodes) await holdsNoChains(node)
  })
}

async function holdsNoChains(node: ClusterNode): Promise<void> {
  expect(await node.count('versions'), node.id).toBeLessThan(VERSIONS_LEFT_MAX)
}

/** What one read of each key asks of storage; nothing at all the second time. */
async function readsColdKeysOnce(node: ClusterNode): Promise<void> {
  for (const i of COLD_KEYS) {
    const before = await valueReads(node)
    expect(await node.virga.get(keyOf(i))).toEqual(i)
    expect(await valueReads(node), keyOf(i)).toEqual({ ...before, base: before.base + 1 })
    expect(await node.virga.get(keyOf(i))).toEqual(i)
    expect(await valueReads(node), keyOf(i)).toEqual({ ...before, base: before.base + 1 })
  }
}

interface ValueReads {
  readonly base: number
  readonly decision: number
  readonly value: number
}

async function valueReads(node: ClusterNode): Promise<ValueReads> {
  const operations = await node.operations()
  const reads = (head: string): number => operations[`get ${head}`] ?? 0
  return { base: reads('base'), decision: reads('decision'), value: reads('value') }
}

async function isWholeMember({ nodes }: Cluster, joined: ClusterNode): Promise<void> {
  await joined.virga.transaction(async (tx) => tx.put(keyOf(7), Number(await tx.get(keyOf(7))) + 1))
  for (const node of nodes)
    await within(5_000, async () => expect(await node.virga.get(keyOf(7)), node.id).toBe(8))
}

function tell(what: string, tookMs: number): void {
  process.stdout.write(`${what} after ${Math.round(tookMs)} ms, with ${KEYS} keys in storage\n`)
  expect(tookMs, what).toBeLessThan(SERVES_MS_MAX)
}
