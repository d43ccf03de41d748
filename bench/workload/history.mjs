// @ts-check
import { writeFileSync } from 'node:fs'

/** @typedef {{ key: string, value: string | null, at: number }} Read */
/** @typedef {{ key: string, value: string }} Write */

// A module of what is built, which is not there yet when types are checked.
const load = async () =>
  (await import(String(new URL('../../dist/testing/history/export.js', import.meta.url)))).exportHistory

/** All clients are at one node or server, which shows to who begins what was acknowledged before. */
const NODE = 'n'

/** What clients of one system did, for checkers of histories: see docs/simulator.md. */
export class HistoryLog {
  /** @type {object[]} */
  #transactions = []
  #events = 0

  /** To be called before the last attempt of a transaction begins: those before it wrote nothing. */
  begin() {
    const began = { node: NODE, at: this.#events }
    /** @type {Read[]} */
    const reads = []
    /** @type {Write[]} */
    const writes = []
    return {
      /** @param {string} key @param {number} writer 0: nobody that is in this history */
      read: (key, writer) =>
        void reads.push({ key, value: writer === 0 ? null : String(writer), at: ++this.#events }),
      /** @param {string} key @param {number} writer */
      write: (key, writer) => void writes.push({ key, value: String(writer) }),
      committed: () => {
        const acknowledged = writes.length === 0 ? undefined : { node: NODE, at: ++this.#events }
        this.#transactions.push({ began, after: [], reads, writes, outcome: 'committed', acknowledged })
      },
    }
  }

  /** Writes it as text, one event per line. @param {string} path */
  async save(path) {
    const exportHistory = await load()
    writeFileSync(path, exportHistory(this.#transactions).text)
  }
}
