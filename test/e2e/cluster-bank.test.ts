import { expect, type TestContext, test } from 'vitest'
import { BALANCES, ENTRIES } from '../support/bank.js'
import { runBank } from '../support/bank-run.js'
import { startCluster } from '../support/cluster-processes.js'
import { converged } from '../support/convergence.js'
import { seedFor } from '../support/seed.js'

for (const books of [ENTRIES, BALANCES]) {
  test(`a bank in ${books.consistency} while nodes are killed: every audit is exact, every transfer is applied once`, async (context: TestContext) => {
    await runBank({ books, seed: seedFor(context), forMs: 8_000, calmMs: [500, 2_000], transfersMin: 50 })
  })
}

test('40 writers on 3 nodes increment contended counters in parallel-snapshot: the sum is exact', async () => {
  const { nodes } = await startCluster()
  const counters = ['counter 0', 'counter 1', 'counter 2']
  const writers = await Promise.all(
    Array.from({ length: 40 }, (_, i) => nodes[i % 3]!.client({ attemptsMax: 1_000 })),
  )
  const times = 5
  await Promise.all(
    writers.map(async (virga, i) => {
      for (let n = 0; n < times; n++) {
        const key = counters[(i + n) % counters.length]!
        await virga.transaction(async (tx) => tx.put(key, ((await tx.get<number>(key)) ?? 0) + 1), {
          consistency: 'parallel-snapshot',
        })
      }
    }),
  )
  const values = (await converged(nodes, counters)) as number[]
  expect(values.reduce((a, b) => a + b, 0)).toBe(40 * times)
})
