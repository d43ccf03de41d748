export interface Mutant {
  readonly name: string
  /** What is wrong about it, in a sentence. */
  readonly what: string
  /** Under src. */
  readonly file: string
  /** What is replaced: stands exactly once in the file. */
  readonly find: string
  readonly put: string
}

export const MUTANTS: readonly Mutant[]
