/** What LMDB and lmdb-js throw, as errors of virga. */
import { type Outcome, VirgaError } from '../errors.js'

/** Met before anything of the transaction is on disk: surely no effect. */
const WITHOUT_EFFECT: ReadonlyMap<number, string> = new Map([
  [-30792, 'the map is full'],
  [-30788, 'the transaction is too large'],
  [-30790, 'all reader slots are taken'],
])

const CORRUPT: ReadonlyMap<number, string> = new Map([
  [-30797, 'a page is missing'],
  [-30796, 'a page is damaged'],
  [-30794, 'the file is of another version of LMDB'],
  [-30793, 'the file is not of LMDB'],
])

/** What a failed commit says is only told by a promise beside its error. */
interface CommitError {
  readonly commitError?: Promise<never>
}

/** @param outcome where the error itself doesn't tell */
export async function translated(error: unknown, doing: string, outcome: Outcome): Promise<VirgaError> {
  const { commitError } = (error ?? {}) as CommitError
  if (commitError === undefined) return classified(error, doing, outcome)
  try {
    return await commitError
  } catch (cause) {
    return classified(cause, doing, outcome)
  }
}

export function classified(error: unknown, doing: string, outcome: Outcome): VirgaError {
  if (VirgaError.is(error)) return error
  const { code, message } = (error ?? {}) as { readonly code?: unknown; readonly message?: unknown }
  if (typeof code === 'number') {
    const definite = WITHOUT_EFFECT.get(code)
    if (definite !== undefined) {
      return new VirgaError('StorageUnavailable', `${doing}: ${definite}`, { cause: error })
    }
    const corrupt = CORRUPT.get(code)
    if (corrupt !== undefined)
      return new VirgaError('StorageCorrupt', `${doing}: ${corrupt}`, { outcome, cause: error })
  }
  return new VirgaError('StorageUnavailable', `${doing}: ${message ?? error}`, { outcome, cause: error })
}
