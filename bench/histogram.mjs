// @ts-check
import { createHistogram } from 'node:perf_hooks'

/** Times of one thing. */
export function timings() {
  const histogram = createHistogram()
  return {
    /** @param {bigint} startedAt */
    since: (startedAt) => histogram.record(process.hrtime.bigint() - startedAt || 1n),
    /** @param {number} ms */
    add: (ms) => histogram.record(Math.max(1, Math.round(ms * 1e6))),
    p50: () => histogram.percentile(50) / 1_000,
    p99: () => histogram.percentile(99) / 1_000,
    count: () => histogram.count,
  }
}

/** @typedef {{ before: () => Promise<any>, run: (prepared: any) => Promise<any>, after: (result: any) => Promise<unknown> }} Staged */

/**
 * Runs several things in turn, a few operations of each at a time, in random order: whatever the machine does meanwhile,
 * it does to all of them. Of a thing in stages only `run` is timed. Returns the p50 and p99 of each in microseconds.
 *
 * @param {Record<string, (() => Promise<unknown>) | Staged>} things
 * @param {{ rounds: number, each: number, warmup?: number }} options
 */
export async function sideBySide(things, { rounds, each, warmup = 200 }) {
  const names = Object.keys(things)
  const all = Object.fromEntries(names.map((name) => [name, timings()]))
  /** @param {string} name @param {ReturnType<typeof timings>} [times] */
  const once = async (name, times) => {
    const thing = things[name]
    if (thing === undefined) return
    const staged = typeof thing === 'function' ? { before: nothing, run: thing, after: nothing } : thing
    const prepared = await staged.before()
    const startedAt = process.hrtime.bigint()
    const result = await staged.run(prepared)
    times?.since(startedAt)
    await staged.after(result)
  }
  for (const name of names) for (let i = 0; i < warmup; i++) await once(name)
  for (let round = 0; round < rounds; round++) {
    for (const name of shuffled(names)) for (let i = 0; i < each; i++) await once(name, all[name])
  }
  return Object.fromEntries(
    names.map((name) => [name, { p50Us: all[name]?.p50() ?? 0, p99Us: all[name]?.p99() ?? 0 }]),
  )
}

async function nothing() {}

/** @template T @param {readonly T[]} items */
function shuffled(items) {
  return items
    .map((item) => /** @type {const} */ ([Math.random(), item]))
    .sort(([a], [b]) => a - b)
    .map(([, item]) => item)
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
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
