import { randomFillSync } from 'node:crypto'
import type { Random } from '../ports/random.js'

/** One call into the system's generator per pool: a call per id costs more than the rest of the id. */
const POOL_BYTES = 8_192

export function systemRandom(): Random {
  const pool = new Uint8Array(POOL_BYTES)
  let used = POOL_BYTES
  return {
    bytes(count: number): Uint8Array {
      if (count > POOL_BYTES) return randomFillSync(new Uint8Array(count))
      if (used + count > POOL_BYTES) {
        randomFillSync(pool)
        used = 0
      }
      const out = pool.slice(used, used + count)
      pool.fill(0, used, used + count)
      used += count
      return out
    },
    fraction: () => Math.random(),
  }
}
