import { expect, test } from 'vitest'
import { EMPTY_CUT } from '../../../src/core/cut.js'
import type { Origin } from '../../../src/core/ids.js'
import { LeaseView } from '../../../src/node/cluster/lease-view.js'
import { simulate } from '../../../src/testing/sim-clock.js'
import { encodeLease } from '../../../src/wire/records.js'

const record = encodeLease({
  origin: `n@${'0'.repeat(24)}` as Origin,
  renewal: 19,
  address: undefined,
  serving: true,
  ttlMs: 1_500,
  low: EMPTY_CUT,
  applied: EMPTY_CUT,
  nowMs: 0,
  departed: 0,
})

test('a lease lapses also for who looks less often than its time to live asks for (seed 269)', async () => {
  const { clock } = simulate(1)
  const view = new LeaseView(clock, 10_000)
  for (let looks = 0; looks < 3; looks++) {
    view.update([['n', record]])
    await clock.advance(2_000)
  }
  expect(view.members(1.5)).toEqual([])
})

test('who could not look for long has seen nothing', async () => {
  const { clock } = simulate(1)
  const view = new LeaseView(clock, 10_000)
  view.update([['n', record]])
  await clock.advance(6_000)
  view.update([['n', record]])
  expect(view.members(1.5)).toHaveLength(1)
})
