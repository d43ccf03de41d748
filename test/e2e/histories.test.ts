import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { judge } from '../../src/testing/history/consistency.js'
import { exportHistory } from '../../src/testing/history/export.js'
import { parseHistory } from '../../src/testing/history/parse.js'
import { HistoryRecorder } from '../../src/testing/history/recorded.js'
import { tempFolder } from '../support/temp.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** What a command says, and its exit code. A test runner in it is not to take itself for a part of this one. */
function run(
  script: string,
  ...args: readonly string[]
): Promise<{ code: number; output: string; errors: string }> {
  const { VITEST: _1, VITEST_POOL_ID: _2, VITEST_WORKER_ID: _3, VIRGA_TEST_REPORT: _4, ...env } = process.env
  return new Promise((done) => {
    const child = execFile(
      process.execPath,
      [join(root, script), ...args],
      { cwd: root, env },
      (_, output, errors) => done({ code: child.exitCode ?? -1, output, errors }),
    )
  })
}

/** What both definitions find in a file that is of the format. */
function judged(text: string) {
  const { history, faults } = parseHistory(text)
  expect(faults).toEqual([])
  const transactions = [...history.sessions.values()].reduce((sum, { length }) => sum + length, 0)
  const [atomic, causal] = [judge(history, 'read-atomic'), judge(history, 'causal')]
  return { atomic, causal, transactions, aborted: history.aborted.size }
}

describe('the simulator', () => {
  test('says first which seeds it has drawn, and how to run them again', async () => {
    const { output } = await run('scripts/sim.mjs', '--seeds', '1', '--calm', '--until', '1000', '--verbose')
    const [first, second] = output.split('\n')
    const [, seed, again] = /^seeds from (\d+) on: npm run sim -- (.*)$/.exec(first!)!
    expect(again).toBe(`--from ${seed} --seeds 1 --calm --until 1000 --verbose`)
    const { output: same } = await run('scripts/sim.mjs', ...again!.split(' '))
    expect(same.split('\n')[1]).toBe(second)
  })

  test('writes the history of a seed', async () => {
    const path = join(tempFolder(), 'h.txt')
    const { code } = await run('scripts/sim.mjs', '--seed', '7', '--history', path)
    expect(code).toBe(0)
    expect(judged(readFileSync(path, 'utf8'))).toMatchObject({ atomic: [], causal: [] })
  })
})

test('so does a bank whose nodes are killed', async () => {
  const path = join(tempFolder(), 'h.txt')
  const { code, output, errors } = await run('scripts/bank.mjs', '--seconds', '2', '--history', path)
  expect(code, output + errors).toBe(0)
  expect(output).toMatch(/^seed \d+: npm run bank -- --consistency parallel-snapshot --seconds 2 --seed \d+/m)
  const { atomic, causal, transactions } = judged(readFileSync(path, 'utf8'))
  expect([atomic, causal]).toEqual([[], []])
  expect(transactions).toBeGreaterThan(1_010)
})

describe('the bench', () => {
  test('says so if a history is asked of what takes none down', async () => {
    const { code, errors } = await run('bench/run.mjs', '--only', 'micro', '--history', 'h.txt')
    expect(code).toBe(2)
    expect(errors).toMatch(/--history is what clients did in anomalies/)
  })

  test('has what aborted in its histories, which tell the good from the bad', async () => {
    const folder = tempFolder()
    const good = ['virga, Redis', 'virga, Redis, one process', 'Redis WATCH']
    const bad = 'Redis, no guarantee'
    const { code, errors } = await run('test/support/bench-histories.mjs', folder, ...good, bad)
    expect(code, errors).toBe(0)
    const found = new Map(
      [...good, bad].map((name) => [name, judged(readFileSync(join(folder, name), 'utf8'))]),
    )
    for (const name of good) expect(found.get(name), name).toMatchObject({ atomic: [], causal: [] })
    expect(found.get('Redis WATCH')!.aborted).toBeGreaterThan(0)
    expect(found.get(bad)!.atomic).not.toEqual([])
  })

  test('knows each attempt by its values', async () => {
    const { recorded } = await import(String(new URL('../../bench/workload/run-plan.mjs', import.meta.url)))
    const stored = new Map<string, string>()
    const access = {
      get: async (key: string) => stored.get(key) ?? '0 0 |',
      put: async (key: string, value: string) => void stored.set(key, value),
    }
    const shape = { valueBytes: 64 }
    /** A writer that tries twice and leaves the values of its first attempt there; then one that reads them. */
    const history = async (first: 'aborted' | 'unknown') => {
      stored.clear()
      const recorder = new HistoryRecorder()
      const writer = recorded(shape, [{ reads: [], writes: ['x', 'y'] }], 1, true, recorder)
      const leaky = writer.start()
      for (const run of leaky.functions) await run(access)
      if (first === 'aborted') leaky.aborted()
      const reader = recorded(shape, [{ reads: ['x', 'y'], writes: [] }], 2, true, recorder)
      const reading = reader.start()
      for (const run of reading.functions) await run(access)
      reading.committed()
      const retried = writer.start()
      for (const run of retried.functions) await run(access)
      retried.committed()
      expect([writer.ended().attempt, reader.ended().attempt]).toEqual([2, 1])
      return judged(exportHistory(recorder.transactions).text)
    }
    const leaked = await history('aborted')
    expect(leaked.aborted).toBe(2)
    expect(leaked.atomic.join()).toMatch(/that was not committed/)
    expect(await history('unknown')).toMatchObject({ atomic: [], causal: [], aborted: 0 })
  })
})
