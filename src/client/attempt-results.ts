import type { Attempt } from '../core/ids.js'
import { VirgaError } from '../errors.js'

/**
 * Results of attempts whose fate is not known, in a transaction that only this client knows of: one of them may prove to
 * be the one that committed. (Where others may ask for the result, it is recorded with the decision.)
 */
export class AttemptResults<R> {
  readonly #known = new Map<Attempt, R>()
  /** Of attempts that died with their node before it could name them. */
  readonly #nameless: R[] = []

  keep(attempt: Attempt | undefined, result: R): void {
    if (attempt === undefined) this.#nameless.push(result)
    else this.#known.set(attempt, result)
  }

  /** The result of the attempt that committed. Throws `OutcomeUnknown` if it can't be told from others. */
  of(attempt: Attempt): R {
    if (this.#known.has(attempt)) return this.#known.get(attempt) as R
    if (this.#nameless.length === 1) return this.#nameless[0] as R
    throw new VirgaError(
      'OutcomeUnknown',
      `attempt ${attempt} committed, and its result can't be told from those of ${this.#nameless.length} others`,
    )
  }
}
