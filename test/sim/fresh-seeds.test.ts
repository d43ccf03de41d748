import { randomInt } from 'node:crypto'
import { afterAll, test } from 'vitest'
import { Totals } from '../../src/testing/sim/totals.js'
import { givenSeed } from '../support/seed.js'
import { runClean, took } from './expect-clean.js'

const FRESH = 10
const first = givenSeed() ?? randomInt(2 ** 31 - FRESH)
const totals = new Totals()
// Before they run: the run may not get to its end.
process.stdout.write(`fresh seeds from ${first} on: npm run sim -- --from ${first} --seeds ${FRESH}\n`)

test.each(Array.from({ length: FRESH }, (_, i) => first + i))('fresh seed %i', async (seed) => {
  totals.add(await runClean(seed))
})

afterAll(() => {
  process.stdout.write(`${totals.lines(took()).join('\n')}\n`)
})
