/**
 * What a history is exported from: transactions as their clients saw them. One attempt is one transaction here, since at
 * most one attempt of an id commits, and each has a snapshot of its own.
 */
export interface RecordedTransaction {
  /** The node at which it began, and when: not before `at`, a count of events over the whole history. */
  readonly began: Moment
  /** Earlier transactions whose session tokens it was given. */
  readonly after: readonly RecordedTransaction[]
  readonly reads: readonly RecordedRead[]
  /** In the order in which they were made. Of each key the last counts. */
  readonly writes: readonly RecordedWrite[]
  readonly outcome: 'committed' | 'aborted' | 'unknown'
  /** Where and when its commit was acknowledged, if whoever begins there later must see it. */
  readonly acknowledged: Moment | undefined
}

export interface Moment {
  readonly node: string
  readonly at: number
}

export interface RecordedRead {
  readonly key: string
  /** Null: the key was absent. */
  readonly value: string | null
  readonly at: number
}

export interface RecordedWrite {
  readonly key: string
  /** Names this very write: no other write of the key has it. Null: a deletion. */
  readonly value: string | null
  /** Undefined: after all that the transaction read of others. */
  readonly at?: number
}

/** A transaction as it goes on: of parallel branches that touch one key, reads of others are to be told before writes. */
export interface TransactionRecord {
  /** @param value names the write that was read. Undefined or null: the key was absent */
  read(key: string, value: string | number | null | undefined): void
  /** @param value no other write of this key may have it. Undefined or null: a deletion */
  write(key: string, value: string | number | null | undefined): void
  /** Its commit was acknowledged. @param node where, if it wrote; whoever begins there later must see it */
  committed(node?: string): void
  /** It surely has not committed, and never will. */
  aborted(): void
}

/** Records a history of real clients, such as a soak test's or a benchmark's, for export. */
export class HistoryRecorder {
  readonly #transactions: Recording[] = []
  #events = 0

  get transactions(): readonly RecordedTransaction[] {
    return this.#transactions
  }

  /** To be called before the transaction begins, and again for each attempt. Until told otherwise its outcome is unknown. */
  begin(node: string): TransactionRecord {
    const recording = new Recording({ node, at: this.#events }, () => ++this.#events)
    this.#transactions.push(recording)
    return recording
  }
}

class Recording implements RecordedTransaction, TransactionRecord {
  readonly began: Moment
  readonly after = []
  readonly reads: RecordedRead[] = []
  readonly writes: RecordedWrite[] = []
  outcome: RecordedTransaction['outcome'] = 'unknown'
  acknowledged: Moment | undefined
  readonly #next: () => number

  constructor(began: Moment, next: () => number) {
    this.began = began
    this.#next = next
  }

  read(key: string, value: string | number | null | undefined): void {
    this.reads.push({ key, value: named(value), at: this.#next() })
  }

  write(key: string, value: string | number | null | undefined): void {
    this.writes.push({ key, value: named(value), at: this.#next() })
  }

  committed(node?: string): void {
    this.outcome = 'committed'
    if (node !== undefined) this.acknowledged = { node, at: this.#next() }
  }

  aborted(): void {
    this.outcome = 'aborted'
  }
}

function named(value: string | number | null | undefined): string | null {
  return value === undefined || value === null ? null : String(value)
}
