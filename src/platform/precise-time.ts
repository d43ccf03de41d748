/** The clocks of a machine. All in milliseconds. */
export interface Times {
  /** Whole milliseconds since the Unix epoch. May jump, also backwards. */
  wall(): number
  /** With fractions. Never goes back. */
  elapsed(): number
  /** With fractions, since the Unix epoch: the wall clock when `elapsed` was 0. */
  readonly startMs: number
}

/** Before the end of a millisecond: a tick of the hybrid clock. */
const LAST_OF_A_MS = 1023 / 1024
/** Between two looks at one clock somebody else had the processor: not as often as this. */
const LOOKS_MAX = 8

/**
 * The wall clock with fractions of a millisecond, which JavaScript does not tell. It stays within the millisecond of the wall
 * clock: where that one is set anew it follows, and is off by less than one, and by less at each edge that it runs into.
 */
export function preciseTime({ wall, elapsed, startMs }: Times): () => number {
  let offsetMs = startMs
  return () => {
    let elapsedMs = elapsed()
    let ms = wall()
    if (isWithin(offsetMs + elapsedMs, ms)) return offsetMs + elapsedMs
    for (let looks = 0; looks < LOOKS_MAX; looks++) {
      elapsedMs = elapsed()
      const then = wall()
      if (then === ms) break
      ms = then
    }
    const fine = offsetMs + elapsedMs
    if (isWithin(fine, ms)) return fine
    const within = fine < ms ? ms : ms + LAST_OF_A_MS
    offsetMs = within - elapsedMs
    return within
  }
}

function isWithin(fine: number, ms: number): boolean {
  return fine >= ms && fine < ms + 1
}
