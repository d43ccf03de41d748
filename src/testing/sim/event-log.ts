import { createHash } from 'node:crypto'
import type { SimClock } from '../sim-clock.js'

/**
 * All that happens in a run, in order. Events are numbered, and their text goes into a hash: two runs of one seed have the
 * same, or something in them does not come from the seed.
 */
export class EventLog {
  readonly #clock: SimClock
  readonly #hash = createHash('sha256')
  readonly #lines: string[] | undefined
  readonly #timesMs: number[] = [0]
  #count = 0

  /** @param keep whether the text is kept as well */
  constructor(clock: SimClock, keep: boolean) {
    this.#clock = clock
    this.#lines = keep ? [] : undefined
  }

  /** The number of the last event. */
  get count(): number {
    return this.#count
  }

  get lines(): readonly string[] {
    return this.#lines ?? []
  }

  /** Returns the event's number: of two events the later has the higher. */
  add(text: string): number {
    const line = `${this.#clock.monotonic().toFixed(3)} ${text}`
    this.#hash.update(line)
    this.#hash.update('\n')
    this.#lines?.push(line)
    this.#timesMs.push(this.#clock.monotonic())
    return ++this.#count
  }

  /** When that event happened, by the world's monotonic clock. */
  msOf(event: number): number {
    return this.#timesMs[event]!
  }

  digest(): string {
    return this.#hash.copy().digest('hex').slice(0, 16)
  }
}
