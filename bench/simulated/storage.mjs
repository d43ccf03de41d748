// @ts-check

/** @typedef {import('../../src/ports/storage.js').Storage} Storage */
/** What a node asked of storage: calls, and the bytes of values that went there and came back. @typedef {{ calls: number, commits: number, written: number, read: number }} Use */

/** @returns {Use} */
export const noUse = () => ({ calls: 0, commits: 0, written: 0, read: 0 })

/**
 * One node's way to the engine that all share: it takes a while there and back, is counted, and what comes back is handed to
 * the node's processor.
 *
 * @param {Storage} engine
 * @param {object} parts
 * @param {import('../../src/ports/clock.js').Clock} parts.clock whose timers are charged to nobody
 * @param {import('./processor.mjs').Processor} parts.processor
 * @param {Use} parts.use
 * @param {number} parts.oneWayMs
 * @param {Set<string>} parts.buckets in which something was written
 * @param {() => void} parts.onCommit a decision stands, and its node is about to hear of it
 * @returns {Storage}
 */
export function countedStorage(engine, { clock, processor, use, oneWayMs, buckets, onCommit }) {
  const pause = () => new Promise((resolve) => void clock.timer(oneWayMs, () => resolve(undefined)))
  /** @template T @param {() => Promise<T>} run @param {(result: T) => boolean} [isCommit] @returns {Promise<T>} */
  const call = async (run, isCommit) => {
    use.calls++
    await pause()
    const result = await run()
    const commits = isCommit?.(result) === true
    return new Promise((resolve) => {
      clock.timer(oneWayMs, () =>
        processor.come(commits ? 'commits' : 'storage', () => {
          if (commits) {
            use.commits++
            onCommit()
          }
          resolve(result)
        }),
      )
    })
  }
  const bytes = (/** @type {readonly ({ value?: Uint8Array | undefined })[]} */ all) =>
    all.reduce((sum, { value }) => sum + (value?.length ?? 0), 0)
  return {
    get durability() {
      return engine.durability
    },
    get: (keys) =>
      call(async () => {
        const values = await engine.get(keys)
        use.read += bytes(values.map((value) => ({ value })))
        return values
      }),
    put(entries) {
      use.written += bytes(entries)
      for (const { bucket } of entries) buckets.add(bucket)
      return call(() => engine.put(entries))
    },
    compareAndSwap(key, expected, next) {
      use.written += next?.length ?? 0
      buckets.add(key.bucket)
      const isDecision = expected === undefined && key.bucket.startsWith('decision/')
      return call(
        () => engine.compareAndSwap(key, expected, next),
        ({ swapped }) => swapped && isDecision,
      )
    },
    delete: (keys) => call(() => engine.delete(keys)),
    async *list(bucket, options) {
      // As a page of an engine's listing comes: all at once.
      const found = await call(async () => {
        const entries = []
        for await (const entry of engine.list(bucket, options)) entries.push(entry)
        use.read += bytes(entries)
        return entries
      })
      yield* found
    },
    close: async () => {},
  }
}
