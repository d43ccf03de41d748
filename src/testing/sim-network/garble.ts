import type { Random } from '../../ports/random.js'

const NOISE_BYTES_MAX = 64
/** No MessagePack begins with this. */
const NEVER = 0xc1
/** Where the version stands: behind the head of the array, which is longer for more messages. */
const ARRAY_16 = 0xdc
const ARRAY_32 = 0xdd

/** A frame that nobody can read: cut short, of another version, or noise. */
export function garble(frame: Uint8Array, random: Random): Uint8Array {
  const how = Math.floor(random.fraction() * 3)
  if (how === 0) return frame.slice(0, Math.floor(random.fraction() * frame.length))
  if (how === 1) {
    const other = frame.slice()
    const at = other[0] === ARRAY_16 ? 3 : other[0] === ARRAY_32 ? 5 : 1
    other[at] = (other[at]! + 1) & 0x7f
    return other
  }
  const noise = random.bytes(1 + Math.floor(random.fraction() * NOISE_BYTES_MAX))
  noise[0] = NEVER
  return noise
}
