// @ts-check
import { median } from '../histogram.mjs'
import { startContest } from '../workload/contest.mjs'
import { AFT_SHAPE } from '../workload/plan.mjs'

const SYSTEMS = [
  'virga, Redis',
  'virga, LMDB',
  'Redis, no guarantee',
  'Redis WATCH',
  'PostgreSQL, serializable',
]
/** Enough to see that it works: the others are driven by the AFT shape. */
const QUICK_SYSTEMS = ['virga, Redis', 'Redis, no guarantee']
const RATES = [100, 300, 1_000, 2_000, 3_000]
/** A window has at least so many: a percentile of few is that of one accident. */
const DUE_MIN = 400
const WINDOW_MS = 500
/** One that is so far behind when the last is due can't keep the rate: it has no latency, only a queue. */
const LATE_MS_MAX = 500

/** @typedef {{ done: number, lateMs: number, p50Ms: number, p99Ms: number }} Run */

/**
 * Latency of the AFT shape at rates that are kept whatever the answers do, from the moment each transaction was due. Rates go
 * up until a system can't keep one.
 */
export async function openLoop(/** @type {import('../sections.mjs').Options} */ { quick, dice }) {
  const contest = await startContest(quick ? QUICK_SYSTEMS : SYSTEMS, AFT_SHAPE)
  const windowOf = (/** @type {number} */ perSecond) =>
    quick ? { leadMs: 50, ms: 150 } : { leadMs: 200, ms: Math.max(WINDOW_MS, (1_000 * DUE_MIN) / perSecond) }
  /** @type {Map<string, Run[][]>} */
  const runs = new Map(contest.names.map((name) => [name, RATES.map(() => [])]))
  for (let round = 0; round < (quick ? 1 : 2); round++) {
    for (const name of dice.shuffled(contest.names)) {
      await contest.inTurn(name, quick, async (ask) => {
        for (const [i, perSecond] of (quick ? RATES.slice(0, 2) : RATES).entries()) {
          const seed = dice.below(2 ** 31)
          const task = { kind: 'open', shape: AFT_SHAPE, seed, perSecond, ...windowOf(perSecond) }
          const run = /** @type {Run} */ (await ask(task))
          if (run.lateMs > LATE_MS_MAX) break
          runs.get(name)?.[i]?.push(run)
        }
      })
    }
  }
  const of = (/** @type {string} */ name, /** @type {number} */ i, /** @type {keyof Run} */ figure) => {
    const kept = runs.get(name)?.[i] ?? []
    return kept.length === 0 ? undefined : median(kept.map((run) => run[figure]))
  }
  const table = (/** @type {keyof Run} */ figure, /** @type {string} */ title) => ({
    title: `${title}, from the moment it was due`,
    unit: 'ms; – where the rate could not be kept',
    columns: RATES.map((rate) => `${rate.toLocaleString('en')}/s`),
    lines: contest.names.map((name) => ({ name, cells: RATES.map((_, i) => of(name, i, figure)) })),
  })
  const chart = (/** @type {'p50Ms' | 'p99Ms'} */ figure, /** @type {string} */ label) => ({
    kind: /** @type {const} */ ('lines'),
    id: `open-loop-${label}`,
    title: `Latency under load, ${label}`,
    subtitle:
      'the AFT shape at fixed rates, from the moment each was due; lines end where a rate was not kept',
    x: { label: 'transactions a second', scale: /** @type {const} */ ('log') },
    y: { label: 'ms', scale: /** @type {const} */ ('log') },
    series: contest.names.map((name) => ({
      name,
      points: RATES.flatMap((rate, i) => {
        const value = of(name, i, figure)
        return value === undefined ? [] : [/** @type {const} */ ([rate, value])]
      }),
    })),
  })
  return {
    tables: [table('p50Ms', 'p50'), table('p99Ms', 'p99')],
    charts: [chart('p50Ms', 'p50'), chart('p99Ms', 'p99')],
    notes: contest.absent,
  }
}
