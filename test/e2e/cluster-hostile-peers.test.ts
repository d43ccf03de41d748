/** Malformed, oversized and unauthorised messages at the ports for other nodes: refused, counted, logged, and the node goes on. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, type TestContext, test } from 'vitest'
import { curveKeyPair } from 'zeromq'
import { leaseKey } from '../../src/core/layout.js'
import { openRedisStorage } from '../../src/storage/redis.js'
import { decodeLease } from '../../src/wire/records.js'
import { type ClusterNode, startCluster, within } from '../support/cluster-processes.js'
import { converged } from '../support/convergence.js'
import { Dice } from '../support/dice.js'
import { GREETING, HostilePeer, noise, rawBytes, requestsOf } from '../support/hostile-peer.js'
import { encode } from '../support/messagepack.mjs'
import type { RedisServer } from '../support/redis.js'
import { seedFor } from '../support/seed.js'

const TXN = '01a1fbbe-14bb-7e71-93d3-b236e0fdb9e3'
const ATTEMPT = '0687f179b88400e40920b2f7'
const VERSION = 2
const REFUSED = 86
const GREETED = 80
const GROWTH_BYTES_MAX = 64 * 1024 * 1024

/** All goes on between the nodes, and nobody met anything unforeseen. */
async function allGoesOn(nodes: readonly ClusterNode[], what: string): Promise<void> {
  for (const [i, { virga }] of nodes.entries()) await virga.transaction((tx) => tx.put(`on ${i}`, what))
  expect(
    await converged(
      nodes,
      nodes.map((_, i) => `on ${i}`),
    ),
  ).toEqual(nodes.map(() => what))
  const root = await nodes[0]!.virga.step(undefined, (tx) => tx.put('large', new Uint8Array(50_000)))
  await nodes[1]!.virga.commit(root.context)
  for (const node of nodes) {
    expect(await node.count('internalErrors'), node.id).toBe(0)
    expect((await node.logged()).filter(({ level }) => level === 'error')).toEqual([])
  }
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

test('frames that can not be read, and requests that make no sense', async (context: TestContext) => {
  const dice = new Dice(seedFor(context))
  const { nodes } = await startCluster()
  const [victim] = nodes as [ClusterNode]
  const { origin } = await victim.inspect()
  const peer = await HostilePeer.of(victim)
  const before = await victim.memory()
  const good = encode([VERSION, [16, 1, 'n9', `n9@${ATTEMPT}`]])
  await peer.send(good)
  await peer.heard(GREETED, 1)

  const unreadable: Uint8Array[] = [
    Buffer.alloc(0),
    encode([]),
    encode([VERSION + 1, [16, 1, 'n9', `n9@${ATTEMPT}`]]),
    encode([VERSION, [999, 1]]),
    encode([VERSION, [16, -1, 'n9', `n9@${ATTEMPT}`]]),
    encode([VERSION, [16, 1, 'n9']]),
    encode([VERSION, [16, 1, 'n9', 'no origin']]),
    encode([VERSION, [17, 1, `n9@${ATTEMPT}`, -1, 2 ** 60]]),
    encode([VERSION, 'no message', null, [[]]]),
    Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff]),
    Buffer.concat([Buffer.alloc(100_000, 0x91), Buffer.from([0xc0])]),
    noise(1_000_000),
  ]
  for (let i = 0; i < 2_000; i++) {
    const bytes = Buffer.from(good)
    if (dice.between(0, 1) === 0) bytes[dice.between(0, bytes.length - 1)]! ^= 1 << dice.between(0, 7)
    unreadable.push(
      dice.between(0, 1) === 0
        ? bytes.subarray(0, dice.between(0, bytes.length - 1))
        : noise(dice.between(1, 200)),
    )
  }
  for (const frame of unreadable) await peer.send(frame)
  await peer.send(good, good)
  await within(20_000, async () => expect(await victim.count('peersRefused')).toBeGreaterThan(1_000))

  const senseless = [
    [17, 1, `n9@${ATTEMPT}`, 1, 10],
    [17, 2, origin, 0, Number.MAX_SAFE_INTEGER],
    [17, 3, origin, Number.MAX_SAFE_INTEGER, 1],
    [17, 4, origin, 10, 1],
    [18, 5, null, 7],
    [18, 6, 'nothing', 0],
    [18, 7, null, Number.MAX_SAFE_INTEGER],
    [19, 8, TXN, []],
    [19, 9, TXN, Array.from({ length: 10_000 }, (_, i) => `${i}`)],
    [20, 10, TXN, ATTEMPT, 0, ['x']],
    [20, 11, TXN, ATTEMPT, Number.MAX_SAFE_INTEGER, ['x', 'x', '']],
    [21, 12, TXN, [[`n9@${ATTEMPT}`, 5]], 0],
    [21, 13, TXN, Array.from({ length: 1_000 }, (_, i) => [`n${i}@${ATTEMPT}`, i]), 7],
  ]
  const answered = peer.frames
  for (const message of senseless) await peer.send(encode([VERSION, message]))
  await within(10_000, async () =>
    expect(peer.frames).toBeGreaterThanOrEqual(answered + senseless.length - 1),
  )
  await allGoesOn(nodes, 'after it all')
  const after = await victim.memory()
  expect(after.heapUsed + after.external - before.heapUsed - before.external).toBeLessThan(GROWTH_BYTES_MAX)
  const warned = (await victim.logged()).filter(({ message }) => message.includes('refused'))
  expect(warned.length).toBeGreaterThan(0)
  expect(warned.length, 'not one line for each').toBeLessThan(20)
  expect(peer.answers(REFUSED)).toBeGreaterThan(0)
})

test('bytes that are no ZeroMQ, connections that say nothing, and frames of any size', async () => {
  const { nodes } = await startCluster()
  const [victim] = nodes as [ClusterNode]
  const { host, port } = await requestsOf(victim)
  const before = await victim.memory()
  const length = (bytes: bigint): Buffer => {
    const header = Buffer.alloc(9)
    header[0] = 2
    header.writeBigUInt64BE(bytes, 1)
    return header
  }
  const dealer = Buffer.from('\x05READY\x0bSocket-Type\0\0\0\x06DEALER', 'latin1')
  const ready = Buffer.concat([Buffer.from([4, dealer.length]), dealer])
  const speeches = [
    noise(10_000),
    Buffer.from('GET / HTTP/1.1\r\nHost: virga\r\n\r\n'),
    GREETING.subarray(0, 10),
    GREETING,
    Buffer.concat([GREETING, noise(1_000)]),
    Buffer.concat([GREETING, length(2n ** 63n - 1n)]),
  ]
  for (const speech of speeches) for (let i = 0; i < 10; i++) await rawBytes(host, port, speech)
  for (let i = 0; i < 300; i++) await rawBytes(host, port, Buffer.alloc(0))
  // Who announces a frame larger than any that nodes send is disconnected before it has sent it.
  for (const bytes of [2n ** 62n, 200n * 1024n * 1024n]) {
    const oversized = Buffer.concat([GREETING, ready, length(bytes), noise(100_000)])
    const sockets = await Promise.all(Array.from({ length: 10 }, () => rawBytes(host, port, oversized)))
    await within(5_000, async () => expect(sockets.filter(({ closed }) => !closed)).toEqual([]))
  }
  const bearable = await rawBytes(
    host,
    port,
    Buffer.concat([GREETING, ready, length(200_000n), noise(100_000)]),
  )
  await sleep(500)
  expect(bearable.closed, 'the rest of one of the usual size is waited for').toBe(false)
  await allGoesOn(nodes, 'meanwhile')
  await sleep(1_000)
  const after = await victim.memory()
  expect(after.rss - before.rss).toBeLessThan(2 * GROWTH_BYTES_MAX)
})

test('with keys: who has none, or one that is not listed, gets nothing, and is counted and logged', async () => {
  const { nodes, redis } = await startCluster({ node: { security: 'curve' } })
  const [victim] = nodes as [ClusterNode]
  await allGoesOn(nodes, 'encrypted')
  const { host, port } = await requestsOf(victim)
  const lease = await publicKeyOf(redis, victim)
  const before = await victim.count('peersRefused')
  const { publicKey, secretKey } = curveKeyPair()
  const strangers = [
    await HostilePeer.of(victim),
    await HostilePeer.of(victim, {
      curvePublicKey: publicKey,
      curveSecretKey: secretKey,
      curveServerKey: lease,
    }),
    await HostilePeer.of(victim, {
      curvePublicKey: publicKey,
      curveSecretKey: secretKey,
      curveServerKey: publicKey,
    }),
  ]
  const greet = encode([VERSION, [16, 1, 'n9', `n9@${ATTEMPT}`]])
  for (const stranger of strangers) void stranger.send(greet).catch(() => undefined)
  await rawBytes(host, port, Buffer.concat([GREETING, noise(100)]))
  await within(10_000, async () =>
    expect(await victim.count('peersRefused')).toBeGreaterThanOrEqual(before + 3),
  )
  for (const stranger of strangers) expect(stranger.frames).toBe(0)
  expect(
    (await victim.logged()).some(({ level, message }) => level === 'warn' && message.includes('refused')),
  ).toBe(true)
  await allGoesOn(nodes, 'all the same')
})
