import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { systemProcesses } from '../../src/platform/processes.js'
import { systemRandom } from '../../src/platform/random.js'
import { lmdbViews } from '../../src/view/lmdb-views.js'
import { Child } from '../support/child.js'
import { seedFor } from '../support/seed.js'
import { tempFolder } from '../support/temp.js'
import { compareWays } from '../support/view-differential.js'

const RUN_MS = 5 * 60_000

test('the view and the node answer the same questions alike, for minutes', async (context) => {
  const compared = await compareWays(seedFor(context), RUN_MS, 10_000)
  expect(compared.differences).toEqual([])
  expect(compared.viewReads).toBeGreaterThan(10_000)
})

/** More than have a place in one view. */
const KILLED = 1_100
const AT_ONCE = 8

test('more readers are killed as they read than have a place: the next has one', async () => {
  const views = lmdbViews({
    socket: join(tempFolder(), 's'),
    bytesMax: 2 * 1024 * 1024,
    random: systemRandom(),
    processes: systemProcesses(),
    headKey: 'm',
  })
  const writer = views.create(() => undefined)
  onTestFinished(() => void writer.close())
  writer.write(new Map([['m', Buffer.from('1')]]))
  let killed = 0
  const kill = async (): Promise<void> => {
    while (killed++ < KILLED) {
      const child = await Child.start('view-reader.mjs', {})
      await child.call('open', 'r', writer.path)
      expect(await child.call<Uint8Array[]>('read', 'r', ['m'])).toEqual([Uint8Array.from([49])])
      await child.kill()
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, kill))
  // As the node does when it hears of a death: some were killed within a read, and hold on to what they saw.
  writer.releaseDead()
  for (let i = 0; i < 1_000; i++) writer.write(new Map([['m', Buffer.alloc(900)]]))
})
