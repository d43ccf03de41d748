import { afterAll, describe, expect, test } from 'vitest'
import { runSeed } from '../../src/testing/sim/run.js'
import { Totals } from '../../src/testing/sim/totals.js'
import { runClean, took } from './expect-clean.js'
import { unreached } from './halves.js'

/** Each a cluster of its own: its size, its work, its mishaps. */
const FIXED: readonly number[] = Array.from({ length: 150 }, (_, i) => i + 1)
/** Each once found something. What it found has a test of its own as well, since seeds play differently as the code changes. */
const FOUND: readonly number[] = [
  142, 1129, 900014, 3000029, 3000299, 5006, 5027, 5000370, 5000756, 11000128, 20000007, 20001452, 21001293,
  40000053, 40000209, 40002606, 40002749, 40003018, 90000774, 6000039, 7000258, 120000918, 120001679,
  130000744, 200000008,
]
/** Run twice, and compared to the byte. */
const TWICE: readonly number[] = [1, 5, 13, 21, 37, 3000029]

const totals = new Totals()

describe('a simulated cluster keeps every promise', () => {
  test.each([...new Set([...FIXED, ...FOUND])])('seed %i', async (seed) => {
    totals.add(await runClean(seed))
  })
})

test('together the seeds meet every kind of fault, and commit', () => {
  expect(totals.seeds).toBeGreaterThanOrEqual(FIXED.length)
  expect(totals.decided / totals.seeds, 'a run in which nothing is decided proves nothing').toBeGreaterThan(
    20,
  )
  expect([...totals.counts('faults')].filter(([, count]) => count === 0).map(([kind]) => kind)).toEqual([])
})

test('together with the other half they reach every mark', (context) => {
  expect(unreached('fixed-seeds', totals, FIXED.length, context)).toEqual([])
})

test.each(TWICE)('seed %i runs the same twice, to the byte', async (seed) => {
  const [one, two] = [await runSeed(seed, { keepLog: true }), await runSeed(seed, { keepLog: true })]
  const apart = one.log.findIndex((line, i) => line !== two.log[i])
  const where = `event ${apart}: ${one.log[apart]} / ${two.log[apart]}`
  expect(two.log.length, where).toBe(one.log.length)
  expect(two.digest, where).toBe(one.digest)
})

test('another seed is another run', async () => {
  const [one, two] = [await runSeed(1, { isCalm: true }), await runSeed(2, { isCalm: true })]
  expect(one.digest).not.toBe(two.digest)
})

afterAll(() => {
  process.stdout.write(`${totals.lines(took()).join('\n')}\n`)
})
