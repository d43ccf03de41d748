import type { Clock } from '../ports/clock.js'
import type { Random } from '../ports/random.js'
import { interrupted } from './pending.js'

/** How long to wait before try number `round` (from 0): doubling, bounded, and spread so that rivals don't meet again. */
export function backoffMs(round: number, firstMs: number, maxMs: number, random: Random): number {
  const ceiling = Math.min(maxMs, firstMs * 2 ** Math.min(round, 30))
  return ceiling * (0.5 + random.fraction() / 2)
}

export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = clock.timer(ms, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    const onAbort = (): void => {
      timer.cancel()
      reject(interrupted(signal!))
    }
    if (signal?.aborted) onAbort()
    else signal?.addEventListener('abort', onAbort, { once: true })
  })
}
