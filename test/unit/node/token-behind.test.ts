import { expect, test } from 'vitest'
import type { Machine } from '../../../src/testing/sim/machine.js'
import { calmCluster } from '../../support/calm-cluster.js'
import { thrown } from '../../support/thrown.js'

const TTL_MS = 1_500

test('a node that is out of touch begins nothing after a commit that others have compacted: it may not have it', async () => {
  const cluster = await calmCluster(2, { leaseTtlMs: TTL_MS })
  const { clock, machines, fabric } = cluster
  const [here, there] = machines as [Machine, Machine]
  const reader = here.addExecutor().virga
  const writer = there.addExecutor().virga
  await clock.advance(1_000)
  await clock.until(writer.transaction((tx) => tx.put('a', 0)))
  await clock.advance(100)
  expect(await clock.until(reader.get('a'))).toBe(0)
  fabric.partBoth([here.name], [there.name])
  here.storage.faults.plan({ probabilities: { before: 1 } })
  await clock.advance(TTL_MS * 2)
  const tx = await clock.until(writer.begin())
  tx.put('a', 1)
  await clock.until(tx.commit())
  await clock.advance(TTL_MS * 4)
  const { session } = await clock.until(writer.status(tx.id))
  // It has no place any more.
  expect(session).toMatch(/^1\.0\./)

  const reading = reader.begin({ after: session! }).then((after) => after.get('a'))
  expect((await clock.until(thrown(reading))).code).toBe('SnapshotUnavailable')
  here.storage.faults.plan(undefined)
  fabric.heal()
  await clock.advance(TTL_MS * 4)
  const after = await clock.until(reader.begin({ after: session! }))
  expect(await clock.until(after.get('a'))).toBe(1)
  for (const machine of machines) machine.crash()
})
