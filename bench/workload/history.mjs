// @ts-check
import { writeFileSync } from 'node:fs'

/**
 * What takes down histories, from the build: no package exports it. Types come from the sources: without a build there are no
 * others.
 *
 * @param {string} path
 */
const built = (path) => import(new URL(`../../dist/testing/history/${path}`, import.meta.url).href)

/** @typedef {import('../../src/testing/history/recorded.js').HistoryRecorder} HistoryRecorder */
/** @typedef {import('../../src/testing/history/recorded.js').TransactionRecord} TransactionRecord */

/** All clients of a system are at one node or server, which shows to whoever begins what was acknowledged before. */
export const PLACE = 'n'

/** @returns {Promise<HistoryRecorder>} */
export async function newRecorder() {
  const { HistoryRecorder } = await built('recorded.js')
  return new HistoryRecorder()
}

/** Writes a history as text, one event per line: see docs/simulator.md. @param {string} path @param {HistoryRecorder} recorder */
export async function saveHistory(path, { transactions }) {
  /** @type {typeof import('../../src/testing/history/export.js')} */
  const { exportHistory } = await built('export.js')
  writeFileSync(path, exportHistory(transactions).text)
}
