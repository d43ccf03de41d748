import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { inject, type TestContext } from 'vitest'
import type { Totals } from '../../src/testing/sim/totals.js'
import { writeWhole } from '../support/whole-file.js'

const HALVES = ['fixed-seeds', 'fixed-seeds-too'] as const
const GROUPS = ['marks', 'plots', 'faults'] as const

type Half = (typeof HALVES)[number]
type Counts = Readonly<Record<string, number>>
type Summary = Readonly<Record<(typeof GROUPS)[number], Counts>>

/**
 * What no seed of both halves has reached: marks, plots, kinds of faults. The halves run side by side, each in a process of
 * its own: each leaves what it came to, and the later of them to end judges both. The earlier one gets an empty list.
 */
export function unreached(half: Half, totals: Totals, seeds: number, context: TestContext): string[] {
  if (totals.seeds < seeds) context.skip('some of the seeds alone were run: they need not reach everything')
  const folder = inject('simTotals')
  const own = Object.fromEntries(GROUPS.map((group) => [group, Object.fromEntries(totals.counts(group))]))
  writeWhole(join(folder, half), JSON.stringify(own))
  const paths = HALVES.map((name) => join(folder, name))
  if (!paths.every((path) => existsSync(path))) return []
  const all = paths.map((path) => JSON.parse(readFileSync(path, 'utf8')) as Summary)
  return GROUPS.flatMap((group) => {
    const names = new Set(all.flatMap((summary) => Object.keys(summary[group])))
    return [...names].filter((name) => all.every((summary) => (summary[group][name] ?? 0) === 0))
  })
}
