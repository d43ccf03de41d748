import { expect } from 'vitest'
import { type RunReport, runSeed } from '../../src/testing/sim/run.js'
import { describeFailure, describeShortest, shortestFailing } from '../../src/testing/sim/shrink.js'

/** Runs a seed. If it breaks a rule, fails with what is needed to see that again, and with the shortest failing prefix. */
export async function runClean(seed: number): Promise<RunReport> {
  const report = await runSeed(seed)
  if (report.violations.length > 0) {
    const shortest = await shortestFailing(report)
    expect.fail([...describeFailure(report), ...describeShortest(shortest)].join('\n'))
  }
  return report
}
