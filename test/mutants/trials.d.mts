import type { Mutant } from './all.mjs'

export interface TrialResult {
  readonly name: string
  /** The checker that caught it; undefined: none did. */
  readonly rule: string | undefined
  readonly what: string | undefined
  /** The seed that caught it. */
  readonly seed: number | undefined
  /** Seeds that were run. */
  readonly seeds: number
  /** The first seed that broke down or did not end, and how: that catches nothing. */
  readonly trouble: string | undefined
  readonly seconds: number
}

export function tryAll(
  dist: string,
  mutants: readonly Pick<Mutant, 'name' | 'file'>[],
  options: {
    readonly first: number
    readonly seeds: number
    readonly jobs: number
    readonly signal?: AbortSignal
    readonly onResult?: (result: TrialResult) => void
  },
): Promise<readonly TrialResult[]>
