/** A node that is told of another one by the option `peers`. */
import { expect, test } from 'vitest'
import { leaseKey } from '../../src/core/layout.js'
import { openRedisStorage } from '../../src/storage/redis.js'
import { decodeLease } from '../../src/wire/records.js'
import { type ClusterNode, startCluster, within } from '../support/cluster-processes.js'
import { converged } from '../support/convergence.js'
import type { RedisServer } from '../support/redis.js'
import { TcpProxy } from '../support/tcp-proxy.js'

/** So long that no lease is looked at again within the test: that is done five times in it. */
const LEASE_MS = 300_000
/** What the name in the first node's lease leads to: there, nothing listens on the port of its requests. */
const ELSEWHERE = '127.1.9.1'
const KNOWN_MS = 5_000
const SHARED_MS = 5_000
const LARGE = 'x'.repeat(100_000)

test('an address that no lease names: the node that is told of it joins, shares and loses and finds the other one over it', async () => {
  const cluster = await startCluster({
    nodes: 1,
    node: { leaseTtlMs: LEASE_MS },
    nodeAt: (i) => (i === 0 ? { advertise: 'n1.cluster' } : { hosts: { 'n1.cluster': ELSEWHERE } }),
  })
  const [a] = cluster.nodes as [ClusterNode]
  await a.virga.transaction((tx) => tx.put('before', 'it joined'))
  const { requests, publications } = await portsOf(cluster.redis, a)
  const route = await TcpProxy.start(requests)
  await TcpProxy.start(publications, { host: ELSEWHERE, port: publications })
  const b = await cluster.join({ peers: `127.0.0.1:${route.port}` })
  expect(await b.count('statesInstalled')).toBe(1)
  expect(await b.virga.get('before')).toBe('it joined')
  // The other one was told of nobody. Who greets it is looked for among the leases at once.
  await within(KNOWN_MS, async () => {
    for (const node of [a, b]) expect(await node.count('peersUp'), node.id).toBe(1)
  })
  await share(a, b, 'first')
  route.set('cut')
  await within(KNOWN_MS, async () => expect(await b.count('peersUp')).toBe(0))
  route.set('open')
  await within(KNOWN_MS, async () => expect(await b.count('peersUp')).toBe(1))
  await share(a, b, 'again')
})

async function portsOf(
  { url }: RedisServer,
  node: ClusterNode,
): Promise<{ readonly requests: number; readonly publications: number }> {
  const storage = await openRedisStorage({ url })
  try {
    const [record] = await storage.get([leaseKey(node.id)])
    const { requests, publications } = decodeLease(record!).address!
    expect(new URL(requests).hostname).toBe('n1.cluster')
    return { requests: portOf(requests), publications: portOf(publications) }
  } finally {
    await storage.close()
  }
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1))
}

/** Decisions, both ways, and what a context left behind. */
async function share(a: ClusterNode, b: ClusterNode, what: string): Promise<void> {
  for (const [i, node] of [a, b, a, b].entries()) await node.virga.transaction((tx) => tx.put(`k${i}`, what))
  expect(await converged([a, b], ['k0', 'k1', 'k2', 'k3'], SHARED_MS)).toEqual([what, what, what, what])
  const root = await a.virga.step(undefined, (tx) => tx.put('large', LARGE + what))
  await b.virga.commit(root.context)
  expect(await converged([a, b], ['large'], SHARED_MS)).toEqual([LARGE + what])
}
