/** A timer that has been set. Cancelling one that has fired does nothing. */
export interface Timer {
  cancel(): void
}

/** Where time comes from. Nothing outside `cli`, the real adapters and `testing` reads a clock of its own. */
export interface Clock {
  /** Wall-clock time in milliseconds since the Unix epoch, whole ones on a real machine. May jump, also backwards. */
  now(): number
  /** The same with fractions of a millisecond, for the order of what processes of a machine do. Takes twice as long. */
  precise(): number
  /** Milliseconds from an arbitrary origin, the same for all processes of a machine. Never goes back. */
  monotonic(): number
  /** Calls `run` once, after `delayMs` at the earliest. A timer does not keep the process alive, unless it is told to. */
  timer(delayMs: number, run: () => void, options?: { readonly keepsAlive: boolean }): Timer
  /** Calls `run` once what follows from this event without waiting for another has been seen to. */
  soon(run: () => void): void
  /** Calls `run` once the events that are already waiting have been seen to. */
  defer(run: () => void): void
}
