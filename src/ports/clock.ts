/** A timer that has been set. Cancelling one that has fired does nothing. */
export interface Timer {
  cancel(): void
}

/** Where time comes from. Nothing outside `cli`, the real adapters and `testing` reads a clock of its own. */
export interface Clock {
  /** Wall-clock time in milliseconds since the Unix epoch. May jump, also backwards. */
  now(): number
  /** Milliseconds from an arbitrary origin, the same for all processes of a machine. Never goes back. */
  monotonic(): number
  /** Calls `run` once, after `delayMs` at the earliest. A timer does not keep the process alive. */
  timer(delayMs: number, run: () => void): Timer
  /** Calls `run` once the events that are already waiting have been seen to. */
  defer(run: () => void): void
}
