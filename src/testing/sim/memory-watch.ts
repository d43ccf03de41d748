import type { Origin } from '../../core/ids.js'
import { DEFAULT_CONFIG } from '../../node/config.js'
import type { Inspection } from '../../node/inspection.js'
import type { CacheNode } from '../../node/node.js'
import type { Violation } from '../checkers/history.js'
import type { SimCluster } from './sim-cluster.js'

const LOOK_EVERY_MS = 250
const FOUND_MAX = 10
/** What waits for the next sweep of a node, and the one after it where that was just missed. */
const SWEEP_MS = 2_000
/** So much later than its deadline a snapshot is let go, since clocks differ. */
const SNAPSHOT_MARGIN_MS = 30_000
/** In which a round of collection writes down how far it came, where nothing is in its way. */
const ROUND_MS = 2_000

/**
 * I10 while a cluster works: looks at what each node holds, time and again, and compares it with what the node was told
 * to hold at most, and with what there is to be held. What a node holds when nothing happens any more is another matter: see
 * `checkLeftovers`.
 */
export class MemoryWatch {
  readonly found: Violation[] = []
  readonly #cluster: SimCluster
  /** By node, since when more waits there than there is to wait for. */
  readonly #waitingSinceMs = new Map<CacheNode, number>()
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
      this.#lookAtAll()
      this.start()
    })
  }

  #lookAtAll(): void {
    const { plan, machines } = this.#cluster
    const limits = { ...this.#told(), ...this.#decided() }
    const lag = plan.isCalm && plan.plot === undefined ? this.#lagging() : {}
    for (const { name, node, isPaused } of machines) {
      if (node === undefined) continue
      const inspection = node.inspect()
      this.#look(name, inspection, { ...limits, ...lag })
      this.#lookAtWaiting(name, node, isPaused, inspection)
    }
  }

  /** What waits is not applied. What came by another way is seen when the node sweeps, which one that stands still does not. */
  #lookAtWaiting(name: string, node: CacheNode, isPaused: boolean, inspection: Inspection): void {
    const givenOut = this.#cluster.givenOut()
    const placesWaiting = givenOut === undefined ? Number.POSITIVE_INFINITY : missing(inspection, givenOut)
    const nowMs = this.#cluster.clock.monotonic()
    const isMore = new Map(inspection.counters).get('placesWaiting')! > placesWaiting
    if (isPaused || !isMore) this.#waitingSinceMs.delete(node)
    else if (!this.#waitingSinceMs.has(node)) this.#waitingSinceMs.set(node, nowMs)
    else if (nowMs - this.#waitingSinceMs.get(node)! > SWEEP_MS)
      this.#look(name, inspection, { placesWaiting })
  }

  /** What its operator told a node. */
  #told(): Record<string, number> {
    const { plan } = this.#cluster
    const { cacheBytesMax, heldBytesMax, transactionsMax } = { ...DEFAULT_CONFIG, ...plan.config }
    return {
      cacheBytes: cacheBytesMax,
      heldBytes: heldBytesMax,
      transactionsOpen: transactionsMax,
      viewBytes: plan.view.capacityBytes,
    }
  }

  /** Nothing is held twice, nor anything that was never decided. */
  #decided(): Record<string, number> {
    return sizeOf([...this.#cluster.recorder.committed.values()])
  }

  /**
   * Where nothing is in the way, what is held is what is written while it is collected. A decision leaves the chains of all
   * nodes within a round and a heartbeat after its record has become a marker; a snapshot that was handed over, and a pin, are let
   * go at their deadline at the latest, which the node that sets it and the one that keeps it read from clocks that differ.
   */
  #lagging(): Record<string, number> {
    const { recorder, clock, plan } = this.#cluster
    const { deadlineMs, collectEveryMs, heartbeatMs } = { ...DEFAULT_CONFIG, ...plan.config }
    const nowMs = clock.monotonic()
    const heardMs = nowMs - (ROUND_MS + 2 * collectEveryMs + 2 * heartbeatMs)
    const inChains = [...recorder.committed.values()].filter(({ txn }) => {
      const shrunkAt = recorder.shrunk.get(txn)
      return shrunkAt === undefined || recorder.log.msOf(shrunkAt) >= heardMs
    })
    const pinnedMs = nowMs - (deadlineMs + SWEEP_MS + 2 * plan.skewMsMax)
    const keptMs = pinnedMs - SNAPSHOT_MARGIN_MS
    const handoffs = [...recorder.handoffs.values()]
    return {
      ...sizeOf(inChains),
      pins: handoffs.filter(({ durableMs }) => durableMs >= pinnedMs).length,
      handedOver: handoffs.filter(({ lastMs }) => lastMs >= keptMs).length,
    }
  }

  #look(name: string, { counters }: Inspection, limits: Readonly<Record<string, number>>): void {
    const held = new Map(counters)
    for (const [what, max] of Object.entries(limits)) {
      const count = held.get(what)
      if (count === undefined) throw new Error(`nodes count no ${what}`)
      if (count <= max || this.found.length >= FOUND_MAX) continue
      this.found.push({ rule: 'I10 memory', what: `${name} holds ${count} ${what}, and may hold ${max}` })
    }
  }
}

/** Places that others gave out and that are not applied here. */
function missing({ applied }: Inspection, givenOut: ReadonlyMap<Origin, number>): number {
  let count = 0
  for (const [origin, seq] of givenOut) count += Math.max(0, seq - (applied.get(origin) ?? 0))
  return count
}

function sizeOf(committed: readonly { readonly writes: ReadonlyMap<string, unknown> }[]): {
  decisions: number
  versions: number
} {
  return {
    decisions: committed.length,
    versions: committed.reduce((sum, { writes }) => sum + writes.size, 0),
  }
}
