import { expect, test } from 'vitest'
import { seedFor } from '../support/seed.js'
import { compareWays } from '../support/view-differential.js'

const RUN_MS = 5 * 60_000

test('the view and the node answer the same questions alike, for minutes', async (context) => {
  const compared = await compareWays(seedFor(context), RUN_MS)
  expect(compared.differences).toEqual([])
  expect(compared.viewReads).toBeGreaterThan(10_000)
})
