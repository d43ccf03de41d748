import { VirgaError } from '../errors.js'
import { type Limits, limitExceeded } from '../limits.js'
import { utf8Length } from './bytes.js'

/** Bytes that a key may take before its length has to be counted: no UTF-16 unit takes more than 3. */
const BYTES_PER_UNIT_MAX = 3

/** Throws unless `key` is a well-formed string of 1 to `keyBytesMax` bytes of UTF-8. */
export function checkKey(key: unknown, limits: Limits): asserts key is string {
  if (typeof key !== 'string') {
    throw new VirgaError('InvalidArgument', `a key is a string, got ${key === null ? 'null' : typeof key}`)
  }
  if (key.length === 0)
    throw new VirgaError('InvalidArgument', 'a key has at least one byte, got an empty string')
  if (!key.isWellFormed()) {
    throw new VirgaError(
      'InvalidArgument',
      `a key is well-formed Unicode, got a lone surrogate in ${JSON.stringify(key)}`,
    )
  }
  if (key.length * BYTES_PER_UNIT_MAX <= limits.keyBytesMax) return
  const bytes = utf8Length(key)
  if (bytes > limits.keyBytesMax) throw limitExceeded('a key', bytes, limits.keyBytesMax, 'bytes')
}
