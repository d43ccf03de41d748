/** Clock and randomness by hand. */
import type { Clock } from '../../src/ports/clock.js'
import type { Random } from '../../src/ports/random.js'

export interface HandClock extends Clock {
  /** Moves time on, and runs what falls due, in order, with everything that follows from each before the next. */
  advance(ms: number): Promise<void>
}

export function handClock(startMs = 0): HandClock {
  let nowMs = startMs
  let timers: { readonly atMs: number; readonly run: () => void }[] = []
  return {
    now: () => nowMs,
    precise: () => nowMs,
    monotonic: () => nowMs,
    timer(delayMs, run) {
      const timer = { atMs: nowMs + delayMs, run }
      timers.push(timer)
      return {
        cancel() {
          timers = timers.filter((each) => each !== timer)
        },
      }
    },
    soon: (run) => queueMicrotask(() => process.nextTick(run)),
    defer: (run) => void setImmediate(run),
    async advance(ms) {
      // What was called just now may be about to set its timer.
      await new Promise((resolve) => setImmediate(resolve))
      const endMs = nowMs + ms
      for (;;) {
        const due = timers.filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0]
        if (due === undefined) break
        timers = timers.filter((each) => each !== due)
        nowMs = Math.max(nowMs, due.atMs)
        due.run()
        await new Promise((resolve) => setImmediate(resolve))
      }
      nowMs = endMs
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
}

/** The same numbers for the same seed (mulberry32). */
export function seededRandom(seed: number): Random {
  let state = seed | 0
  const fraction = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    fraction,
    bytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(fraction() * 256)),
  }
}
