import { expect, test } from 'vitest'
import type { Storage } from '../../src/ports/storage.js'
import { createMemoryStorage } from '../../src/storage/memory.js'
import { type RunOptions, runSeed } from '../../src/testing/sim/run.js'
import { describeFailure, describeShortest, shortestFailing } from '../../src/testing/sim/shrink.js'

const SEED = 13
const FLAGS = ['--nodes 1', '--calm']
const LOST_AFTER = 25

/** An engine that breaks its word: from some decision on it says that it keeps what it does not. */
function forgetful(): Storage {
  const engine = createMemoryStorage()
  let decisions = 0
  return {
    ...bound(engine),
    compareAndSwap: async (key, expected, next) => {
      if (key.bucket.startsWith('decision/') && expected === undefined && ++decisions > LOST_AFTER)
        return { swapped: true, current: next }
      return engine.compareAndSwap(key, expected, next)
    },
  }
}

function bound(storage: Storage): Storage {
  return {
    durability: storage.durability,
    get: (keys) => storage.get(keys),
    put: (entries) => storage.put(entries),
    compareAndSwap: (key, expected, next) => storage.compareAndSwap(key, expected, next),
    delete: (keys) => storage.delete(keys),
    list: (bucket, options) => storage.list(bucket, options),
    close: () => storage.close(),
  }
}

test('a planted defect is found; its run is cut to a short prefix, and the commands that are told replay both', async () => {
  const options: RunOptions = { engine: forgetful, isCalm: true, nodes: 1 }
  const failed = await runSeed(SEED, options)
  expect(failed.violations.length).toBeGreaterThan(0)
  const shortest = await shortestFailing(failed, options)
  expect(shortest.chaosMs).toBeLessThan(failed.plan.chaosMs / 4)

  const told = [...describeFailure(failed, FLAGS), ...describeShortest(shortest, FLAGS)].join('\n')
  expect(told).toContain(`seed ${SEED} `)
  expect(told).toContain(failed.violations[0]!.rule)
  expect(told).toContain(`npm run sim -- --seed ${SEED} --nodes 1 --calm\n`)
  const [, until] = /npm run sim -- --seed \d+ --nodes 1 --calm --until (\d+)$/.exec(told)!

  const again = await runSeed(SEED, { ...options, chaosMsMax: Number(until) })
  expect(again.violations).toEqual(shortest.report.violations)
  // It is the defect that fails, not the prefix.
  expect((await runSeed(SEED, { isCalm: true, nodes: 1, chaosMsMax: Number(until) })).violations).toEqual([])
})
