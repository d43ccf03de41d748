/** A node is killed in the middle of collecting: whatever it had done by then, all read what they should, and it goes on. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect } from 'vitest'
import {
  allConnected,
  type Cluster,
  type ClusterNode,
  type Strike,
  startCluster,
  within,
} from './cluster-processes.js'
import { converged, readAll } from './convergence.js'

const SMALL_KEYS = Array.from({ length: 60 }, (_, i) => `small ${i}`)
/** Their values lie apart from decisions and bases, and are deleted when they are superseded. */
const LARGE_KEYS = Array.from({ length: 4 }, (_, i) => `large ${i}`)
const KEYS = [...SMALL_KEYS, ...LARGE_KEYS]
const LARGE = 'x'.repeat(40_000)
const NODES = 3
const TRANSACTIONS = 40
const KEYS_PER_TRANSACTION = 5
const STRUCK_MS = 15_000
/** A dead node's lease lapses, and its last decisions are looked for. */
const TAKEN_OVER_MS = 20_000
const COLLECTED_MS = 20_000
const QUICK = { leaseTtlMs: 1_000, collectEveryMs: 100 }

/** The steps of a round, in their order, each before it is done and after, with others of its kind under way. */
export const STEPS = {
  'the watermark': { operation: 'compareAndSwap', bucket: 'cluster', id: 'watermark' },
  'a base': { operation: 'compareAndSwap', bucket: 'base/' },
  'a tombstone': { operation: 'put', bucket: 'tombstone/' },
  'large values that are superseded': { operation: 'delete', bucket: 'value/' },
  markers: { operation: 'put', bucket: 'decision/' },
  'what is compacted': { operation: 'compareAndSwap', bucket: 'cluster', id: 'compacted' },
} as const satisfies Record<string, Pick<Strike, 'operation' | 'bucket' | 'id'>>

/** Kills nodes at one step of a round of collection, before it and after, and holds what is read to what was written. */
export async function killedAt(step: (typeof STEPS)[keyof typeof STEPS]): Promise<void> {
  const cluster = await startCluster({ node: QUICK })
  const books = cluster.nodes.map((node, i) => new Books(node, i))
  for (const [round, moment] of (['before', 'after'] as const).entries()) {
    await Promise.all(books.map((each) => each.write()))
    const struck = books[round + 1]!
    const watches = cluster.nodes.filter((node) => node !== struck.node).map((node) => new Watch(node))
    await struck.node.strike({ ...step, moment, fate: 'die' })
    const writing = keepWriting(struck)
    await hasDied(struck.node)
    // Those who are left take over what it had decided and not collected.
    await within(TAKEN_OVER_MS, () => allRead(books, watches))
    await struck.node.restart()
    writing.end()
    await writing.ended
    await allConnected(cluster.nodes)
    // What the restarted one is to collect.
    await struck.write()
    await within(COLLECTED_MS, () => isCollected(cluster))
    for (const watch of watches) await watch.end()
    expect(await converged(cluster.nodes, KEYS)).toEqual(expectedOf(books))
  }
  // All from bases, with nothing in memory.
  for (const node of cluster.nodes) {
    await node.restart()
    expect(await readAll(node.virga, KEYS), node.id).toEqual(expectedOf(books))
    expect(await node.count('internalErrors'), node.id).toBe(0)
    expect(await node.count('collectionsFailed'), node.id).toBe(0)
  }
}

/** What one node writes: each key is of one node, so that the last one to be acknowledged stands. */
class Books {
  readonly node: ClusterNode
  readonly keys: readonly string[]
  readonly expected = new Map<string, string | undefined>()
  #underWay: readonly string[] = []
  #writes = 0

  constructor(node: ClusterNode, index: number) {
    this.node = node
    this.keys = KEYS.filter((_, i) => i % NODES === index)
  }

  async write(transactions = TRANSACTIONS): Promise<void> {
    for (let i = 0; i < transactions; i++) await this.#writeSome()
  }

  async #writeSome(): Promise<void> {
    const first = this.#writes * KEYS_PER_TRANSACTION
    const writes = Array.from({ length: KEYS_PER_TRANSACTION }, (_, i): [string, string | undefined] => {
      const key = this.keys[(first + i) % this.keys.length]!
      return [key, writtenAs(key, ++this.#writes)]
    })
    this.#underWay = writes.map(([key]) => key)
    await this.node.virga.transaction((tx) => {
      for (const [key, value] of writes) {
        if (value === undefined) tx.delete(key)
        else tx.put(key, value)
      }
    })
    for (const [key, value] of writes) this.expected.set(key, value)
    this.#underWay = []
  }

  /** Of what is acknowledged. */
  check(read: ReadonlyMap<string, unknown>): void {
    for (const [key, value] of this.expected)
      if (!this.#underWay.includes(key)) expect(read.get(key), key).toBe(value)
  }
}

function isLarge(key: string): boolean {
  return key.startsWith('large')
}

/** Deleted every now and then. */
function isMortal(key: string): boolean {
  return key.endsWith('7')
}

function writtenAs(key: string, n: number): string | undefined {
  if (isLarge(key)) return `${n} ${LARGE}`
  return isMortal(key) && n % 2 === 0 ? undefined : `${n}`
}

function expectedOf(books: readonly Books[]): readonly unknown[] {
  const all = new Map(books.flatMap(({ expected }) => [...expected]))
  return KEYS.map((key) => all.get(key))
}

function keepWriting(books: Books): { readonly ended: Promise<void>; end(): void } {
  let isEnding = false
  const run = async (): Promise<void> => {
    while (!isEnding) await books.write(1)
  }
  const ended = run()
  // Told when it is waited for.
  ended.catch(() => undefined)
  return {
    ended,
    end: () => {
      isEnding = true
    },
  }
}

/** Reads over and over: no key goes back to what it was, or is gone. */
class Watch {
  readonly node: ClusterNode
  readonly #seen = new Map<string, number>()
  readonly #watching: Promise<void>
  #isEnding = false

  constructor(node: ClusterNode) {
    this.node = node
    this.#watching = this.#watch()
    // Told when it ends.
    this.#watching.catch(() => undefined)
  }

  end(): Promise<void> {
    this.#isEnding = true
    return this.#watching
  }

  async #watch(): Promise<void> {
    while (!this.#isEnding) {
      const values = await readAll(this.node.virga, KEYS)
      for (const [i, key] of KEYS.entries()) {
        const value = values[i]
        if (value === undefined && isMortal(key)) continue
        const n = Number.parseInt(String(value ?? 0), 10)
        expect(n, `${key} on ${this.node.id}`).toBeGreaterThanOrEqual(this.#seen.get(key) ?? 0)
        this.#seen.set(key, n)
      }
      // Cached reads wait for nothing: what strikes the nodes must have its turn.
      await nextTurn()
    }
  }
}

async function hasDied(node: ClusterNode): Promise<void> {
  await within(STRUCK_MS, async () => {
    if (!node.hasEnded) throw new Error(`${node.id} was not struck: it never came to that step`)
  })
}

async function allRead(books: readonly Books[], watches: readonly Watch[]): Promise<void> {
  for (const { node } of watches) {
    const values = await readAll(node.virga, KEYS)
    const read = new Map(KEYS.map((key, i) => [key, values[i]]))
    for (const each of books) each.check(read)
  }
}

/** On all nodes, no chain is left, and the restarted one collects what is written there. */
async function isCollected({ nodes }: Cluster): Promise<void> {
  for (const node of nodes) {
    expect(await node.count('versions'), node.id).toBe(0)
    expect(await node.count('compactedDecisions'), node.id).toBeGreaterThan(0)
  }
}
