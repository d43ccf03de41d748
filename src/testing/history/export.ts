import type { RecordedRead, RecordedTransaction } from './recorded.js'
import { assignSessions } from './sessions.js'

export interface ExportedHistory {
  /** One event per line: see `exportHistory`. */
  readonly text: string
  readonly transactions: number
  readonly sessions: number
  readonly events: number
  /** Reads of an absent key that any of several writes may have left so, which the text can't tell apart. */
  readonly leftOut: number
}

/**
 * A history as the public checkers Plume (OOPSLA 2024) and AWDIT (PLDI 2025) read it: one event per line,
 * `r(KEY,VALUE,SESSION,TXN)` or `w(KEY,VALUE,SESSION,TXN)`, all decimal integers.
 *
 * - Line order is program order, session by session; transaction ids are unique over the whole file; no two writes of a key
 *   have one value.
 * - 0 is the initial value, which those checkers write themselves. So every key is first written by a transaction of its own,
 *   which each session reads before anything else: an absent key reads as that write.
 * - The writes of a transaction that aborted have the id -1, and its reads are left out. They stand in a session, behind what
 *   their transaction had to see and before what began after it. So have writes that the same transaction wrote over.
 * - An outcome that nobody knows is that of a commit if any write of it was read, else that of an abort.
 * - A deletion is a write like any other. A read of an absent key that may have been deleted could be of any deletion or of
 *   the first write: such reads are left out, and counted.
 */
export function exportHistory(recorded: readonly RecordedTransaction[]): ExportedHistory {
  const read = new Set<string>()
  for (const { reads, writes } of recorded) {
    // That it read its own says nothing of its outcome.
    const own = new Set(writes.map(({ key, value }) => value && writeName(key, value)))
    for (const { key, value } of reads) {
      const name = value && writeName(key, value)
      if (name && !own.has(name)) read.add(name)
    }
  }
  const committed = new Set(recorded.filter((transaction) => isCommitted(transaction, read)))
  // What aborted and wrote nothing leaves no line.
  const told = recorded.filter((each) => committed.has(each) || each.writes.length > 0)
  const writer = new Writer(recorded)
  const sessions = assignSessions(told, (transaction) => committed.has(transaction))
  for (const session of sessions) writer.session(session, committed)
  return writer.finish(sessions.length, committed.size)
}

function isCommitted({ outcome, writes }: RecordedTransaction, read: ReadonlySet<string>): boolean {
  if (outcome !== 'unknown') return outcome === 'committed'
  return writes.some(({ key, value }) => value !== null && read.has(writeName(key, value)))
}

function writeName(key: string, value: string): string {
  return `${key}\n${value}`
}

const ABORTED = -1
const FIRST_SESSION = 0

class Writer {
  readonly #lines: string[] = []
  readonly #keys = new Map<string, number>()
  readonly #values = new Map<string, number>()
  /** Of each key, when the first transaction began that may have deleted it. */
  readonly #deletedSince = new Map<string, number>()
  #sessions = FIRST_SESSION
  #txns = 0
  #leftOut = 0
  #numbers: number

  constructor(recorded: readonly RecordedTransaction[]) {
    for (const { reads, writes, began, outcome } of recorded) {
      for (const { key } of [...writes, ...reads])
        if (!this.#keys.has(key)) this.#keys.set(key, this.#keys.size + 1)
      if (outcome === 'aborted') continue
      for (const { key, value } of writes) {
        if (value !== null) continue
        const since = this.#deletedSince.get(key) ?? Number.POSITIVE_INFINITY
        this.#deletedSince.set(key, Math.min(since, began.at))
      }
    }
    // The first write of each key has the key's own number as its value; all others have numbers above those.
    this.#numbers = this.#keys.size
    for (const key of this.#keys.values()) this.#line('w', key, key, FIRST_SESSION, ++this.#txns)
  }

  session(transactions: readonly RecordedTransaction[], committed: ReadonlySet<RecordedTransaction>): void {
    const session = ++this.#sessions
    const first = ++this.#txns
    for (const key of this.#keys.values()) this.#line('r', key, key, session, first)
    for (const transaction of transactions) {
      if (committed.has(transaction)) this.#transaction(transaction, session)
      else for (const { key, value } of transaction.writes) this.#write(key, value, session, ABORTED)
    }
  }

  finish(sessions: number, transactions: number): ExportedHistory {
    const events = this.#lines.length
    return {
      text: this.#lines.map((line) => `${line}\n`).join(''),
      transactions,
      sessions,
      events,
      leftOut: this.#leftOut,
    }
  }

  /** Reads before writes where it is not known which came first: its functions may have run in parallel. */
  #transaction({ reads, writes }: RecordedTransaction, session: number): void {
    const txn = ++this.#txns
    let next = 0
    const readUntil = (until: number): void => {
      while (next < reads.length && reads[next]!.at < until) this.#read(reads[next++]!, session, txn)
    }
    const last = new Map(writes.map((write) => [write.key, write]))
    for (const write of writes) {
      readUntil(write.at ?? Number.POSITIVE_INFINITY)
      const isLast = last.get(write.key) === write
      this.#write(write.key, write.value, session, isLast ? txn : ABORTED)
    }
    readUntil(Number.POSITIVE_INFINITY)
  }

  #read({ key, value, at }: RecordedRead, session: number, txn: number): void {
    const mayBeDeleted = (this.#deletedSince.get(key) ?? Number.POSITIVE_INFINITY) < at
    if (value === null && mayBeDeleted) this.#leftOut++
    else this.#line('r', this.#keys.get(key)!, this.#valueOf(key, value), session, txn)
  }

  #write(key: string, value: string | null, session: number, txn: number): void {
    const number = value === null ? ++this.#numbers : this.#valueOf(key, value)
    this.#line('w', this.#keys.get(key)!, number, session, txn)
  }

  #valueOf(key: string, value: string | null): number {
    if (value === null) return this.#keys.get(key)!
    const name = writeName(key, value)
    const known = this.#values.get(name)
    if (known !== undefined) return known
    this.#values.set(name, ++this.#numbers)
    return this.#numbers
  }

  #line(operation: 'r' | 'w', key: number, value: number, session: number, txn: number): void {
    this.#lines.push(`${operation}(${key},${value},${session},${txn})`)
  }
}
