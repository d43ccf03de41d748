import { expect, test } from 'vitest'
import { CLUSTER_DEPARTED } from '../../../src/core/layout.js'
import type { Machine } from '../../../src/testing/sim/machine.js'
import { decodeDeparted } from '../../../src/wire/records.js'
import { calmCluster } from '../../support/calm-cluster.js'

const TTL_MS = 1_500

/**
 * It missed what another node decided, which has departed since: nobody tells of that any more, and cuts do not name it. What has
 * read it comes as soon as there is a network again.
 */
test('a node that has yet to learn of a departure shows no effect without its cause', async () => {
  const cluster = await calmCluster(3, { leaseTtlMs: TTL_MS, departAfterMs: 5_000 })
  const { clock, machines, fabric } = cluster
  const [here, stays, leaves] = machines as [Machine, Machine, Machine]
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
