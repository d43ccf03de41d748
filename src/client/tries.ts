import { type ErrorCode, VirgaError } from '../errors.js'
import type { Random } from '../ports/random.js'
import { backoffMs } from './backoff.js'
import type { ClientOptions } from './options.js'

/** A rival won: it has committed, or will in a moment. Trying again soon, and often, is right. */
const CONTENDED: ReadonlySet<ErrorCode> = new Set(['Conflict', 'AttemptFenced'])

type Limits = Required<
  Pick<
    ClientOptions,
    'attemptsMax' | 'retryDelayMs' | 'retryDelayMsMax' | 'contendedAttemptsMax' | 'contendedDelayMsMax'
  >
>

/**
 * How often a transaction was tried, and whether it may be tried again. Attempts that lost against a rival are counted apart
 * from those that met trouble: of forty writers of one key, one wins at a time, and that is no reason to give up.
 */
export class Tries {
  readonly #limits: Limits
  #troubled = 0
  #contended = 0

  constructor(limits: Limits) {
    this.#limits = limits
  }

  /** Attempts that failed. */
  get count(): number {
    return this.#troubled + this.#contended
  }

  /** Counts a failed attempt. Returns whether there may be another. */
  mayTryAfter({ code }: VirgaError): boolean {
    if (CONTENDED.has(code)) return ++this.#contended < this.#limits.contendedAttemptsMax
    return ++this.#troubled < this.#limits.attemptsMax
  }

  /** How long to wait before the next attempt. */
  waitMs({ code }: VirgaError, random: Random): number {
    const { retryDelayMs, retryDelayMsMax, contendedDelayMsMax } = this.#limits
    if (CONTENDED.has(code)) return backoffMs(this.#contended - 1, retryDelayMs, contendedDelayMsMax, random)
    return backoffMs(this.#troubled - 1, retryDelayMs, retryDelayMsMax, random)
  }
}

/** The last attempt surely had no effect, and yet an earlier one, of which nobody could tell, may have had one. */
export function lastWord(error: VirgaError, unsure: boolean): VirgaError {
  // A cancelled transaction is one of which no attempt has committed or ever will.
  if (!unsure || error.outcome === 'indefinite' || error.code === 'TransactionAborted') return error
  return new VirgaError(error.code, `${error.message}; an earlier attempt may have committed`, {
    outcome: 'indefinite',
    cause: error,
  })
}
