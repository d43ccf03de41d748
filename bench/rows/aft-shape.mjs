// @ts-check
import { median } from '../histogram.mjs'
import { ALL_SYSTEMS, startContest } from '../workload/contest.mjs'
import { AFT_SHAPE } from '../workload/plan.mjs'

const CONCURRENT = [1, 10, 40, 256]
/** Not counted: keys come into the caches, and code is compiled, of each system. */
const WARM_UP = { leadMs: 0, ms: 2_500 }
const WARM_UP_AT = 10
/** Enough to see that all of it works. */
const QUICK_CONCURRENT = [1, 10]
/** @typedef {{ perSecond: number, p50Ms: number, p99Ms: number, attempts: number, cpuUs: number }} Run */

/**
 * Two functions, each two reads and a write of 4 KiB, 1,000 keys, Zipf 1.0: what AFT was measured with. The same functions,
 * from the same driver, on each system.
 */
export async function aftShape(/** @type {import('../sections.mjs').Options} */ { quick, dice }) {
  const contest = await startContest(ALL_SYSTEMS, AFT_SHAPE)
  const window = quick ? { leadMs: 30, ms: 100 } : { leadMs: 150, ms: 500 }
  const levels = quick ? QUICK_CONCURRENT : CONCURRENT
  /** @type {Map<string, Run[][]>} */
  const runs = new Map(contest.names.map((name) => [name, levels.map(() => [])]))
  for (let round = 0; round < (quick ? 1 : 3); round++) {
    for (const name of dice.shuffled(contest.names)) {
      await contest.inTurn(name, quick, async (ask) => {
        if (round === 0 && !quick)
          await ask({
            kind: 'closed',
            shape: AFT_SHAPE,
            seed: dice.below(2 ** 31),
            inFlight: WARM_UP_AT,
            ...WARM_UP,
          })
        // Rising: what one level leaves to be collected, the next one pays for.
        for (const i of levels.keys()) {
          const task = {
            kind: 'closed',
            shape: AFT_SHAPE,
            seed: dice.below(2 ** 31),
            inFlight: levels[i],
            ...window,
          }
          runs.get(name)?.[i]?.push(/** @type {Run} */ (await ask(task)))
        }
      })
    }
  }
  return { ...told(levels, runs), notes: contest.absent }
}

/**
 * @param {readonly number[]} levels how many at once
 * @param {ReadonlyMap<string, Run[][]>} runs
 */
function told(levels, runs) {
  const names = [...runs.keys()]
  const of = (/** @type {string} */ name, /** @type {number} */ i, /** @type {keyof Run} */ figure) =>
    median((runs.get(name)?.[i] ?? []).map((run) => run[figure]))
  const cell = (/** @type {string} */ name, /** @type {number} */ i, /** @type {keyof Run} */ figure) =>
    of(name, i, 'perSecond') > 0 ? of(name, i, figure) : undefined
  const table = (
    /** @type {string} */ title,
    /** @type {string} */ unit,
    /** @type {keyof Run} */ figure,
  ) => ({
    title,
    unit,
    columns: levels.map((n) => `${n} concurrent`),
    lines: names.map((name) => ({ name, cells: levels.map((_, i) => cell(name, i, figure)) })),
  })
  const series = (/** @type {keyof Run} */ figure) =>
    names.map((name) => ({
      name,
      points: levels.flatMap((n, i) => {
        const value = cell(name, i, figure)
        return value === undefined ? [] : [/** @type {const} */ ([n, value])]
      }),
    }))
  return {
    rows: comparisons((name, n, figure) => of(name, levels.indexOf(n), figure), levels),
    tables: [
      table('Transactions a second', 'median of the rounds', 'perSecond'),
      table('p50', 'ms', 'p50Ms'),
      table('p99', 'ms', 'p99Ms'),
      table('Attempts a transaction took', 'mean', 'attempts'),
      table('CPU of a transaction, all processes', 'µs', 'cpuUs'),
    ],
    charts: [
      chart('aft-throughput', 'Transactions a second', 'log', 'transactions a second', series('perSecond')),
      chart('aft-latency', 'Median latency', 'log', 'ms', series('p50Ms')),
    ],
  }
}

/** @param {string} id @param {string} title @param {'log'} scale @param {string} label @param {readonly import('../report/types.mjs').Series[]} series */
function chart(id, title, scale, label, series) {
  return /** @type {const} */ ({
    kind: 'lines',
    id,
    title: `The AFT shape: ${title.toLowerCase()}`,
    subtitle: 'two functions, each two reads and a write of 4 KiB; 1,000 keys, Zipf 1.0',
    x: { label: 'concurrent transactions', scale: 'log' },
    y: { label, scale },
    series,
  })
}

/**
 * What the budgets are about.
 *
 * @param {(name: string, concurrent: number, figure: keyof Run) => number} of
 * @param {readonly number[]} levels
 */
function comparisons(of, levels) {
  const rows = []
  for (const [against, concurrent, atLeast] of /** @type {const} */ ([
    ['Redis WATCH', 10, 2],
    ['Redis WATCH', 40, 2],
    ['Redis, no guarantee', 10, 1],
    ['Redis, no guarantee', 40, 1],
  ])) {
    if (!levels.includes(concurrent)) continue
    for (const name of ['virga, Redis', 'virga, Redis, one process']) {
      const [value, other] = [of(name, concurrent, 'perSecond'), of(against, concurrent, 'perSecond')]
      rows.push({
        name: `AFT shape, ${name}, ${concurrent} concurrent, against ${against}`,
        value,
        unit: '/s',
        against: other,
        ratio: value / other,
        budget: `>= ${atLeast}`,
        holds: value / other >= atLeast,
      })
    }
  }
  return rows
}
