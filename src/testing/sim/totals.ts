import { PLOT_NAMES } from './plots/all.js'
import type { RunReport } from './run.js'

const HOUR_MS = 3_600_000
const FAILING_SHOWN_MAX = 20

/** Real time, and that of one core. */
export interface Took {
  readonly seconds: number
  readonly cpuSeconds: number
}

type Counts = Readonly<Record<string, number>>

/** What many runs came to, in sum. */
export class Totals {
  seeds = 0
  simulatedMs = 0
  transactions = 0
  decided = 0
  /** Seeds that broke a rule. */
  readonly failing: number[] = []
  readonly #sums = new Map<string, Map<string, number>>()

  add(report: RunReport): void {
    this.seeds++
    this.simulatedMs += report.simulatedMs
    this.transactions += report.transactions.transactions
    this.decided += report.decided
    if (report.violations.length > 0) this.failing.push(report.seed)
    const { plan, transactions, codes, counters, deaths, marks } = report
    const plots = Object.fromEntries(PLOT_NAMES.map((name) => [name, name === plan.plot ? 1 : 0]))
    for (const [group, counts] of Object.entries({
      faults: faultsOf(report),
      deaths,
      plots,
      transactions,
      codes,
      counters,
      marks,
    }))
      this.#add(group, counts)
  }

  /** In sum over all runs: faults by kind, what callers were told, how often each mark was reached. */
  counts(
    group: 'faults' | 'plots' | 'transactions' | 'codes' | 'counters' | 'marks',
  ): ReadonlyMap<string, number> {
    return this.#sums.get(group) ?? new Map()
  }

  /** What is printed as a long run goes on. */
  lines(took: Took): string[] {
    const groups = [...this.#sums].map(
      ([group, counts]) => `  ${group}: ${[...counts].map(([kind, count]) => `${kind} ${count}`).join(', ')}`,
    )
    return [this.#first(took), ...groups]
  }

  #first({ seconds, cpuSeconds }: Took): string {
    const failing = this.failing.length === 0 ? '' : `: ${this.failing.slice(0, FAILING_SHOWN_MAX).join(' ')}`
    return [
      `${this.seeds} seeds in ${seconds.toFixed(1)} s: ${(this.simulatedMs / HOUR_MS).toFixed(2)} simulated hours`,
      `${this.transactions} transactions (${(this.transactions / seconds).toFixed(0)} a second, ${(this.transactions / cpuSeconds).toFixed(0)} a second of one core)`,
      `${this.decided} decided`,
      `${this.failing.length} seeds failed${failing}`,
    ].join(', ')
  }

  #add(group: string, counts: Counts): void {
    const sums = this.#sums.get(group) ?? new Map<string, number>()
    this.#sums.set(group, sums)
    for (const [name, count] of Object.entries(counts)) sums.set(name, (sums.get(name) ?? 0) + count)
  }
}

/** Everything that went wrong in a run, by kind. */
function faultsOf({ mishaps, storageFaults, traffic, nodes, mischief }: RunReport): Counts {
  const { lost, duplicated, reordered, garbled, parted, overflowed } = traffic
  const storage = Object.entries(storageFaults).map(([kind, count]) => [`storage ${kind}`, count] as const)
  return {
    ...mishaps,
    ...Object.fromEntries(storage),
    'node dies at a storage operation': nodes.deathsAtStorage,
    'node dies at a message': nodes.deathsAtMessages,
    'start fails': nodes.startsFailed,
    'message lost': lost,
    'message duplicated': duplicated,
    'message reordered': reordered,
    'message garbled': garbled,
    'message parted': parted,
    'queue overflowed': overflowed,
    ...mischief,
  }
}
