import { describe, expect, test } from 'vitest'
import { judge } from '../../../src/testing/history/consistency.js'
import { exportHistory } from '../../../src/testing/history/export.js'
import { parseHistory } from '../../../src/testing/history/parse.js'
import { HistoryRecorder, type TransactionRecord } from '../../../src/testing/history/recorded.js'

/** What both levels make of a text: `[read-atomic, causal]`, true if accepted. */
function accepted(text: string): readonly [boolean, boolean] {
  const { history, faults } = parseHistory(text)
  expect(faults).toEqual([])
  return [judge(history, 'read-atomic').length === 0, judge(history, 'causal').length === 0]
}

/** First writes of keys 1 and 2, with values 1 and 2; then sessions that each begin by reading them. */
function sessions(...of: readonly (readonly string[])[]): string {
  const lines = ['w(1,1,0,1)', 'w(2,2,0,2)']
  for (const [i, events] of of.entries()) {
    const first = 100 + i
    lines.push(`r(1,1,${i + 1},${first})`, `r(2,2,${i + 1},${first})`, ...events)
  }
  return `${lines.join('\n')}\n`
}

describe('an exported history', () => {
  test('has a first write of each key, and what clients saw after that', () => {
    const recorder = new HistoryRecorder()
    const writer = recorder.begin('n1')
    writer.read('x', undefined)
    writer.write('x', 'a')
    writer.write('x', 'b')
    writer.committed('n1')
    const reader = recorder.begin('n1')
    reader.read('x', 'b')
    reader.read('y', undefined)
    reader.committed()
    expect(exportHistory(recorder.transactions)).toEqual({
      text: [
        'w(1,1,0,1)',
        'w(2,2,0,2)',
        'r(1,1,1,3)',
        'r(2,2,1,3)',
        'r(1,1,1,4)',
        // Written over in the same transaction: nobody may read it.
        'w(1,3,1,-1)',
        'w(1,4,1,4)',
        'r(1,4,1,5)',
        'r(2,2,1,5)',
        '',
      ].join('\n'),
      transactions: 2,
      sessions: 1,
      events: 9,
      leftOut: 0,
    })
  })

  test('leaves out what an aborted transaction read, and marks what it wrote', () => {
    const recorder = new HistoryRecorder()
    const aborted = recorder.begin('n1')
    aborted.read('x', undefined)
    aborted.write('x', 'a')
    aborted.aborted()
    expect(exportHistory(recorder.transactions).text).toBe('w(1,1,0,1)\nr(1,1,1,2)\nw(1,2,1,-1)\n')
  })

  test.each([
    { isRead: true, line: 'w(1,2,1,3)' },
    { isRead: false, line: 'w(1,2,1,-1)' },
  ])('takes an unknown outcome for a commit if a write of it was read ($isRead)', ({ isRead, line }) => {
    const recorder = new HistoryRecorder()
    recorder.begin('n1').write('x', 'a')
    const reader = recorder.begin('n1')
    reader.read('x', isRead ? 'a' : undefined)
    reader.committed()
    const { text } = exportHistory(recorder.transactions)
    expect(text.split('\n')).toContain(line)
    expect(accepted(text)).toEqual([true, true])
  })

  test('has what aborted where it began: behind what it had to see, before what began later', () => {
    const recorder = new HistoryRecorder()
    const write = (value: string, end: (record: TransactionRecord) => void): void => {
      const record = recorder.begin('n1')
      record.write('x', value)
      end(record)
    }
    write('before all', (record) => record.aborted())
    write('one', (record) => record.committed('n1'))
    write('between', (record) => record.aborted())
    write('nobody read it', () => undefined)
    write('two', (record) => record.committed('n1'))
    write('after all', (record) => record.aborted())
    const { text, transactions, sessions: count } = exportHistory(recorder.transactions)
    expect(text.split('\n')).toEqual([
      'w(1,1,0,1)',
      'r(1,1,1,2)',
      'w(1,2,1,-1)',
      'w(1,3,1,3)',
      'w(1,4,1,-1)',
      'w(1,5,1,-1)',
      'w(1,6,1,4)',
      'w(1,7,1,-1)',
      '',
    ])
    expect([transactions, count]).toEqual([2, 1])
    expect(accepted(text)).toEqual([true, true])
  })

  test('keeps the order in which a transaction read and wrote', () => {
    const recorder = new HistoryRecorder()
    const other = recorder.begin('n1')
    other.write('x', 'its own')
    other.committed('n1')
    const transaction = recorder.begin('n1')
    transaction.read('x', 'its own')
    transaction.write('x', 'mine')
    transaction.read('x', 'mine')
    transaction.committed('n1')
    const right = exportHistory(recorder.transactions).text
    expect(right.split('\n').slice(3, -1)).toEqual(['r(1,2,1,4)', 'w(1,3,1,4)', 'r(1,3,1,4)'])
    expect(accepted(right)).toEqual([true, true])
    transaction.read('x', 'its own')
    expect(accepted(exportHistory(recorder.transactions).text)).toEqual([false, false])
  })

  test('does not take an unknown outcome for a commit because it read what it wrote itself', () => {
    const recorder = new HistoryRecorder()
    const unknown = recorder.begin('n1')
    unknown.write('x', 'a')
    unknown.read('x', 'a')
    expect(exportHistory(recorder.transactions).text).toBe('w(1,1,0,1)\nr(1,1,1,2)\nw(1,2,1,-1)\n')
  })

  test('leaves out a read that found nothing where a deletion may be the cause, and counts it', () => {
    const recorder = new HistoryRecorder()
    const before = recorder.begin('n1')
    before.read('x', undefined)
    before.committed()
    const deleter = recorder.begin('n1')
    deleter.write('x', undefined)
    deleter.committed('n1')
    const after = recorder.begin('n1')
    after.read('x', undefined)
    after.committed()
    const { text, leftOut } = exportHistory(recorder.transactions)
    expect(leftOut).toBe(1)
    expect(text.match(/^r\(1,1,/gm)).toHaveLength(3)
    expect(accepted(text)).toEqual([true, true])
  })

  test('puts into one session only what must see what stands before it', () => {
    const recorder = new HistoryRecorder()
    const [early, overlapping] = [recorder.begin('n1'), recorder.begin('n1')]
    early.write('x', 1)
    early.committed('n1')
    overlapping.write('x', 2)
    overlapping.committed('n1')
    const elsewhere = recorder.begin('n2')
    elsewhere.read('x', undefined)
    elsewhere.committed()
    const later = recorder.begin('n1')
    later.read('x', 2)
    later.committed()
    const { text, sessions: count } = exportHistory(recorder.transactions)
    expect(count).toBe(3)
    expect(accepted(text)).toEqual([true, true])
  })
})

test.each([
  ['r(1,1,1,5)', /read before it is first written/],
  ['w(1,1,0,1)\nw(1,1,0,2)', /was written before/],
  ['w(1,0,0,1)', /0 is the initial value/],
  ['w(1,1,0,1)\nr(1,1,0,-1)', /did not commit/],
  ['w(1,1,0,1)\nw(2,2,0,1)', /is not alone/],
  ['w(1,1,0,1)\nw(2,2,0,2)\nr(1,1,1,3)', /does not begin with the first write of 2/],
  ['w(1,1,0,1)\nr(1,1,1,3)\nr(1,1,2,3)', /two sessions/],
  ['w(1,1,0,1)\nr(1,1,1,3)\nr(1,1,2,4)\nr(1,1,1,3)', /two pieces/],
  ['w(1,1,0,1)\nx(1,1,0,2)', /no event/],
])('a text that breaks the format is told apart: %s', (text, why) => {
  expect(parseHistory(`${text}\n`).faults.join('; ')).toMatch(why)
})

describe('the definitions', () => {
  test('allow what snapshots allow', () => {
    // Two that write the same keys, neither having seen the other; a long fork.
    const text = sessions(
      ['r(1,1,1,10)', 'w(1,11,1,10)'],
      ['r(2,2,2,20)', 'w(2,21,2,20)'],
      ['r(1,11,3,30)', 'r(2,2,3,30)'],
      ['r(1,1,4,40)', 'r(2,21,4,40)'],
    )
    expect(accepted(text)).toEqual([true, true])
  })

  test('a fractured read is not atomic', () => {
    const text = sessions(['w(1,11,1,10)', 'w(2,12,1,10)'], ['r(1,11,2,20)', 'r(2,2,2,20)'])
    expect(accepted(text)).toEqual([false, false])
  })

  test('nor is one that goes back in its session', () => {
    const text = sessions(['w(1,11,1,10)', 'r(1,1,1,11)'])
    expect(accepted(text)).toEqual([false, false])
  })

  test('what was read from who had read it is atomic, but not causal', () => {
    const text = sessions(['w(1,11,1,10)'], ['r(1,11,2,20)', 'w(2,22,2,20)'], ['r(2,22,3,30)', 'r(1,1,3,30)'])
    expect(accepted(text)).toEqual([true, false])
  })

  test('two that disagree about the order of the same two are not atomic', () => {
    const text = sessions(
      ['w(1,11,1,10)', 'w(2,12,1,10)'],
      ['w(1,21,2,20)', 'w(2,22,2,20)'],
      ['r(1,11,3,30)', 'r(2,22,3,30)'],
    )
    expect(accepted(text)).toEqual([false, false])
  })

  test.each([
    ['an aborted write', ['w(1,11,1,-1)'], ['r(1,11,2,20)']],
    ['a write that was written over', ['w(1,11,1,10)', 'w(1,12,1,10)'], ['r(1,11,2,20)']],
    ['what nobody wrote', [], ['r(1,99,2,20)']],
    ['another value than its own', [], ['w(1,21,2,20)', 'r(1,1,2,20)']],
    ['its own write before it', [], ['r(1,21,2,20)', 'w(1,21,2,20)']],
    ['who reads from it', ['r(1,21,1,10)', 'w(2,12,1,10)'], ['r(2,12,2,20)', 'w(1,21,2,20)']],
  ])('whoever reads %s is found', (_, one, two) => {
    expect(accepted(sessions(one, two))).toEqual([false, false])
  })
})
