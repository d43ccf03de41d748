import { expect } from 'vitest'
import { type RunReport, runSeed } from '../../src/testing/sim/run.js'
import { describeFailure, describeShortest, shortestFailing } from '../../src/testing/sim/shrink.js'
import type { Took } from '../../src/testing/sim/totals.js'

const startedAtMs = performance.now()
const cpuAtStart = process.cpuUsage()

/** Real time, and that of one core, since this was loaded. */
export function took(): Took {
  const { user, system } = process.cpuUsage(cpuAtStart)
  return { seconds: (performance.now() - startedAtMs) / 1_000, cpuSeconds: (user + system) / 1e6 }
}

/** Runs a seed. If it breaks a rule, fails with what is needed to see that again, and with the shortest failing prefix. */
export async function runClean(seed: number): Promise<RunReport> {
  const report = await runSeed(seed)
  if (report.violations.length > 0) {
    const shortest = await shortestFailing(report)
    expect.fail([...describeFailure(report), ...describeShortest(shortest)].join('\n'))
  }
  return report
}
