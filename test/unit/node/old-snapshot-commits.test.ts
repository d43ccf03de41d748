import { expect, test } from 'vitest'
import { twoMachines } from '../../support/two-machines.js'

const TTL_MS = 1_500
const MODE = { consistency: 'parallel-snapshot' } as const

test('a DAG that took long commits with claims on a node that has promised more than its snapshot, once its lease tells of it', async () => {
  const { clock, first, other } = await twoMachines({
    leaseTtlMs: TTL_MS,
    collectEveryMs: 50,
    deadlineMs: 60_000,
  })
  const tx = await clock.until(first.begin(MODE))
  tx.put('mine', 1)
  for (let i = 0; i < 20; i++) {
    await clock.until(other.transaction((each) => each.put('theirs', i), MODE))
    await clock.advance(500)
  }
  const context = await clock.until(tx.handoff())
  const last = await clock.until(other.resume(context))
  expect(await clock.until(last.get('theirs'))).toBeUndefined()
  last.put('mine too', 1)
  await clock.advance(2 * TTL_MS)
  await clock.until(last.commit())
  expect(await clock.until(other.transaction((each) => each.getMany(['mine', 'mine too'])))).toEqual([1, 1])
})
