import type { Attempt, TxnId } from '../core/ids.js'
import { VirgaError } from '../errors.js'
import type { ReplyOf } from '../wire/messages.js'
import { backoffMs, pause } from './backoff.js'
import type { ClientOptions } from './options.js'
import type { Session } from './session.js'
import type { ClientWorld } from './world.js'

/**
 * The answer to a commit was lost: with the node, on the way, or by a time-out. Asks the node to make sure: its attempt is
 * fenced, or has committed. Returns the decision, or throws `lost` as something that surely did not happen. If nobody can
 * tell within the time-out: `OutcomeUnknown`.
 */
export async function findOutcome(
  session: Session,
  world: ClientWorld,
  options: Required<ClientOptions>,
  txn: TxnId,
  attempt: Attempt | undefined,
  lost: VirgaError,
  signal: AbortSignal | undefined,
): Promise<ReplyOf<'committed'>> {
  const until = world.clock.monotonic() + options.resolveTimeoutMs
  let trouble: unknown = lost
  for (let round = 0; world.clock.monotonic() < until; round++) {
    try {
      await session.up(signal)
      const reply = await session.request({ type: 'resolve', id: txn, attempt: attempt ?? null }, { signal })
      if (reply.type === 'committed') return reply
      throw new NotCommitted(lost.code, `${lost.message}; the attempt did not commit`, { cause: lost })
    } catch (error) {
      if (error instanceof NotCommitted || !VirgaError.is(error)) throw error
      // It will not be found out here. That the question failed for sure says nothing of the commit.
      if (!error.retryable)
        throw new VirgaError(error.code, error.message, { outcome: 'indefinite', cause: error })
      trouble = error
    }
    await pause(
      world.clock,
      backoffMs(round, options.retryDelayMs, options.retryDelayMsMax, world.random),
      signal,
    )
  }
  throw new VirgaError('OutcomeUnknown', `nobody could tell whether ${txn} committed`, { cause: trouble })
}

/** It surely did not happen, and never will. */
export class NotCommitted extends VirgaError {}

/** Errors that tell nothing of what the node did: the commit may have gone through. What was never sent is definite. */
export function losesSight(error: unknown): error is VirgaError {
  if (!VirgaError.is(error) || error.outcome === 'definite') return false
  return error.code === 'SessionLost' || error.code === 'Timeout'
}
