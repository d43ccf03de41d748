import { expect, test } from 'vitest'
import { seedFor } from '../support/seed.js'
import { compareWays } from '../support/view-differential.js'

const RUN_MS = 6_000

test('the view and the node answer the same questions alike, under load', async (context) => {
  const compared = await compareWays(seedFor(context), RUN_MS, 1_000)
  expect(compared.differences).toEqual([])
  // The view was asked, and mostly answered.
  expect(compared.keys).toBeGreaterThan(1_000)
  expect(compared.viewReads).toBeGreaterThan(200)
  expect(compared.refusals).toBeLessThan(compared.answers / 10)
})
