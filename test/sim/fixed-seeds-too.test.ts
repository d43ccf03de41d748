import { afterAll, expect, test } from 'vitest'
import { Totals } from '../../src/testing/sim/totals.js'
import { runClean, took } from './expect-clean.js'
import { unreached } from './halves.js'

/** In a file of its own, so that they run beside the first half. */
const FIXED: readonly number[] = Array.from({ length: 130 }, (_, i) => i + 151)

const totals = new Totals()

test.each(FIXED)('seed %i', async (seed) => {
  totals.add(await runClean(seed))
})

test('together with the other half they reach every mark', (context) => {
  expect(unreached('fixed-seeds-too', totals, FIXED.length, context)).toEqual([])
})

afterAll(() => {
  process.stdout.write(`${totals.lines(took()).join('\n')}\n`)
})
