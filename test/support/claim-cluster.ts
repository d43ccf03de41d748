import { type Cut, covers } from '../../src/core/cut.js'
import { type Commit, type Decision, isCommit, type Try } from '../../src/core/decision.js'
import { History } from '../../src/core/history.js'
import { HybridClock, hlcAt } from '../../src/core/hlc.js'
import { makeAttempt, makeOrigin, makeTxnId, type Origin, type TxnId } from '../../src/core/ids.js'
import { guardKey } from '../../src/core/layout.js'
import { VirgaError } from '../../src/errors.js'
import { Claims } from '../../src/node/committing/claims.js'
import { Decisions } from '../../src/node/committing/decisions.js'
import type { World } from '../../src/node/world.js'
import { SILENT } from '../../src/ports/log.js'
import type { Random } from '../../src/ports/random.js'
import type { Storage } from '../../src/ports/storage.js'
import { createMemoryStorage } from '../../src/storage/memory.js'
import {
  createFaultyStorage,
  type FaultyStorage,
  type StorageOperation,
} from '../../src/testing/faulty-storage.js'
import { type SimClock, simulate } from '../../src/testing/sim-clock.js'
import { decodeGuard } from '../../src/wire/records.js'

const RESOLVE_MS = 5_000

/** What happens to an operation of a node, by its number: undefined, nothing; `die`: before its effect, or after. */
export type Strike = (call: number, operation: StorageOperation) => 'die before' | 'die after' | undefined

/**
 * Nodes as far as commits need them: real claims, decisions and histories over one storage, which each node reaches
 * through faults of its own. Publications wait in a log until a node pulls them.
 */
export class ClaimCluster {
  readonly clock: SimClock
  readonly random: Random
  readonly storage = createMemoryStorage()
  readonly log = new Map<Origin, { readonly txn: TxnId; readonly decision: Decision }[]>()
  readonly nodes: readonly ClaimNode[]
  /** Every id that was begun. */
  readonly ids = new Set<TxnId>()

  constructor(seed: number, latencyMsMax = 30) {
    const { clock, random } = simulate(seed)
    this.clock = clock
    this.random = random
    this.nodes = ['n0', 'n1', 'n2'].map((name) => new ClaimNode(this, name, latencyMsMax))
  }

  newId(agoMs = 0): TxnId {
    return makeTxnId(Math.floor(this.clock.now()) - agoMs, this.random.bytes(10))
  }

  async guard(key: string): Promise<ReturnType<typeof decodeGuard> | undefined> {
    const [record] = await this.storage.get([guardKey(key)])
    return record && decodeGuard(record)
  }

  /** All that committed, from storage. */
  async decisions(): Promise<ReadonlyMap<TxnId, Decision>> {
    const out = new Map<TxnId, Decision>()
    for (const id of this.ids) {
      const standing = await new Decisions(this.nodes[0]!.plain, new HybridClock(), RESOLVE_MS).find(id)
      if (standing?.status === 'committed') out.set(id, standing)
    }
    return out
  }

  /** The newest number of a key, and how many transactions added one to it. They differ when an update was lost. */
  async reckon(key: string): Promise<{ readonly value: number; readonly commits: number }> {
    let value = 0
    let hlc = 0
    let commits = 0
    for (const decision of (await this.decisions()).values()) {
      const write = decision.writes.find((each) => each.key === key)
      if (write === undefined) continue
      commits++
      if (decision.hlc > hlc) {
        hlc = decision.hlc
        value = numberOf(write.value)
      }
    }
    return { value, commits }
  }
}

export interface Opened {
  readonly by: Try
  readonly cut: Cut
  readonly deadlineMs: number
}

export class ClaimNode {
  readonly counters = { conflicts: 0, claimWaits: 0, claimsFenced: 0 }
  readonly history = new History()
  readonly clock = new HybridClock()
  readonly storage: FaultyStorage
  readonly claims: Claims
  readonly decisions: Decisions
  readonly adopted: TxnId[] = []
  readonly origin: Origin
  /** Reaches storage without faults. */
  readonly plain: World
  strike: Strike = () => undefined
  isFresh = true
  isAlive = true
  calls = 0
  readonly #cluster: ClaimCluster

  constructor(cluster: ClaimCluster, name: string, latencyMsMax: number) {
    const { clock, random } = cluster
    this.#cluster = cluster
    this.origin = makeOrigin(name, hlcAt(clock.now()), random.bytes(5))
    cluster.log.set(this.origin, [])
    this.storage = createFaultyStorage(cluster.storage, { clock, random, latencyMsMax })
    this.plain = { clock, random, storage: cluster.storage, log: SILENT } as unknown as World
    const world: World = { ...this.plain, storage: this.#mortal(this.storage) }
    this.decisions = new Decisions(world, this.clock, RESOLVE_MS)
    this.claims = new Claims({
      world,
      clock: this.clock,
      decisions: this.decisions,
      history: this.history,
      counters: this.counters,
      fresh: () => this.isFresh,
      adopt: (txn) => this.adopt(txn),
    })
  }

  begin(txn: TxnId, deadlineMs = this.#cluster.clock.now() + 300_000): Opened {
    this.#cluster.ids.add(txn)
    const attempt = makeAttempt(this.clock.tick(this.#cluster.clock.now()), this.#cluster.random.bytes(5))
    return { by: { txn, attempt }, cut: this.history.cut(), deadlineMs }
  }

  /** Claims, decides, applies and publishes, as a coordinator does. Adds one to each key. */
  async commit({ by, cut, deadlineMs }: Opened, keys: readonly string[]): Promise<Commit> {
    const writes = await Promise.all(keys.map((key) => this.#increment(key, cut)))
    const claimed = await this.claims.claim(by, cut, keys, deadlineMs)
    const decision: Decision = {
      status: 'committed',
      attempt: by.attempt,
      hlc: this.clock.tick(this.#cluster.clock.now()),
      cut,
      writes,
      claimed: true,
      result: undefined,
    }
    try {
      const stands = await this.decisions.decide(by.txn, decision, () => undefined)
      if (stands.status === 'committed') this.#publish(by.txn, stands)
      return stands
    } catch (error) {
      if (VirgaError.is(error) && error.outcome === 'definite') await claimed.release()
      throw error
    }
  }

  /** Attempts until the id has committed. */
  async increment(txn: TxnId, keys: readonly string[], attemptsMax = 200): Promise<Commit> {
    for (let round = 0; ; round++) {
      this.pull()
      try {
        const standing = await this.decisions.find(txn)
        if (isCommit(standing)) return standing
        return await this.commit(this.begin(txn), keys)
      } catch (error) {
        if (!VirgaError.is(error) || !error.retryable || round >= attemptsMax) throw error
      }
      const waitMs = Math.min(1_000, 5 * 2 ** round) * (0.5 + this.#cluster.random.fraction() / 2)
      await new Promise<void>((resolve) => this.#cluster.clock.timer(waitMs, resolve))
    }
  }

  /** Applies what others have published, each after its cut. */
  pull(): void {
    for (let isMoving = true; isMoving; ) {
      isMoving = false
      for (const [origin, published] of this.#cluster.log) {
        const next = published[this.history.seqOf(origin)]
        if (next === undefined || !covers(this.history.cut(), next.decision.cut)) continue
        this.#apply(origin, next.txn, next.decision)
        isMoving = true
      }
    }
  }

  async adopt(txn: TxnId): Promise<void> {
    this.adopted.push(txn)
    this.pull()
    if (this.history.has(txn)) return
    const standing = await this.decisions.find(txn)
    if (standing?.status === 'committed') this.#publish(txn, standing)
  }

  #publish(txn: TxnId, decision: Decision): void {
    this.pull()
    if (this.history.has(txn)) return
    this.#cluster.log.get(this.origin)!.push({ txn, decision })
    this.#apply(this.origin, txn, decision)
  }

  #apply(origin: Origin, txn: TxnId, decision: Decision): void {
    this.clock.observe(decision.hlc)
    this.history.apply(txn, decision, { origin, seq: this.history.seqOf(origin) + 1 })
  }

  async #increment(key: string, cut: Cut): Promise<Decision['writes'][number]> {
    const version = this.history.read(key, cut)
    let value = 0
    if (version !== undefined) {
      const decision = await new Decisions(this.plain, new HybridClock(), RESOLVE_MS).find(
        version.applied.txn,
      )
      if (decision?.status !== 'committed') throw new Error(`the decision of ${version.applied.txn} is gone`)
      value = numberOf(decision.writes[version.index]!.value)
    }
    return { key, value: { kind: 'inline', bytes: Uint8Array.of((value + 1) >> 8, (value + 1) & 0xff) } }
  }

  /** Once it is dead, nothing it waits for comes. */
  #mortal(storage: Storage): Storage {
    const call = async <T>(operation: StorageOperation, run: () => Promise<T>): Promise<T> => {
      const fate = this.isAlive ? this.strike(this.calls++, operation) : 'die before'
      if (fate !== undefined) this.isAlive = false
      if (fate === 'die before') return NEVER
      const result = await run()
      return this.isAlive ? result : NEVER
    }
    return {
      durability: storage.durability,
      get: (keys) => call('get', () => storage.get(keys)),
      put: (entries) => call('put', () => storage.put(entries)),
      compareAndSwap: (key, expected, next) =>
        call('compareAndSwap', () => storage.compareAndSwap(key, expected, next)),
      delete: (keys) => call('delete', () => storage.delete(keys)),
      list: (bucket, options) => storage.list(bucket, options),
      close: () => storage.close(),
    }
  }
}

const NEVER = new Promise<never>(() => undefined)

function numberOf(value: Decision['writes'][number]['value']): number {
  if (value.kind !== 'inline') throw new Error(`a number was due, not a ${value.kind}`)
  return value.bytes[0]! * 256 + value.bytes[1]!
}
