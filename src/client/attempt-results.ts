import type { Attempt } from '../core/ids.js'
import { VirgaError } from '../errors.js'

/**
 * Results of attempts whose fate is not known, in a transaction that only this client knows of: one of them may prove to
 * be the one that committed. (Where others may ask for the result, it is recorded with the decision.)
 */
export class AttemptResults<R> {
  readonly #known = new Map<Attempt, R>()

  /** Throws `fate` if the attempt can't be told from others later: going on could end in a guess. */
  keep(attempt: Attempt | undefined, result: R, fate: VirgaError): void {
    if (attempt === undefined) throw new VirgaError('OutcomeUnknown', fate.message, { cause: fate })
    this.#known.set(attempt, result)
  }

  /** The result of the attempt that committed. */
  of(attempt: Attempt): R {
    if (!this.#known.has(attempt))
      throw new VirgaError('Internal', `attempt ${attempt} committed, and is not of this call`)
    return this.#known.get(attempt) as R
  }
}
