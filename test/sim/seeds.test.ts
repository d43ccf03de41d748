import { describe, expect, test } from 'vitest'
import { type RunReport, runSeed } from '../../src/testing/sim/run.js'
import { seedFor } from '../support/seed.js'

/** Each a cluster of its own: its size, its work, its mishaps. The second list is of seeds that once found something. */
const FIXED: readonly number[] = [1, 2, 3, 4, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61]
const FOUND: readonly number[] = [142, 1129, 3000029]
const FRESH = 10
/** Run twice, and compared to the byte. */
const TWICE: readonly number[] = [1, 5, 13]

function expectClean({ seed, plan, violations }: RunReport): void {
  const told = violations.slice(0, 5).map(({ rule, what }) => `${rule}: ${what}`)
  const replay = `npm run sim -- --seed ${seed}`
  expect(told, `seed ${seed}, ${plan.nodes} nodes, ${violations.length} violations; ${replay}`).toEqual([])
}

describe('a simulated cluster keeps every promise', () => {
  test.each([...FIXED, ...FOUND])('seed %i', async (seed) => {
    const report = await runSeed(seed)
    expectClean(report)
    expect(report.decided, 'a run in which nothing is decided proves nothing').toBeGreaterThan(0)
  })

  test('fresh seeds', async (context) => {
    const first = seedFor(context)
    for (let seed = first; seed < first + FRESH; seed++) expectClean(await runSeed(seed))
  })
})

test.each(TWICE)('seed %i runs the same twice, to the byte', async (seed) => {
  const [one, two] = [await runSeed(seed, { keepLog: true }), await runSeed(seed, { keepLog: true })]
  const apart = one.log.findIndex((line, i) => line !== two.log[i])
  const where = `event ${apart}: ${one.log[apart]} / ${two.log[apart]}`
  expect(two.digest, where).toBe(one.digest)
})

test('another seed is another run', async () => {
  const [one, two] = [await runSeed(1, { isCalm: true }), await runSeed(2, { isCalm: true })]
  expect(one.digest).not.toBe(two.digest)
})

test('together the seeds meet every kind of trouble', async () => {
  const met = new Map<string, number>()
  for (const seed of FIXED) {
    const { mishaps, storageFaults, traffic } = await runSeed(seed, { chaosMsMax: 20_000 })
    const { lost, duplicated, reordered, parted } = traffic
    for (const [kind, count] of Object.entries({
      ...mishaps,
      ...storageFaults,
      lost,
      duplicated,
      reordered,
      parted,
    }))
      met.set(kind, (met.get(kind) ?? 0) + count)
  }
  expect([...met].filter(([, count]) => count === 0).map(([kind]) => kind)).toEqual([])
})
