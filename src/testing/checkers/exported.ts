import { type IsolationLevel, judge } from '../history/consistency.js'
import { exportHistory } from '../history/export.js'
import { recordedTransactions } from '../history/from-run.js'
import { parseHistory } from '../history/parse.js'
import type { History, Violation } from './history.js'

const LEVELS: readonly IsolationLevel[] = ['read-atomic', 'causal']

/** The history as a public checker would get it, judged by definitions of others: I2 and I7 once more, from the text alone. */
export function checkExported(history: History): Violation[] {
  const { text } = exportHistory(recordedTransactions(history))
  const parsed = parseHistory(text)
  const faults = parsed.faults.map((what) => ({ rule: 'exported history: format', what }))
  if (faults.length > 0) return faults
  return LEVELS.flatMap((level) =>
    judge(parsed.history, level).map((what) => ({ rule: `exported history: ${level}`, what })),
  )
}
