// @ts-check
import { median } from '../histogram.mjs'
import { startContest } from '../workload/contest.mjs'
import { AFT_SHAPE } from '../workload/plan.mjs'

const SYSTEMS = ['virga, Redis', 'Redis, no guarantee', 'Redis WATCH', 'PostgreSQL, serializable']
/** Enough to see that it works: the others are driven by the AFT shape. */
const QUICK_SYSTEMS = ['virga, Redis', 'Redis, no guarantee']
const IN_FLIGHT = 40

/** @typedef {import('../workload/plan.mjs').Shape} Shape */
/** @typedef {{ id: string, title: string, label: string, values: readonly number[], of: (value: number) => Shape }} AxisOf */

/** The axes of AFT's evaluation: what is turned, and the rest as in its shape. @type {readonly AxisOf[]} */
const AXES = [
  {
    id: 'skew',
    title: 'Skew',
    label: 'exponent of the Zipf distribution',
    values: [0.5, 1, 1.5, 2],
    of: (exponent) => ({ ...AFT_SHAPE, exponent }),
  },
  {
    id: 'read-share',
    title: 'Share of reads',
    label: '% of ten operations in two functions that read',
    values: [0, 50, 100],
    of: (percent) => ({ ...AFT_SHAPE, operations: 5, readShare: percent / 100 }),
  },
  {
    id: 'length',
    title: 'Length of a transaction',
    label: 'functions, each two reads and a write',
    values: [1, 2, 5, 10],
    of: (functions) => ({ ...AFT_SHAPE, functions }),
  },
]

/** What skew, the share of reads and the length of a transaction do to each system, at 40 concurrent. */
export async function skew(/** @type {import('../sections.mjs').Options} */ { quick, dice }) {
  const contest = await startContest(quick ? QUICK_SYSTEMS : SYSTEMS, AFT_SHAPE)
  const window = quick ? { leadMs: 30, ms: 70 } : { leadMs: 120, ms: 400 }
  const axes = quick ? AXES.map((axis) => ({ ...axis, values: axis.values.slice(0, 2) })) : AXES
  const points = axes.flatMap((axis) => axis.values.map((value) => ({ axis, value })))
  /** @type {Map<string, number[]>} */
  const rates = new Map()
  const nameOf = (/** @type {string} */ system, /** @type {AxisOf} */ axis, /** @type {number} */ value) =>
    `${system} ${axis.id} ${value}`
  for (let round = 0; round < (quick ? 1 : 2); round++) {
    for (const system of dice.shuffled(contest.names)) {
      await contest.inTurn(system, quick, async (ask) => {
        for (const { axis, value } of dice.shuffled(points)) {
          const task = { shape: axis.of(value), seed: dice.below(2 ** 31), inFlight: IN_FLIGHT, ...window }
          const { perSecond } = await ask({ kind: 'closed', ...task })
          const name = nameOf(system, axis, value)
          rates.set(name, [...(rates.get(name) ?? []), perSecond])
        }
      })
    }
  }
  const of = (/** @type {string} */ system, /** @type {AxisOf} */ axis, /** @type {number} */ value) =>
    median(rates.get(nameOf(system, axis, value)) ?? [])
  return {
    notes: contest.absent,
    tables: axes.map((axis) => ({
      title: `${axis.title} (${axis.label})`,
      unit: `transactions a second, ${IN_FLIGHT} concurrent`,
      columns: axis.values.map(String),
      lines: contest.names.map((name) => ({
        name,
        cells: axis.values.map((value) => of(name, axis, value)),
      })),
    })),
    charts: axes.map((axis) => ({
      kind: /** @type {const} */ ('lines'),
      id: axis.id,
      title: axis.title,
      subtitle: `transactions a second, ${IN_FLIGHT} concurrent, values of 4 KiB, 1,000 keys`,
      x: { label: axis.label, scale: /** @type {const} */ ('linear') },
      y: { label: 'transactions a second', scale: /** @type {const} */ ('log') },
      series: contest.names.map((name) => ({
        name,
        // A logarithmic axis has no place for none.
        points: axis.values.flatMap((value) => {
          const rate = of(name, axis, value)
          return rate > 0 ? [/** @type {const} */ ([value, rate])] : []
        }),
      })),
    })),
  }
}
