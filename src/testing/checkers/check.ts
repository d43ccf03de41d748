import { checkAcknowledgements } from './acknowledgements.js'
import { checkCausality } from './causality.js'
import { checkClocks } from './clocks.js'
import { checkDirtyReads } from './dirty-reads.js'
import { checkFracturedReads } from './fractured-reads.js'
import type { History, Violation } from './history.js'
import { checkLostUpdates } from './lost-updates.js'
import { checkOneCut } from './one-cut.js'
import { checkOwnWrites } from './own-writes.js'
import { checkRepeatableReads } from './repeatable-reads.js'
import { checkTold } from './told.js'

/** Every checker of histories, by what it looks for. */
export const CHECKERS = {
  checkOwnWrites,
  checkRepeatableReads,
  checkOneCut,
  checkDirtyReads,
  checkFracturedReads,
  checkCausality,
  checkClocks,
  checkAcknowledgements,
  checkTold,
  checkLostUpdates,
} as const satisfies Readonly<Record<string, (history: History) => Violation[]>>

export function checkHistory(history: History): Violation[] {
  return Object.values(CHECKERS).flatMap((check) => check(history))
}
