// @ts-check
import { ALL_SYSTEMS, startContest } from '../workload/contest.mjs'
import { countMadeUp } from '../workload/made-up.mjs'
import { AFT_SHAPE } from '../workload/plan.mjs'

const IN_FLIGHT = 10
/** What a slow system gets done in it must do. */
const MS_MAX = 8_000
/** They promise no snapshot. */
const MAY_HAVE_SOME = new Set(['Redis, no guarantee', 'PostgreSQL, read committed'])

/** @typedef {{ transactions: number, readYourWrites: number, fractured: number }} Counted */

/** What transactions of the AFT shape see on each system that no transaction should see. */
export async function anomalies(/** @type {import('../sections.mjs').Options} */ { quick, dice, history }) {
  const contest = await startContest(ALL_SYSTEMS, AFT_SHAPE)
  const shape = { shape: AFT_SHAPE, inFlight: IN_FLIGHT, count: quick ? 300 : 10_000, msMax: MS_MAX }
  /** @type {Map<string, Counted>} */
  const counted = new Map()
  for (const name of dice.shuffled(contest.names)) {
    await contest.inTurn(name, true, async (ask) => {
      // Every value then is of a writer that is known.
      await contest.reload(name)
      // Also of systems that are no good: a checker of histories should say so.
      const historyPath = history && `${history}.${name.toLowerCase().replace(/\W+/g, '-')}`
      const seed = dice.below(2 ** 31)
      counted.set(name, await ask({ kind: 'anomalies', seed, ...shape, ...(historyPath && { historyPath }) }))
      if (historyPath) process.stderr.write(`\n  history in ${historyPath} `)
    })
  }
  const of = (/** @type {string} */ name) => /** @type {Counted} */ (counted.get(name))
  const { found, expected } = countMadeUp()
  return {
    rows: [
      exactly('anomalies found in a made-up history', found, expected),
      ...contest.names
        .filter((name) => !MAY_HAVE_SOME.has(name))
        .map((name) => exactly(`anomalies, ${name}`, of(name).readYourWrites + of(name).fractured, 0)),
    ],
    tables: [
      {
        title: 'Transactions in which they were seen',
        unit: `${IN_FLIGHT} concurrent`,
        columns: ['transactions', 'read your writes', 'fractured reads'],
        lines: contest.names.map((name) => {
          const { transactions, readYourWrites, fractured } = of(name)
          return { name, cells: [transactions, readYourWrites, fractured] }
        }),
      },
    ],
    notes: contest.absent,
  }
}

/** @param {string} name @param {number} value @param {number} expected */
function exactly(name, value, expected) {
  const verdict = { budget: String(expected), holds: value === expected, counted: true }
  return { name, value, unit: 'transactions', ...verdict }
}
