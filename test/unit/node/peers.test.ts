import { expect, test } from 'vitest'
import type { Origin } from '../../../src/core/ids.js'
import type { Member } from '../../../src/node/cluster/lease-view.js'
import { Peers } from '../../../src/node/cluster/peers.js'
import { DEFAULT_CONFIG } from '../../../src/node/config.js'
import { Counters } from '../../../src/node/counters.js'
import type { World } from '../../../src/node/world.js'
import type { NodeAddress } from '../../../src/ports/network.js'

const originOf = (nodeId: string, boot: number): Origin =>
  `${nodeId}@${String(boot).padStart(24, '0')}` as Origin
const memberOf = (nodeId: string, boot: number, address: Partial<NodeAddress>): Member =>
  ({
    nodeId,
    lease: {
      origin: originOf(nodeId, boot),
      address: { requests: 'tcp://h:1', publications: 'tcp://h:2', publicKey: null, ...address },
    },
  }) as unknown as Member

/** What connections are asked of the network, and which are closed. */
function peersOf(listed: { readonly address: string; readonly publicKey: string | null }[] = []) {
  const asked: string[] = []
  const made = (what: string, address: string, key: string | null) => {
    asked.push(`${what} ${address} ${key}`)
    return { send: () => true, close: () => void asked.push(`close ${address}`) }
  }
  const network = {
    allow: () => undefined,
    dial: (address: string, key: string | null) => made('dial', address, key),
    subscribe: (address: string, key: string | null) => made('subscribe', address, key),
  }
  const peers = new Peers(
    { network } as unknown as World,
    { ...DEFAULT_CONFIG, nodeId: 'own', peers: listed },
    originOf('own', 1),
    new Counters(),
    { onPublication: () => undefined, onUp: () => undefined },
  )
  return { peers, take: () => asked.splice(0) }
}

test('a peer is dialled once, and anew when its key or where it publishes has changed', () => {
  const { peers, take } = peersOf()
  for (let look = 0; look < 3; look++) peers.follow([memberOf('a', 1, { publicKey: 'k1' })])
  expect(take()).toEqual(['dial tcp://h:1 k1', 'subscribe tcp://h:2 k1'])
  peers.follow([memberOf('a', 2, { publicKey: 'k2' })])
  expect(take()).toEqual([
    'close tcp://h:1',
    'close tcp://h:2',
    'dial tcp://h:1 k2',
    'subscribe tcp://h:2 k2',
  ])
  peers.follow([memberOf('a', 3, { publicKey: 'k2', publications: 'tcp://h:3' })])
  expect(take()).toEqual([
    'close tcp://h:1',
    'close tcp://h:2',
    'dial tcp://h:1 k2',
    'subscribe tcp://h:3 k2',
  ])
  peers.follow([])
  expect(take()).toEqual(['close tcp://h:1', 'close tcp://h:3'])
  expect(peers.count).toBe(0)
})

test('of two members at one address the one that started later is there, in whatever order they come', () => {
  const { peers, take } = peersOf()
  const before = memberOf('a', 1, { publicKey: 'k1' })
  const after = memberOf('b', 2, { publicKey: 'k2' })
  peers.follow([before])
  take()
  peers.follow([before, after])
  expect(take()).toEqual([
    'close tcp://h:1',
    'close tcp://h:2',
    'dial tcp://h:1 k2',
    'subscribe tcp://h:2 k2',
  ])
  for (const members of [
    [after, before],
    [before, after],
    [after, before],
  ])
    peers.follow(members)
  expect(take()).toEqual([])
})

test('a key that was listed counts, whatever storage says; what was listed stays', () => {
  const { peers, take } = peersOf([{ address: 'tcp://h:1', publicKey: 'pinned' }])
  peers.follow([memberOf('a', 1, { publicKey: 'other' })])
  expect(take()).toEqual(['dial tcp://h:1 pinned', 'subscribe tcp://h:2 pinned'])
  peers.follow([])
  expect(take()).toEqual([])
  expect(peers.count).toBe(1)
})
