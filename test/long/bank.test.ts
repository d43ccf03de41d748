import { type TestContext, test } from 'vitest'
import { BALANCES, ENTRIES } from '../support/bank.js'
import { runBank } from '../support/bank-run.js'
import { seedFor } from '../support/seed.js'

/** Of each mode one: `VIRGA_HISTORY=FILE npx vitest run --mode long test/long/bank.test.ts` writes FILE.parallel-snapshot and so on. */
const { VIRGA_HISTORY } = process.env

for (const books of [BALANCES, ENTRIES]) {
  test(`a minute of a bank in ${books.consistency} while nodes are killed every few seconds`, async (context: TestContext) => {
    const run = {
      books,
      seed: seedFor(context),
      forMs: 60_000,
      calmMs: [1_500, 4_000],
      transfersMin: 300,
      historyPath: VIRGA_HISTORY && `${VIRGA_HISTORY}.${books.consistency}`,
    } as const
    process.stdout.write(`${books.consistency}: ${await runBank(run)}\n`)
  })
}
