// @ts-check
import { createHistogram } from 'node:perf_hooks'

/** Times of one thing. */
export function timings() {
  const histogram = createHistogram()
  return {
    /** @param {bigint} startedAt @param {number} [times] done since then, of which the mean is recorded */
    since: (startedAt, times = 1) =>
      histogram.record(Math.max(1, Math.round(Number(process.hrtime.bigint() - startedAt) / times))),
    /** @param {number} ms */
    add: (ms) => histogram.record(Math.max(1, Math.round(ms * 1e6))),
    p50: () => histogram.percentile(50) / 1_000,
    p99: () => histogram.percentile(99) / 1_000,
    count: () => histogram.count,
  }
}

/**
 * Only `run` is timed. One that is too short for a clock does its thing `times` over: then percentiles are of the mean of so
 * many.
 *
 * @typedef {object} Staged
 * @property {() => any} [before]
 * @property {(prepared: any) => any} run
 * @property {(result: any) => any} [after]
 * @property {number} [times]
 */

/**
 * Runs several things in turn, a few operations of each at a time, in random order: whatever the machine does meanwhile,
 * it does to all of them. Returns the p50 and p99 of each in microseconds.
 *
 * @param {Record<string, (() => Promise<unknown>) | Staged>} things
 * @param {{ rounds: number, each: number, warmup?: number, dice: import('./dice.mjs').Dice }} options
 */
export async function sideBySide(things, { rounds, each, warmup = 200, dice }) {
  const names = Object.keys(things)
  const all = Object.fromEntries(names.map((name) => [name, timings()]))
  for (const name of names) for (let i = 0; i < warmup; i++) await once(things[name])
  for (let round = 0; round < rounds; round++) {
    for (const name of dice.shuffled(names))
      for (let i = 0; i < each; i++) await once(things[name], all[name])
  }
  return Object.fromEntries(
    names.map((name) => [name, { p50Us: all[name]?.p50() ?? 0, p99Us: all[name]?.p99() ?? 0 }]),
  )
}

/** @param {(() => Promise<unknown>) | Staged | undefined} thing @param {ReturnType<typeof timings>} [into] */
async function once(thing, into) {
  if (thing === undefined) return
  const { before, run, after, times = 1 } = typeof thing === 'function' ? { run: thing } : thing
  const prepared = before === undefined ? undefined : await before()
  const startedAt = process.hrtime.bigint()
  const result = await run(prepared)
  into?.since(startedAt, times)
  if (after !== undefined) await after(result)
}

/**
 * Keeps `inFlight` operations going until `total` are done. Returns operations a second.
 *
 * @param {number} inFlight
 * @param {number} total
 * @param {(i: number) => Promise<unknown>} run
 */
export async function throughput(inFlight, total, run) {
  let next = 0
  const worker = async () => {
    while (next < total) await run(next++)
  }
  const startedAt = performance.now()
  await Promise.all(Array.from({ length: inFlight }, worker))
  return total / ((performance.now() - startedAt) / 1_000)
}

/** @param {readonly number[]} numbers */
export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b)
  const [low = 0, high = 0] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]]
  return (low + high) / 2
}
