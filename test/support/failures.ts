import { inspect } from 'node:util'
import { expect } from 'vitest'
import { type ErrorCode, VirgaError } from '../../src/errors.js'

/** The VirgaError that a promise rejects with. Fails if it fulfils, or rejects with anything else. */
export async function failure(promise: Promise<unknown>): Promise<VirgaError> {
  const [settled] = await Promise.allSettled([promise])
  if (settled.status === 'fulfilled') {
    throw new Error(
      `expected a failure, got ${inspect(settled.value, { breakLength: Infinity }).slice(0, 200)}`,
    )
  }
  if (!VirgaError.is(settled.reason)) throw new Error('expected a VirgaError', { cause: settled.reason })
  return settled.reason
}

export async function expectCode(
  promise: Promise<unknown>,
  ...codes: readonly ErrorCode[]
): Promise<VirgaError> {
  const error = await failure(promise)
  expect(codes, error.message).toContain(error.code)
  return error
}
