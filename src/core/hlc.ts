/**
 * Hybrid logical clock (Kulkarni et al., 2014): close to physical time, and above everything it has heard of.
 *
 * A timestamp is one integer: milliseconds since the Unix epoch times 1,024, fractions included. It stays below 2^53 until
 * the year 2248, so JavaScript compares it exactly and without allocation; on the wire it is an unsigned 64-bit integer.
 * Of several in one tick, each later one takes a tick that is not there yet: the clock then runs ahead of physical time
 * and waits for it.
 */
export type Hlc = number & { readonly brand: 'Hlc' }

export const HLC_ZERO = 0 as Hlc
const TICKS_PER_MS = 1024

/** The timestamp of a time in milliseconds since the Unix epoch, to about a microsecond. */
export function hlcAt(ms: number): Hlc {
  return Math.floor(ms * TICKS_PER_MS) as Hlc
}

/** The physical part, in milliseconds since the Unix epoch. */
export function hlcMs(hlc: Hlc): number {
  return Math.floor(hlc / TICKS_PER_MS)
}

export class HybridClock {
  #last: Hlc

  constructor(last: Hlc = HLC_ZERO) {
    this.#last = last
  }

  /** The highest timestamp given out or heard of. */
  get last(): Hlc {
    return this.#last
  }

  /** A new timestamp: above every earlier one, and not below `nowMs`. */
  tick(nowMs: number): Hlc {
    this.#last = Math.max(this.#last + 1, hlcAt(nowMs)) as Hlc
    return this.#last
  }

  /** Hears of a timestamp: every later `tick` is above it. */
  observe(heard: Hlc): void {
    if (heard > this.#last) this.#last = heard
  }
}
