import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { openTrim } from '../../../src/cli/freed-memory.js'
import { until } from '../../support/until.js'

const ARRAYS = 400_000
const ARRAY_BYTES = 200
/** Each holds what glibc has below it. */
const KEPT_EVERY = 1_000

test('what was freed between blocks that are in use goes back to the system', async (context) => {
  const report = process.report.getReport() as { header: object }
  const hasGlibc = 'glibcVersionRuntime' in report.header
  context.skip(!hasGlibc, 'this system has no glibc')
  const trim = (await openTrim())!
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  let arrays = Array.from({ length: ARRAYS }, () => new Uint8Array(ARRAY_BYTES).fill(1))
  arrays = arrays.filter((_, i) => i % KEPT_EVERY === 0)
  // A thread of V8 frees them some time after they were collected.
  await until('a trim that gives back a quarter of it', () => {
    collect()
    const before = process.memoryUsage.rss()
    trim()
    return before - process.memoryUsage.rss() > (ARRAYS * ARRAY_BYTES) / 4
  })
  expect(arrays).toHaveLength(ARRAYS / KEPT_EVERY)
})
