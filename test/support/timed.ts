const TICK_MS = 10

/** How a promise settled, and after how long: milliseconds, less those in which this process was kept from running. */
export async function timed<T>(
  run: () => Promise<T>,
): Promise<{ readonly settled: PromiseSettledResult<T>; readonly ms: number }> {
  const start = performance.now()
  let last = start
  let stoodMs = 0
  const tick = (): void => {
    const now = performance.now()
    stoodMs += Math.max(0, now - last - 2 * TICK_MS)
    last = now
  }
  const ticks = setInterval(tick, TICK_MS)
  const [settled] = await Promise.allSettled([run()])
  clearInterval(ticks)
  tick()
  return { settled: settled!, ms: last - start - stoodMs }
}
