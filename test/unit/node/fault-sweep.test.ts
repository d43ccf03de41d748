import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../src/testing/sim-clock.js'
import { seedFor } from '../../support/seed.js'
import { type Plan, STRIKE_NAMES } from '../../support/strikes.js'
import { sweep } from '../../support/sweep.js'
import { WORKLOADS } from '../../support/workloads.js'

/**
 * Every storage operation of a node, in turn, meets every kind of trouble, under a clock that only the test moves.
 * Nothing is random in the first part, so a failure names all that is needed to see it again: workload and plan.
 */
async function all(plans: Iterable<readonly [(typeof WORKLOADS)[number], Plan]>): Promise<number> {
  const failures: string[] = []
  let runs = 0
  for (const [workload, plan] of plans) {
    runs++
    await sweep(workload, plan).catch((error: Error) => failures.push(error.message))
    if (failures.length >= 10) break
  }
  expect(failures).toEqual([])
  return runs
}

/** A thousand runs take some seconds, and more on a machine that has other things to do. */
const LONG_MS = 120_000

describe.each(WORKLOADS)('$name', (workload) => {
  test('goes through where nothing strikes', async () => {
    const { calls } = await sweep(workload, new Map())
    expect(calls).toBeGreaterThan(0)
  })

  test('holds every promise whichever operation meets whatever trouble', async () => {
    const { calls } = await sweep(workload, new Map())
    const plans = STRIKE_NAMES.flatMap((name) =>
      Array.from({ length: calls + 1 }, (_, call) => [workload, new Map([[call, name]])] as const),
    )
    expect(await all(plans)).toBe(plans.length)
  })
})

test(
  'every pair of troubles in the simplest commit',
  async () => {
    const workload = WORKLOADS[0]!
    const plans = STRIKE_NAMES.flatMap((first) =>
      STRIKE_NAMES.flatMap((second) =>
        [0, 1].flatMap((at) =>
          [1, 2, 3].map(
            (gap) =>
              [
                workload,
                new Map([
                  [at, first],
                  [at + gap, second],
                ]),
              ] as const,
          ),
        ),
      ),
    )
    expect(await all(plans)).toBe(plans.length)
  },
  LONG_MS,
)

test(
  'many troubles at random',
  async (context) => {
    const random = seededRandom(seedFor(context))
    const pick = <T>(from: readonly T[]): T => from[Math.floor(random.fraction() * from.length)]!
    const plans = Array.from({ length: 600 }, () => {
      const strikes = Array.from({ length: 2 + Math.floor(random.fraction() * 4) }, () => {
        return [Math.floor(random.fraction() * 25), pick(STRIKE_NAMES)] as const
      })
      return [pick(WORKLOADS), new Map(strikes)] as const
    })
    expect(await all(plans)).toBe(plans.length)
  },
  LONG_MS,
)
