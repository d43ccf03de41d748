import { type TestContext, test } from 'vitest'
import { BALANCES, ENTRIES } from '../support/bank.js'
import { orderedBank, runBank } from '../support/bank-run.js'
import { seedFor } from '../support/seed.js'

const { consistency, seconds = 60, history } = orderedBank()
const TRANSFERS_A_SECOND_MIN = 5

for (const books of [BALANCES, ENTRIES].filter((some) =>
  [undefined, some.consistency].includes(consistency),
)) {
  test(`a minute of a bank in ${books.consistency} while nodes are killed every few seconds`, async (context: TestContext) => {
    const seed = seedFor(context)
    const again = `npm run bank -- --consistency ${books.consistency} --seconds ${seconds} --seed ${seed}`
    process.stdout.write(`seed ${seed}: ${again} draws the same\n`)
    const run = {
      books,
      seed,
      forMs: seconds * 1_000,
      calmMs: [1_500, 4_000],
      transfersMin: seconds * TRANSFERS_A_SECOND_MIN,
      historyPath: history,
    } as const
    process.stdout.write(`${books.consistency}: ${await runBank(run)}\n`)
  })
}
