import type { Context } from '../../core/context.js'
import { type Hlc, hlcAt } from '../../core/hlc.js'
import { attemptHlc } from '../../core/ids.js'
import { checkKey } from '../../core/keys.js'
import { WriteSetBuilder } from '../../core/write-set.js'
import { VirgaError } from '../../errors.js'
import { limitExceeded } from '../../limits.js'
import type { NodeConfig } from '../config.js'

/**
 * Executors make contexts as nodes do. What is in one is held to what would be said of it in a request: so that nothing is
 * committed that this node would not have taken, no clock is stopped, and nothing is kept for ever.
 * Throws `ContextInvalid`, `LimitExceeded`, `InvalidArgument`.
 *
 * @param last of this node's clock
 */
export function checkContext(
  { txn, attempt, deadlineMs, cut, lineage }: Context,
  { limits, clockSkewMsMax, deadlineMsMax, inlineContextBytesMax }: NodeConfig,
  last: Hlc,
  nowMs: number,
): void {
  checkDeadline(deadlineMs, nowMs, { clockSkewMsMax, deadlineMsMax })
  // What is not above this node's clock moves nothing. What is may be so far ahead of the machine's and no further, however often it comes.
  const latest = Math.max(last, hlcAt(nowMs + clockSkewMsMax))
  if (attemptHlc(attempt) > latest) throw ahead(txn)
  // A cut names what it sees something of.
  for (const seq of cut.values()) if (seq === 0) throw refused(txn, 'its cut names an origin in vain')
  let inline = 0
  for (const { hlc, body } of lineage) {
    if (hlc > latest) throw ahead(txn)
    if (body.kind !== 'inline') continue
    for (const [key, value] of body.writes) {
      checkKey(key, limits)
      const bytes = value?.length ?? 0
      if (bytes > limits.valueBytesMax) throw limitExceeded('a value', bytes, limits.valueBytesMax, 'bytes')
    }
    inline += WriteSetBuilder.sizeOf(body.writes)
  }
  if (inline > inlineContextBytesMax)
    throw limitExceeded('what travels in a context', inline, inlineContextBytesMax, 'bytes')
}

/** Throws `InvalidArgument` for what no transaction can have that has begun by now. */
export function checkDeadline(
  deadlineMs: number,
  nowMs: number,
  { clockSkewMsMax, deadlineMsMax }: Pick<NodeConfig, 'clockSkewMsMax' | 'deadlineMsMax'>,
): void {
  if (deadlineMs <= nowMs + clockSkewMsMax + deadlineMsMax) return
  throw new VirgaError(
    'InvalidArgument',
    `a transaction has ${deadlineMsMax} ms at most; the deadline of this one is ${Math.ceil(deadlineMs - nowMs)} ms from now`,
  )
}

function ahead(txn: string): VirgaError {
  return refused(txn, 'it is of a time far ahead of this node')
}

function refused(txn: string, why: string): VirgaError {
  return new VirgaError('ContextInvalid', `a context of ${txn} was refused: ${why}`)
}
