// @ts-check

const BATCHES = 11
const BATCH = 10

/**
 * What one of many adds to a count, to which something else adds now and then: a node's rounds, a repair. It is the median of
 * short batches, since the rest falls into few of them. `one` is called 110 times.
 *
 * @param {() => Promise<number>} count @param {(i: number) => Promise<unknown>} one
 */
export async function countPerOne(count, one) {
  const perOne = []
  for (let batch = 0; batch < BATCHES; batch++) {
    const before = await count()
    for (let i = 0; i < BATCH; i++) await one(batch * BATCH + i)
    perOne.push(((await count()) - before) / BATCH)
  }
  return /** @type {number} */ (perOne.sort((a, b) => a - b)[(BATCHES - 1) / 2])
}

/** How often `countPerOne` calls for one. */
export const COUNTED = BATCHES * BATCH
