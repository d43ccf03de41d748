import { afterAll, test } from 'vitest'
import { Totals } from '../../src/testing/sim/totals.js'
import { runClean, took } from './expect-clean.js'

/** In a file of its own, so that they run beside the first half. */
const FIXED: readonly number[] = Array.from({ length: 140 }, (_, i) => i + 151)

const totals = new Totals()

test.each(FIXED)('seed %i', async (seed) => {
  totals.add(await runClean(seed))
})

afterAll(() => {
  process.stdout.write(`${totals.lines(took()).join('\n')}\n`)
})
