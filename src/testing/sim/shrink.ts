import type { Violation } from '../checkers/history.js'
import { type RunOptions, type RunReport, runSeed } from './run.js'

/** Prefixes that are tried. Each costs a run. */
const RUNS_MAX = 12
/** Two prefixes that differ by less are taken for the same. */
const APART_MS_MIN = 50

/** The shortest prefix of a failing run that was found to fail as well. */
export interface Shortest {
  /** How long work and faults go on in it: what `chaosMsMax` is to be set to. */
  readonly chaosMs: number
  /** How long they went on in the run that failed first. */
  readonly ofMs: number
  readonly report: RunReport
  readonly runs: number
}

/**
 * Shortens a run that breaks a rule: work and faults end earlier and earlier, by halves, as long as one of the same rules
 * is broken. A run is the same up to where it is cut, so what is found is a prefix. Not the shortest there is: a longer
 * one may pass where a shorter one fails.
 */
export async function shortestFailing(
  failed: RunReport,
  options: RunOptions = {},
  run: typeof runSeed = runSeed,
): Promise<Shortest> {
  const rules = rulesOf(failed.violations)
  const ofMs = Math.min(failed.plan.chaosMs, options.chaosMsMax ?? Number.POSITIVE_INFINITY)
  let [passesMs, failsMs, report] = [0, ofMs, failed]
  let runs = 0
  while (runs < RUNS_MAX && failsMs - passesMs > APART_MS_MIN) {
    const chaosMs = Math.floor((passesMs + failsMs) / 2)
    const shorter = await run(failed.seed, { ...options, chaosMsMax: chaosMs })
    runs++
    if (shorter.violations.some(({ rule }) => rules.has(rule))) {
      failsMs = chaosMs
      report = shorter
    } else passesMs = chaosMs
  }
  return { chaosMs: failsMs, ofMs, report, runs }
}

function rulesOf(violations: readonly Violation[]): ReadonlySet<string> {
  return new Set(violations.map(({ rule }) => rule))
}

/** What is told of a run that broke a rule: by which seed, how, and how to see it again. */
export function describeFailure(
  { seed, plan, violations }: RunReport,
  flags: readonly string[] = [],
): string[] {
  return [
    `seed ${seed} (${plan.nodes} nodes): ${violations.length} violations`,
    ...describeViolations(violations),
    `  to replay: ${replayOf(seed, flags)}`,
  ]
}

/** What is told of the shortest failing prefix. */
export function describeShortest(
  { chaosMs, ofMs, report, runs }: Shortest,
  flags: readonly string[] = [],
): string[] {
  return [
    `  the shortest failing prefix of ${runs} that were tried: trouble for ${chaosMs} ms, of ${ofMs}; ${report.events} events`,
    ...describeViolations(report.violations),
    `  to replay that: ${replayOf(report.seed, [...flags, `--until ${chaosMs}`])}`,
  ]
}

const VIOLATIONS_SHOWN_MAX = 5

function describeViolations(violations: readonly Violation[]): string[] {
  return violations.slice(0, VIOLATIONS_SHOWN_MAX).map(({ rule, what }) => `  ${rule}: ${what}`)
}

function replayOf(seed: number, flags: readonly string[]): string {
  return ['npm run sim --', `--seed ${seed}`, ...flags].join(' ')
}
