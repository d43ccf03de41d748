import type { Clock, Timer } from '../ports/clock.js'
import { preciseTime } from './precise-time.js'

/** A longer one counts as none, as Node.js has it. */
const DELAY_MS_MAX = 2 ** 31 - 1

/** `offsetMs` shifts the wall clock: for tests of what skewed clocks do. */
export function systemClock(options: { readonly offsetMs?: number } = {}): Clock {
  const offsetMs = options.offsetMs ?? 0
  // That one counts from the start of the process, and is quicker to read.
  const originMs = Number(process.hrtime.bigint()) / 1e6 - performance.now()
  return {
    now: () => Date.now() + offsetMs,
    precise: preciseTime({
      wall: () => Date.now() + offsetMs,
      elapsed: () => performance.now(),
      startMs: performance.timeOrigin + offsetMs,
    }),
    monotonic: () => originMs + performance.now(),
    timer(delayMs: number, run: () => void, options?: { readonly keepsAlive: boolean }): Timer {
      const timer = setTimeout(run, Math.min(delayMs, DELAY_MS_MAX))
      if (options?.keepsAlive !== true) timer.unref()
      return { cancel: () => clearTimeout(timer) }
    },
    soon(run: () => void): void {
      // Where an event begins, what is next comes before what promises bring about.
      queueMicrotask(() => process.nextTick(run))
    },
    defer(run: () => void): void {
      setImmediate(run)
    },
  }
}
