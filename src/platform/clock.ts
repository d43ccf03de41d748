import type { Clock, Timer } from '../ports/clock.js'

/** `offsetMs` shifts the wall clock: for tests of what skewed clocks do. */
export function systemClock(options: { readonly offsetMs?: number } = {}): Clock {
  const offsetMs = options.offsetMs ?? 0
  return {
    now: () => Date.now() + offsetMs,
    monotonic: () => performance.now(),
    timer(delayMs: number, run: () => void): Timer {
      const timer = setTimeout(run, delayMs)
      timer.unref()
      return { cancel: () => clearTimeout(timer) }
    },
    defer(run: () => void): void {
      setImmediate(run)
    },
  }
}
