import { VirgaError } from '../../src/errors.js'

/** The VirgaError that a promise rejects with; fails if it doesn't. */
export async function thrown(promise: Promise<unknown>): Promise<VirgaError> {
  let value: unknown
  try {
    value = await promise
  } catch (error) {
    if (VirgaError.is(error)) return error
    throw new Error(`a VirgaError was due, not ${String(error)}`, { cause: error })
  }
  throw new Error(`it should have failed, and came to ${JSON.stringify(value)}`)
}
