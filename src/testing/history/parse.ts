/** One transaction of an exported history. Events are in program order. */
export interface ParsedTransaction {
  readonly id: number
  readonly session: number
  readonly events: readonly ParsedEvent[]
}

export interface ParsedEvent {
  readonly operation: 'r' | 'w'
  readonly key: number
  readonly value: number
}

export interface ParsedHistory {
  /** Of each session its transactions in order. */
  readonly sessions: ReadonlyMap<number, readonly ParsedTransaction[]>
  /** `key,value` of writes whose transaction did not commit. */
  readonly aborted: ReadonlySet<string>
}

const LINE = /^([rw])\((\d+),(\d+),(\d+),(-1|\d+)\)$/
const FAULTS_MAX = 20

/** Reads an exported history, and tells of every rule of the format that it breaks. Knows nothing of who wrote it. */
export function parseHistory(text: string): {
  readonly history: ParsedHistory
  readonly faults: readonly string[]
} {
  const parser = new Parser()
  const lines = text.split('\n')
  if (lines.pop() !== '') parser.fault('the last line has no end')
  for (const line of lines) parser.line(line)
  parser.checkFirsts()
  return { history: parser, faults: parser.faults }
}

class Parser implements ParsedHistory {
  readonly sessions = new Map<number, ParsedTransaction[]>()
  readonly aborted = new Set<string>()
  readonly faults: string[] = []
  readonly #written = new Set<string>()
  readonly #transactions = new Map<number, { readonly session: number; readonly events: ParsedEvent[] }>()
  /** Of each key, the transaction and value of its first line. */
  readonly #firsts = new Map<number, { readonly id: number; readonly value: number }>()
  #last: number | undefined

  fault(what: string): void {
    if (this.faults.length < FAULTS_MAX) this.faults.push(what)
  }

  line(line: string): void {
    const match = LINE.exec(line)
    if (match === null) {
      this.fault(`no event: ${line}`)
      return
    }
    const operation = match[1] as 'r' | 'w'
    const [key, value, session, id] = match.slice(2).map(Number) as [number, number, number, number]
    if (operation === 'w') this.#checkWrite(line, `${key},${value}`, value)
    if (id === -1) {
      if (operation === 'r') this.fault(`a read of a transaction that did not commit: ${line}`)
      this.aborted.add(`${key},${value}`)
      return
    }
    if (!this.#firsts.has(key)) {
      if (operation === 'r') this.fault(`read before it is first written: ${line}`)
      else this.#firsts.set(key, { id, value })
    }
    this.#add(line, id, session, { operation, key, value })
  }

  /** Each key is first written by a transaction of its own, which each session reads before anything else. */
  checkFirsts(): void {
    const firsts = new Set([...this.#firsts.values()].map(({ id }) => id))
    for (const [key, { id }] of this.#firsts)
      if (this.#transactions.get(id)!.events.length !== 1)
        this.fault(`the first write of ${key} is not alone`)
    for (const [session, transactions] of this.sessions) {
      if (transactions.every(({ id }) => firsts.has(id))) continue
      const read = new Map(
        transactions[0]!.events
          .filter(({ operation }) => operation === 'r')
          .map(({ key, value }) => [key, value]),
      )
      for (const [key, { value }] of this.#firsts) {
        if (read.get(key) === value) continue
        this.fault(`session ${session} does not begin with the first write of ${key}`)
        break
      }
    }
  }

  #checkWrite(line: string, name: string, value: number): void {
    if (value === 0) this.fault(`0 is the initial value: ${line}`)
    if (this.#written.has(name)) this.fault(`this value of this key was written before: ${line}`)
    this.#written.add(name)
  }

  #add(line: string, id: number, session: number, event: ParsedEvent): void {
    const known = this.#transactions.get(id)
    if (known === undefined) {
      const transaction = { id, session, events: [event] }
      this.#transactions.set(id, transaction)
      const transactions = this.sessions.get(session)
      if (transactions === undefined) this.sessions.set(session, [transaction])
      else transactions.push(transaction)
    } else {
      if (known.session !== session) this.fault(`a transaction of two sessions: ${line}`)
      if (this.#last !== id) this.fault(`a transaction in two pieces: ${line}`)
      known.events.push(event)
    }
    this.#last = id
  }
}
