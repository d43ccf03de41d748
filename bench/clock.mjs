// @ts-check

/** Milliseconds on the machine's monotonic clock: stamps of several processes can be compared. */
export function monotonicMs() {
  return Number(process.hrtime.bigint()) / 1e6
}

/** @param {number} ms */
export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
