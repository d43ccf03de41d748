import { createHash } from 'node:crypto'
import { makeTxnId, TXN_ID_ENTROPY_BYTES } from '../core/ids.js'
import { VirgaError } from '../errors.js'

/**
 * Derives a transaction id from the caller's idempotency key and the time of the request, so that a retry from anywhere
 * makes the same id. `at` must be the request's own time (milliseconds since the Unix epoch, or a Date), not the time of
 * the try: an id of another time is another transaction.
 */
export function transactionId(key: string, at: number | Date): string {
  if (typeof key !== 'string' || key === '')
    throw new VirgaError('InvalidArgument', 'an idempotency key is a string that is not empty')
  const timeMs = at instanceof Date ? at.getTime() : at
  const digest = createHash('sha256').update(`virga:${timeMs}:${key}`).digest()
  return makeTxnId(timeMs, digest.subarray(0, TXN_ID_ENTROPY_BYTES))
}
