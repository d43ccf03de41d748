import { expect, test } from 'vitest'
import { DEFAULT_CONFIG } from '../../../src/node/config.js'
import type { Machine } from '../../../src/testing/sim/machine.js'
import { calmCluster } from '../../support/calm-cluster.js'

const TTL_MS = 1_500
/** Longer than a node waits for peers that it can't reach. */
const CATCHING_UP_MS = 4_500
const BEGIN_EVERY_MS = 100
const BEGINS = 60

/**
 * A node was taken for dead, and others have collected. While it catches up, executors may begin what does not see all of
 * that yet: once it has caught up, they must not read it together with what was collected meanwhile.
 */
test.each([DEFAULT_CONFIG.viewBytesMax, 0])(
  'what begins while its node catches up reads one snapshot, or is told that it is too old (a view of %i bytes)',
  async (viewBytesMax) => {
    const cluster = await calmCluster(2, { leaseTtlMs: TTL_MS, viewBytesMax })
    const { clock, machines, fabric } = cluster
    const [here, there] = machines as [Machine, Machine]
    const reader = here.addExecutor().virga
    const writer = there.addExecutor().virga
    await clock.advance(1_000)
    const write = (value: number): Promise<void> =>
      clock.until(
        writer.transaction((tx) => {
          tx.put('a', value)
          tx.put('b', value)
        }),
      )
    await write(0)
    await clock.advance(100)
    fabric.partBoth([here.name], [there.name])
    here.storage.faults.plan({ probabilities: { before: 1 } })
    await clock.advance(TTL_MS * 2)
    await write(1)
    await clock.advance(TTL_MS * 4)
    here.storage.faults.plan(undefined)

    const readPair = async (): Promise<string> => {
      const tx = await reader.begin()
      const a = await tx.get<number>('a')
      await cluster.sleep(CATCHING_UP_MS)
      return `${a} ${await tx.get<number>('b')}`
    }
    const reading: Promise<string>[] = []
    while (reading.length < BEGINS) {
      reading.push(readPair().catch((error: { code: string }) => error.code))
      await clock.advance(BEGIN_EVERY_MS)
    }
    const read = new Set(await clock.until(Promise.all(reading)))
    // Both ends of the window were met: before, the snapshot is too old; after, all is seen.
    expect([...read].sort()).toEqual(['1 1', 'SnapshotTooOld'])
    for (const machine of machines) machine.crash()
  },
)
