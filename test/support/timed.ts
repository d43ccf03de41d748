const TICK_MS = 10

/**
 * How a promise settled, and after how long: milliseconds, less those in which this process was kept from running. What it computed itself
 * counts, also where that let nobody else have a turn.
 */
export async function timed<T>(
  run: () => Promise<T>,
): Promise<{ readonly settled: PromiseSettledResult<T>; readonly ms: number }> {
  const start = performance.now()
  let last = start
  let cpuMs = cpuNow()
  let stoodMs = 0
  const tick = (): void => {
    const now = performance.now()
    const usedMs = cpuNow() - cpuMs
    stoodMs += Math.max(0, now - last - Math.max(2 * TICK_MS, usedMs))
    last = now
    cpuMs += usedMs
  }
  const ticks = setInterval(tick, TICK_MS)
  const [settled] = await Promise.allSettled([run()])
  clearInterval(ticks)
  tick()
  return { settled: settled!, ms: last - start - stoodMs }
}

function cpuNow(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}
