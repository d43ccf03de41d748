import { expect, test } from 'vitest'
import { CLUSTER_DEPARTED } from '../../../src/core/layout.js'
import { DEFAULT_CONFIG } from '../../../src/node/config.js'
import type { Machine } from '../../../src/testing/sim/machine.js'
import { SimCluster } from '../../../src/testing/sim/sim-cluster.js'
import { decodeDeparted } from '../../../src/wire/records.js'

const TTL_MS = 1_500

/**
 * It missed what another node decided, which has departed since: nobody tells of that any more, and cuts do not name it. What has
 * read it comes as soon as there is a network again.
 */
test('a node that has yet to learn of a departure shows no effect without its cause', async () => {
  const cluster = new SimCluster(1, { nodes: 3, isCalm: true })
  Object.assign(cluster.plan.config, DEFAULT_CONFIG, {
    leaseTtlMs: TTL_MS,
    collectEveryMs: 50,
    departAfterMs: 5_000,
    cacheBytesMax: 1_000_000,
  })
  const { clock, machines, fabric } = cluster
  const [here, stays, leaves] = machines as [Machine, Machine, Machine]
  for (const machine of machines) machine.keepRunning()
  await clock.advance(5_000)
  const [reader, writer, gone] = [here, stays, leaves].map((machine) => machine.addExecutor().virga)
  await clock.advance(1_000)
  await clock.until(writer!.transaction((tx) => tx.put('cause', 0)))
  await clock.advance(100)
  expect(await clock.until(reader!.get('cause'))).toBe(0)

  here.storage.faults.plan({ probabilities: { before: 1 } })
  fabric.partBoth([here.name], [stays.name, leaves.name])
  await clock.advance(TTL_MS * 2)
  await clock.until(gone!.transaction((tx) => tx.put('cause', 1)))
  await clock.advance(1_000)
  leaves.retire()
  await clock.advance(60_000)
  const [record] = await clock.until(stays.storage.get([CLUSTER_DEPARTED]))
  expect(decodeDeparted(record!).departures).toHaveLength(1)

  fabric.heal()
  await clock.advance(1_000)
  const write = writer!.transaction(async (tx) => tx.put('effect', await tx.get('cause')))
  await clock.until(write)
  await clock.advance(1_000)
  const read = async (): Promise<unknown[]> => {
    const tx = await reader!.begin()
    return [await tx.get('effect').catch(() => undefined), await tx.get('cause')]
  }
  expect(await clock.until(read())).toEqual([undefined, 0])
  here.storage.faults.plan(undefined)
  await clock.advance(TTL_MS * 4)
  expect(await clock.until(read())).toEqual([1, 1])
  for (const machine of machines) machine.crash()
})
