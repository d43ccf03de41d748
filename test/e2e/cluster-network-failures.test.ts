/** What a cluster makes of a network between its nodes that parts them, or loses, doubles, reorders and delays what they send. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, type TestContext, test } from 'vitest'
import { clusterLoad, reckonedUp } from '../support/cluster-load.js'
import { ClusterNetwork } from '../support/cluster-network.js'
import { type ClusterNode, startCluster, within } from '../support/cluster-processes.js'
import { converged } from '../support/convergence.js'
import { Dice } from '../support/dice.js'
import { failure } from '../support/failures.js'
import { Reckoning } from '../support/reckoning.js'
import { seedFor } from '../support/seed.js'
import { unruly } from '../support/zmtp.js'

/** Neither a context nor a decision carries it. */
const LARGE = 'x'.repeat(50_000)
/** Transactions that have committed before a run ends. */
const ENOUGH = 100

type Three = [ClusterNode, ClusterNode, ClusterNode]

test.each(['silent', 'cut'] as const)(
  'a partition (%s): both sides read and commit, what needs the other side fails typed and in time, and they converge',
  async (mode) => {
    const network = await ClusterNetwork.start({ dice: new Dice(Date.now()) })
    const { nodes } = await startCluster({ nodeAt: network.nodeAt })
    const [a, b, c] = nodes as Three
    await a.virga.transaction((tx) => tx.put('before', 1))
    await converged(nodes, ['before'])
    const [small, large] = [
      await a.virga.step(undefined, (tx) => tx.put('small', 1)),
      await a.virga.step(undefined, (tx) => tx.put('large', LARGE)),
    ]
    network.part([0], mode)
    for (const [i, { virga }] of nodes.entries()) {
      expect(await virga.get('before')).toBe(1)
      await virga.transaction((tx) => tx.put(`during ${i}`, i))
      expect(await virga.get(`during ${i}`)).toBe(i)
    }
    await within(2_000, async () => expect(await b.virga.get('during 2')).toBe(2))
    expect(await b.virga.get('during 0')).toBeUndefined()
    // The context has all that it needs, and its snapshot is known on the other side.
    await c.virga.commit(small.context)
    const startMs = performance.now()
    const error = await failure(b.virga.commit(large.context))
    expect(['NodeUnavailable', 'Timeout'], error.message).toContain(error.code)
    expect(error).toMatchObject({ retryable: true, outcome: 'definite' })
    // A snapshot that only the other side knows: storage has it, or it is not to be had now.
    const beyond = await a.virga.step(undefined, (tx) => tx.put('beyond', 1))
    const resumed = await b.virga.resume(beyond.context).then(
      () => 'resumed',
      (refusal: { code: string }) => refusal.code,
    )
    expect(['resumed', 'SnapshotUnavailable']).toContain(resumed)
    // A token of the other side: storage knows the commit.
    const tx = await a.virga.begin()
    tx.put('token', 'of the other side')
    const { session } = await tx.commit()
    await using after = await b.virga.begin({ after: session })
    expect(await after.get('token')).toBe('of the other side')
    expect(performance.now() - startMs).toBeLessThan(15_000)

    network.heal()
    const keys = ['before', 'small', 'during 0', 'during 1', 'during 2', 'token']
    expect(await converged(nodes, keys)).toEqual([1, 1, 0, 1, 2, 'of the other side'])
    await within(10_000, () => b.virga.commit(large.context))
    expect(await converged(nodes, ['large'])).toEqual([LARGE])
  },
)

test('partitions come and go under load: no answer was wrong, and all nodes converge', async (context: TestContext) => {
  const seed = seedFor(context)
  const dice = new Dice(seed)
  const network = await ClusterNetwork.start({ dice })
  const { nodes } = await startCluster({ nodeAt: network.nodeAt })
  const reckoning = new Reckoning(dice)
  const load = await clusterLoad({ nodes }, reckoning, seed)
  for (let round = 0; round < 5 || reckoning.count('committed') <= ENOUGH; round++) {
    await sleep(dice.between(200, 800))
    // From one side alone, too: then the other still hears.
    if (dice.between(0, 1) === 0) network.part([dice.between(0, 2)], dice.pick(['silent', 'cut']))
    else network.set(dice.between(0, 1), 2, dice.pick(['silent', 'deaf', 'cut']))
    await sleep(dice.between(200, 3_000))
    network.heal()
    load.check()
  }
  await load.stop()
  await reckonedUp(nodes, reckoning)
})

test('messages between nodes are lost, doubled, reordered and late: no answer was wrong, and all nodes converge', async (context: TestContext) => {
  const seed = seedFor(context)
  const dice = new Dice(seed)
  let harm = 1
  const filter = () => {
    const bad = unruly(dice, { lost: 0.15, doubled: 0.1, late: 0.15 })
    const good = unruly(dice, { lost: 0, doubled: 0, late: 0 })
    return (bytes: Buffer) => (harm > 0 ? bad(bytes) : good(bytes))
  }
  const filters = () => ({ toServer: filter(), toClient: filter() })
  const network = await ClusterNetwork.start({ dice, filters })
  const { nodes } = await startCluster({ nodeAt: network.nodeAt, node: { peerTimeoutMs: 500 } })
  const reckoning = new Reckoning(dice)
  const load = await clusterLoad({ nodes }, reckoning, seed)
  for (let round = 0; round < 5 || reckoning.count('committed') <= ENOUGH; round++) {
    network.delay(dice.between(0, 1) * dice.between(1, 50))
    await sleep(1_500)
    if (dice.between(0, 2) === 0) network.breakAll()
    load.check()
  }
  await load.stop()
  network.delay(0)
  harm = 0
  // What was kept back in the middle of a stream is given up with it.
  network.breakAll()
  await reckonedUp(nodes, reckoning)
  const fetched = await Promise.all(nodes.map((node) => node.count('placesFetched')))
  expect(
    fetched.some((count) => count > 0),
    'something was missed, and fetched',
  ).toBe(true)
})
