import type { Clock } from '../../ports/clock.js'

/** Wall clocks of one machine over a run: how far from the world's, since when. They jump. */
export class WallClock {
  readonly #clock: Clock
  readonly #offsets: { readonly sinceMs: number; readonly ms: number }[]

  constructor(clock: Clock, offsetMs: number) {
    this.#clock = clock
    this.#offsets = [{ sinceMs: clock.monotonic(), ms: offsetMs }]
  }

  get offsetMs(): number {
    return this.#offsets.at(-1)!.ms
  }

  set offsetMs(ms: number) {
    this.#offsets.push({ sinceMs: this.#clock.monotonic(), ms })
  }

  /** How far ahead of the world's it was at most since a moment; negative: how little behind. */
  aheadMsMax(sinceMs: number): number {
    return Math.max(...this.#since(sinceMs))
  }

  aheadMsMin(sinceMs: number): number {
    return Math.min(...this.#since(sinceMs))
  }

  #since(sinceMs: number): number[] {
    return this.#offsets
      .filter((_, i) => (this.#offsets[i + 1]?.sinceMs ?? Number.POSITIVE_INFINITY) >= sinceMs)
      .map(({ ms }) => ms)
  }
}
