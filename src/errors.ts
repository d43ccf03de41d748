/**
 * The one error type of virga. Callers match `code`, never the message.
 *
 * Every code has two fixed properties and one that depends on what happened:
 * - `retryable`: a new attempt under the same transaction id may succeed.
 * - `outcome`: `definite` means that the operation surely had no effect; `indefinite` means that it may have had.
 *   When in doubt, indefinite is always safe.
 */

/** Each code, and whether it is retryable. The codes travel as text: they are never renamed. */
const CODES = [
  // Bugs of the caller, or of the bytes that it sent.
  ['Internal', false],
  ['InvalidArgument', false],
  ['LimitExceeded', false],
  ['Unsupported', false],
  ['Malformed', false],
  ['UnsupportedVersion', false],
  ['Unauthorized', false],
  // The life of a transaction.
  ['TransactionUnknown', true],
  ['TransactionClosed', false],
  ['TransactionAborted', false],
  ['TransactionExpired', false],
  ['AlreadyCommitted', false],
  ['DeadlineExceeded', true],
  ['AttemptFenced', true],
  ['Conflict', true],
  ['OutcomeUnknown', true],
  // Contexts and snapshots.
  ['ContextInvalid', false],
  ['ContextMismatch', false],
  ['BranchConflict', false],
  ['WriteSetLost', true],
  ['SnapshotUnavailable', true],
  ['SnapshotTooOld', true],
  // The world.
  ['Busy', true],
  ['Timeout', true],
  ['NodeUnavailable', true],
  ['SessionLost', true],
  ['ShuttingDown', true],
  ['StorageUnavailable', true],
  ['StorageCorrupt', false],
  ['Interrupted', false],
  ['Closed', false],
] as const satisfies readonly (readonly [string, boolean])[]

/** What went wrong, as a word that stays the same in every version. */
export type ErrorCode = (typeof CODES)[number][0]

/** Whether an operation that failed surely had no effect, or may have had one. */
export type Outcome = 'definite' | 'indefinite'

/** Every code. */
export const ERROR_CODES: readonly ErrorCode[] = CODES.map(([code]) => code)

const RETRYABLE: ReadonlyMap<string, boolean> = new Map(CODES)

/** Whether a new attempt under the same id may succeed where this code was met. */
export function isRetryable(code: ErrorCode): boolean {
  return RETRYABLE.get(code) === true
}

export interface VirgaErrorOptions {
  readonly outcome?: Outcome
  readonly cause?: unknown
}

const MARK: unique symbol = Symbol.for('virga.error')

/** Every failure of virga's. Told by `VirgaError.is`, also where two copies of this package are loaded. */
export class VirgaError extends Error {
  override readonly name = 'VirgaError'
  readonly code: ErrorCode
  /** A new attempt (same transaction id, where there is one) may succeed. */
  readonly retryable: boolean
  /** `definite`: the operation surely had no effect. `indefinite`: it may have had. */
  readonly outcome: Outcome
  /** True on every VirgaError, also on one of another copy of this package. */
  readonly [MARK] = true

  constructor(code: ErrorCode, message: string, options: VirgaErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.retryable = isRetryable(code)
    this.outcome = options.outcome ?? (code === 'OutcomeUnknown' ? 'indefinite' : 'definite')
  }

  /** Like `instanceof`, and also true for errors of another copy of this package. */
  static is(error: unknown): error is VirgaError {
    return typeof error === 'object' && error !== null && (error as Record<symbol, unknown>)[MARK] === true
  }
}
