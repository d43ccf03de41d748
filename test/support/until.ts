import { setTimeout as sleep } from 'node:timers/promises'

/** Looks again and again until `look` gives something that is not undefined or false; fails, naming `what`, after a while. */
export async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = 10_000,
): Promise<T> {
  const end = performance.now() + timeoutMs
  for (;;) {
    const seen = await look()
    if (seen !== undefined && seen !== false) return seen
    if (performance.now() >= end) throw new Error(`${what}: not within ${timeoutMs} ms`)
    await sleep(10)
  }
}

/**
 * Lets a load go on for `minMs`, and for as long as it takes until there was enough of it: a slow machine takes more time, and
 * tests as much. Fails after a minute.
 */
export async function untilEnough(minMs: number, isEnough: () => boolean): Promise<void> {
  await sleep(minMs)
  await until('enough of it', isEnough, 60_000)
}
