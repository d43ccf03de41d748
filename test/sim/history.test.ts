import { expect, test } from 'vitest'
import { judge } from '../../src/testing/history/consistency.js'
import { exportHistory } from '../../src/testing/history/export.js'
import { recordedTransactions } from '../../src/testing/history/from-run.js'
import { parseHistory } from '../../src/testing/history/parse.js'
import { runSeed } from '../../src/testing/sim/run.js'

const SEED = 10

async function exported(): Promise<string> {
  const { history, violations } = await runSeed(SEED)
  expect(violations).toEqual([])
  return exportHistory(recordedTransactions(history)).text
}

function verdicts(text: string): readonly number[] {
  const { history, faults } = parseHistory(text)
  expect(faults).toEqual([])
  return [judge(history, 'read-atomic').length, judge(history, 'causal').length]
}

/** Lets a transaction that read two keys from one writer read the second as it was first written. */
function fracture(text: string): string {
  const lines = text.split('\n')
  const writerOf = new Map<string, string>()
  for (const line of lines) {
    const [, key, value, , txn] = /^w\((\d+),(\d+),(\d+),(\d+)\)$/.exec(line) ?? []
    if (txn !== undefined) writerOf.set(`${key},${value}`, txn)
  }
  const read = new Map<string, string>()
  for (const [i, line] of lines.entries()) {
    const [, key, value, session, txn] = /^r\((\d+),(\d+),(\d+),(\d+)\)$/.exec(line) ?? []
    if (txn === undefined || key === value) continue
    const both = `${txn} ${writerOf.get(`${key},${value}`)}`
    const other = read.get(both)
    if (other !== undefined && other !== key) {
      // A key's first value is its own number.
      lines[i] = `r(${key},${key},${session},${txn})`
      return lines.join('\n')
    }
    read.set(both, key!)
  }
  throw new Error('nobody read two keys from one writer')
}

test('the history of a run is of the format, and both definitions accept it', async () => {
  const text = await exported()
  expect(text.split('\n').length).toBeGreaterThan(1_000)
  expect(verdicts(text)).toEqual([0, 0])
})

test('a fractured read that is planted into it is found', async () => {
  const [atomic, causal] = verdicts(fracture(await exported()))
  expect(atomic).toBeGreaterThan(0)
  expect(causal).toBeGreaterThan(0)
})

test('the same run is exported to the same text', async () => {
  expect(await exported()).toBe(await exported())
})
