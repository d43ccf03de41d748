import type { ParsedHistory, ParsedTransaction } from './parse.js'

export type IsolationLevel = 'read-atomic' | 'causal'

const FOUND_MAX = 20

/**
 * Judges an exported history by the axioms of Biswas and Enea (OOPSLA 2019), on which Plume and AWDIT build as well. Given
 * who read from whom (`wr`) and the order of each session (`so`), there must be one order of all transactions that contains
 * both, and in which for each read of x by t3 from t1, any other t2 that writes x and that t3 must see comes before t1.
 * Whom t3 must see: for read atomicity, `so` and `wr` in one step; for causal consistency, in any number of steps. Neither
 * depends on the order that is looked for, so there is one if and only if the edges have no cycle.
 *
 * Written from the definitions, and apart from all else here: it reads the text alone. Returns what it found wrong.
 */
export function judge(history: ParsedHistory, level: IsolationLevel): readonly string[] {
  return new Judge(history).judge(level)
}

interface Node {
  readonly transaction: ParsedTransaction
  readonly place: number
  /** Of each key, the value that it wrote last. */
  readonly writes: ReadonlyMap<number, number>
  /** Reads from others: key, and who wrote what was read. */
  readonly reads: (readonly [number, Node])[]
  readonly edges: Set<Node>
}

class Judge {
  readonly #found: string[] = []
  readonly #nodes: Node[] = []
  readonly #sessions: Node[][] = []
  /** Of each key and session, who writes the key there, in order. */
  readonly #writers = new Map<number, Map<number, Node[]>>()

  constructor(history: ParsedHistory) {
    const byWrite = new Map<string, Node>()
    for (const transactions of history.sessions.values()) {
      const session = transactions.map((transaction, place) => this.#node(transaction, place, byWrite))
      this.#sessions.push(session)
      this.#nodes.push(...session)
    }
    for (const node of this.#nodes) this.#readsOf(node, byWrite, history.aborted)
  }

  judge(level: IsolationLevel): readonly string[] {
    if (this.#found.length > 0) return this.#found
    this.#link()
    const order = this.#sorted()
    if (order === undefined) return this.#found
    const clocks = level === 'causal' ? causalClocks(order) : undefined
    for (const node of this.#nodes) {
      const readFrom = clocks === undefined ? writersReadFrom(node) : NOBODY
      for (const [key, from] of node.reads) {
        for (const earlier of this.#mustSee(node, key, clocks, readFrom)) {
          // It must come before the one that was read.
          if (earlier !== from && earlier !== node) earlier.edges.add(from)
        }
      }
    }
    this.#sorted()
    return this.#found
  }

  #node(transaction: ParsedTransaction, place: number, byWrite: Map<string, Node>): Node {
    const writes = new Map<number, number>()
    for (const { operation, key, value } of transaction.events) if (operation === 'w') writes.set(key, value)
    const node: Node = { transaction, place, writes, reads: [], edges: new Set() }
    for (const { operation, key, value } of transaction.events)
      if (operation === 'w') byWrite.set(`${key},${value}`, node)
    for (const key of writes.keys()) {
      const sessions = this.#writers.get(key) ?? new Map<number, Node[]>()
      this.#writers.set(key, sessions)
      const writers = sessions.get(transaction.session)
      if (writers === undefined) sessions.set(transaction.session, [node])
      else writers.push(node)
    }
    return node
  }

  /** Who was read from; and what no order can mend. */
  #readsOf(node: Node, byWrite: ReadonlyMap<string, Node>, aborted: ReadonlySet<string>): void {
    const own = new Map<number, number>()
    for (const { operation, key, value } of node.transaction.events) {
      if (operation === 'w') {
        own.set(key, value)
        continue
      }
      const name = `${key},${value}`
      const from = byWrite.get(name)
      const fault = own.has(key)
        ? own.get(key) === value
          ? undefined
          : 'it does not read its own write'
        : aborted.has(name)
          ? 'that was not committed'
          : from === undefined
            ? 'that nobody wrote'
            : from === node
              ? 'that it writes only later'
              : from.writes.get(key) !== value
                ? 'that its writer wrote over'
                : undefined
      if (fault !== undefined) this.#fault(`t${node.transaction.id} read ${value} of key ${key}: ${fault}`)
      else if (!own.has(key)) node.reads.push([key, from!])
    }
  }

  /** Sessions and reads, one step each. */
  #link(): void {
    for (const session of this.#sessions)
      for (const [i, node] of session.entries()) session[i - 1]?.edges.add(node)
    for (const node of this.#nodes) for (const [, from] of node.reads) from.edges.add(node)
  }

  /** Of each session the last writer of a key that a transaction must see: those before it in the session follow from it. */
  *#mustSee(
    node: Node,
    key: number,
    clocks: ReadonlyMap<Node, Clock> | undefined,
    readFrom: ReadonlyMap<number, readonly Node[]>,
  ): Iterable<Node> {
    const sessions = this.#writers.get(key) ?? []
    if (clocks !== undefined) {
      const clock = clocks.get(node)!
      for (const [session, writers] of sessions) {
        const last = lastBefore(writers, clock.get(session) ?? 0)
        if (last !== undefined) yield last
      }
      return
    }
    const own = this.#writers.get(key)?.get(node.transaction.session)
    const before = own && lastBefore(own, node.place)
    if (before !== undefined) yield before
    yield* readFrom.get(key) ?? []
  }

  /** All transactions in an order that the edges allow; undefined, and told, if there is none. */
  #sorted(): readonly Node[] | undefined {
    const waitsFor = new Map<Node, number>(this.#nodes.map((node) => [node, 0]))
    for (const { edges } of this.#nodes) for (const to of edges) waitsFor.set(to, waitsFor.get(to)! + 1)
    const order = this.#nodes.filter((node) => waitsFor.get(node) === 0)
    for (const node of order) {
      for (const to of node.edges) {
        const left = waitsFor.get(to)! - 1
        waitsFor.set(to, left)
        if (left === 0) order.push(to)
      }
    }
    if (order.length === this.#nodes.length) return order
    const placed = new Set(order)
    this.#fault(`no order of all transactions: ${cycleIn(this.#nodes.filter((node) => !placed.has(node)))}`)
    return undefined
  }

  #fault(what: string): void {
    if (this.#found.length < FOUND_MAX) this.#found.push(what)
  }
}

const NOBODY: ReadonlyMap<number, readonly Node[]> = new Map()

/** Of each key that a transaction read, who wrote it of those that it read anything from. */
function writersReadFrom({ reads }: Node): ReadonlyMap<number, readonly Node[]> {
  const writers = new Map<number, Node[]>(reads.map(([key]) => [key, []]))
  for (const from of new Set(reads.map(([, each]) => each)))
    for (const key of from.writes.keys()) writers.get(key)?.push(from)
  return writers
}

/** Of each session, how many of its transactions come before. */
type Clock = Map<number, number>

function causalClocks(order: readonly Node[]): ReadonlyMap<Node, Clock> {
  const clocks = new Map<Node, Clock>(order.map((node) => [node, new Map()]))
  for (const node of order) {
    const clock = clocks.get(node)!
    const { session } = node.transaction
    for (const to of node.edges) {
      const after = clocks.get(to)!
      for (const [of, count] of clock) if (count > (after.get(of) ?? 0)) after.set(of, count)
      if (node.place + 1 > (after.get(session) ?? 0)) after.set(session, node.place + 1)
    }
  }
  return clocks
}

function lastBefore(writers: readonly Node[], place: number): Node | undefined {
  let [from, to] = [0, writers.length]
  while (from < to) {
    const middle = (from + to) >> 1
    if (writers[middle]!.place < place) from = middle + 1
    else to = middle
  }
  return writers[from - 1]
}

/** Each of these waits for another one of them: going back from any comes round. */
function cycleIn(left: readonly Node[]): string {
  const among = new Set(left)
  const before = new Map<Node, Node>()
  for (const node of left) for (const to of node.edges) if (among.has(to)) before.set(to, node)
  const seen: Node[] = []
  let at: Node = left[0]!
  while (!seen.includes(at)) {
    seen.push(at)
    at = before.get(at)!
  }
  const cycle = [...seen.slice(seen.indexOf(at)), at].reverse()
  return cycle.map(({ transaction }) => `t${transaction.id}`).join(' < ')
}
