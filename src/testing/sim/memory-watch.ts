import type { Violation } from '../checkers/history.js'
import type { SimCluster } from './sim-cluster.js'

const LOOK_EVERY_MS = 250
const FOUND_MAX = 10

/**
 * I10 while a cluster works: looks at what each node holds, time and again, and compares it with what the node was told
 * to hold at most. What a node holds when nothing happens any more is another matter: see `checkLeftovers`.
 */
export class MemoryWatch {
  readonly found: Violation[] = []
  readonly #cluster: SimCluster
  #isOver = false

  constructor(cluster: SimCluster) {
    this.#cluster = cluster
  }

  stop(): void {
    this.#isOver = true
  }

  start(): void {
    this.#cluster.clock.timer(LOOK_EVERY_MS, () => {
      if (this.#isOver) return
      for (const { name, node } of this.#cluster.machines) {
        if (node !== undefined) this.#look(name, new Map(node.inspect().counters))
      }
      this.start()
    })
  }

  #look(name: string, counters: ReadonlyMap<string, number>): void {
    const { cacheBytesMax, heldBytesMax, transactionsMax } = this.#cluster.plan.config
    const limits = { cacheBytes: cacheBytesMax, heldBytes: heldBytesMax, transactionsOpen: transactionsMax }
    for (const [what, max] of Object.entries(limits)) {
      const count = counters.get(what)
      if (count === undefined) throw new Error(`nodes count no ${what}`)
      if (max === undefined || count <= max || this.found.length >= FOUND_MAX) continue
      this.found.push({ rule: 'I10 memory', what: `${name} holds ${count} ${what}, and may hold ${max}` })
    }
  }
}
