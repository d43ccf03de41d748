import type { Cut } from '../../../../src/core/cut.js'
import { covers } from '../../../../src/core/cut.js'
import type { Decision, StoredWrite } from '../../../../src/core/decision.js'
import { History } from '../../../../src/core/history.js'
import { HybridClock, hlcAt } from '../../../../src/core/hlc.js'
import {
  ATTEMPT_ENTROPY_BYTES,
  type Attempt,
  makeAttempt,
  makeOrigin,
  makeTxnId,
  type Origin,
  TXN_ID_ENTROPY_BYTES,
  type TxnId,
} from '../../../../src/core/ids.js'
import { blobKey, blobName, txnMinute } from '../../../../src/core/layout.js'
import { modeOf } from '../../../../src/core/modes.js'
import type { Placed } from '../../../../src/core/publication.js'
import { compareStamps, type Stamp } from '../../../../src/core/version.js'
import { DEFAULT_LIMITS } from '../../../../src/limits.js'
import { Membership } from '../../../../src/node/cluster/membership.js'
import type { Peers } from '../../../../src/node/cluster/peers.js'
import { Collector } from '../../../../src/node/collecting/collector.js'
import { Departures } from '../../../../src/node/collecting/departures.js'
import { Minutes } from '../../../../src/node/collecting/minutes.js'
import type { CollectingParts } from '../../../../src/node/collecting/parts.js'
import { Snapshots } from '../../../../src/node/collecting/snapshots.js'
import { Decisions } from '../../../../src/node/committing/decisions.js'
import { DEFAULT_CONFIG, type NodeConfig } from '../../../../src/node/config.js'
import { Counters } from '../../../../src/node/counters.js'
import { Budget } from '../../../../src/node/executors/budget.js'
import { NO_UPSTREAM, OpenTransaction } from '../../../../src/node/executors/transaction.js'
import { Bases } from '../../../../src/node/reading/bases.js'
import { Cache } from '../../../../src/node/reading/cache.js'
import { Reads } from '../../../../src/node/reading/reads.js'
import { ValueCache } from '../../../../src/node/reading/value-cache.js'
import { Adoption } from '../../../../src/node/sharing/adoption.js'
import { Ledger } from '../../../../src/node/sharing/ledger.js'
import type { Repair } from '../../../../src/node/sharing/repair.js'
import type { StateTransfer } from '../../../../src/node/sharing/state-transfer.js'
import { CatchUp } from '../../../../src/node/starting/catch-up.js'
import type { NodeState } from '../../../../src/node/state.js'
import type { World } from '../../../../src/node/world.js'
import { SILENT } from '../../../../src/ports/log.js'
import { createMemoryStorage } from '../../../../src/storage/memory.js'
import { createFaultyStorage, type FaultyStorage } from '../../../../src/testing/faulty-storage.js'
import { type SimClock, type Simulation, simulate } from '../../../../src/testing/sim-clock.js'
import { packState, unpackState } from '../../../../src/wire/publications.js'
import { Life, mortal, type OnCall } from '../../../support/incarnation.js'
import { Witness } from '../../../support/witness.js'
import { Stored } from './stored.js'

export const MINUTE_MS = 60_000
export const LEASE_TTL_MS = 10_000
/** A value of this length is stored apart from its decision. */
export const LARGE = 'large '.repeat(20)

const CONFIG: NodeConfig = {
  ...DEFAULT_CONFIG,
  nodeId: '',
  leaseTtlMs: LEASE_TTL_MS,
  // So small that most reads ask storage.
  cacheBytesMax: 4_096,
  inlineValueBytesMax: 32,
  deadlineMsMax: 30 * MINUTE_MS,
  idempotencyWindowMs: 60 * MINUTE_MS,
}

interface Committed extends Stamp {
  readonly attempt: Attempt
  readonly result: Uint8Array | undefined
  readonly writes: ReadonlyMap<string, string | null>
}

/** A snapshot that some transaction reads, and what it saw when it began. */
export interface Snapshot {
  readonly node: CollectingNode
  readonly transaction: OpenTransaction
  readonly saw: ReadonlySet<TxnId>
}

/**
 * Nodes without sessions and network: the real history, ledger, caches, reads, decisions, membership, adoption, start and
 * collection, over one storage. Decisions go from node to node directly, in the order in which they were made. An oracle
 * knows each snapshot's set of transactions.
 */
export class CollectingCluster {
  readonly sim: Simulation
  readonly clock: SimClock
  readonly witness = new Witness(createMemoryStorage())
  readonly storage: FaultyStorage
  readonly stored: Stored
  readonly nodes: CollectingNode[] = []
  readonly committed = new Map<TxnId, Committed>()
  readonly snapshots = new Set<Snapshot>()
  readonly config: NodeConfig
  #booted = 0

  constructor(seed = 1, config: Partial<NodeConfig> = {}, minutesBack = 20) {
    this.sim = simulate(seed)
    this.clock = this.sim.clock
    this.storage = createFaultyStorage(this.witness, { clock: this.clock, random: this.sim.random })
    this.stored = new Stored(this.witness, this.clock, minutesBack)
    this.config = { ...CONFIG, ...config }
  }

  get live(): CollectingNode[] {
    return this.nodes.filter(({ life }) => life.isAlive)
  }

  newId(agoMs = 0): TxnId {
    return makeTxnId(Math.floor(this.clock.now()) - agoMs, this.sim.random.bytes(TXN_ID_ENTROPY_BYTES))
  }

  /** From a live node's state, as most start; or from storage, as the first does. */
  async boot(nodeId: string, from?: CollectingNode): Promise<CollectingNode> {
    const node = await CollectingNode.open(this, nodeId, `${nodeId} ${++this.#booted}`)
    await node.start(from)
    this.nodes.push(node)
    return node
  }

  until<T>(promise: Promise<T>): Promise<T> {
    return this.clock.until(promise)
  }

  /** Leases, and what is to be collected, are told: a lag and two renewals. */
  async settle(): Promise<void> {
    await this.clock.advance(6_000)
  }

  /** Every key's value in a set of transactions. */
  expected(key: string, saw: ReadonlySet<TxnId>): string | null {
    let newest: Committed | undefined
    for (const txn of saw) {
      const committed = this.committed.get(txn)!
      if (!committed.writes.has(key)) continue
      if (newest === undefined || compareStamps(committed, newest) > 0) newest = committed
    }
    return newest?.writes.get(key) ?? null
  }

  get keys(): string[] {
    return [...new Set([...this.committed.values()].flatMap(({ writes }) => [...writes.keys()]))]
  }

  /** I1, I2, I9: every live snapshot reads what it would have read when it began, key by key. */
  async checkReads(): Promise<void> {
    const now = this.live.map((node) => node.snapshot())
    for (const snapshot of [...this.snapshots, ...now]) {
      const { node, transaction, saw } = snapshot
      if (!node.life.isAlive || !node.membership.isFresh()) continue
      for (const key of this.keys) {
        const [value] = await this.until(Promise.resolve(node.reads.read(transaction, [key])))
        const found = value === null || value === undefined ? null : Buffer.from(value).toString()
        const due = this.expected(key, saw)
        if (found !== due) throw new Error(`${key} at ${node.origin} is ${found}, where ${due} is due`)
      }
    }
    for (const snapshot of now) snapshot.node.end(snapshot)
  }

  /** What a node decided, to all others that live. */
  tell(from: CollectingNode, origin: Origin, seq: number, placed: Placed): void {
    for (const node of this.live) if (node !== from) node.hear(origin, seq, placed)
  }

  async close(): Promise<void> {
    for (const node of this.nodes) node.life.die()
    if (this.witness.broken.length > 0) throw new Error(this.witness.broken.join('; '))
  }
}

export class CollectingNode {
  readonly life = new Life()
  readonly origin: Origin
  readonly state: NodeState
  readonly membership: Membership
  readonly snapshots: Snapshots
  readonly collector: Collector
  readonly parts: CollectingParts
  readonly reads: Reads
  readonly adoption: Adoption
  /** The oracle's: what a snapshot that begins here sees. */
  readonly visible = new Set<TxnId>()
  /** Decides what becomes of the node at each of its storage operations. */
  strike: OnCall = () => undefined
  readonly #cluster: CollectingCluster
  readonly #minutes: Minutes
  readonly #departures: Departures
  readonly #bases: Bases
  readonly #waiting: (readonly [Origin, number, Placed])[] = []
  /** Held back, until it is told to hear. */
  isDeaf = false
  #blobs = 0

  static async open(cluster: CollectingCluster, nodeId: string, seed: string): Promise<CollectingNode> {
    const minutes = await cluster.until(
      Minutes.open(
        cluster.storage,
        cluster.clock.now(),
        cluster.config.clockSkewMsMax,
        cluster.config.idempotencyWindowMs,
      ),
    )
    return new CollectingNode(cluster, nodeId, minutes, seed)
  }

  private constructor(cluster: CollectingCluster, nodeId: string, minutes: Minutes, seed: string) {
    this.#cluster = cluster
    const { clock, sim, storage } = cluster
    const all = { clock, random: sim.random, storage, log: SILENT } as unknown as World
    const world = mortal(all, this.life, (call, operation) => this.strike(call, operation))
    const config = { ...cluster.config, nodeId }
    const hybrid = new HybridClock()
    const counters = new Counters()
    const history = new History()
    const cache = new Cache(config.cacheBytesMax)
    const values = new ValueCache(world.storage, cache, counters)
    const bases = new Bases(world.storage, cache, counters)
    const decisions = new Decisions(world, hybrid, config.resolveMsMax)
    const entropy = Buffer.from(seed.padEnd(ATTEMPT_ENTROPY_BYTES)).subarray(0, ATTEMPT_ENTROPY_BYTES)
    this.origin = makeOrigin(nodeId, hlcAt(clock.now()), entropy)
    const ledger = new Ledger(this.origin, history, hybrid, values, bases, counters)
    const budget = new Budget(config.heldBytesMax)
    const life = { epoch: 0 }
    this.state = { world, config, clock: hybrid, history, ledger, decisions, counters, budget, life }
    ledger.listen({
      onPublished: (at, txn, decision) => {
        this.visible.add(txn)
        cluster.tell(this, at.origin, at.seq, { txn, kind: 'decided', publication: decision })
      },
      onSettled: (txn) => this.snapshots.ended(txn, true),
      onTouched() {},
    })
    this.snapshots = new Snapshots(clock, history, () =>
      [...cluster.snapshots]
        .filter(({ node }) => node === this)
        .map(({ transaction }) => transaction.start.cut),
    )
    this.membership = new Membership(world, config, this.origin, {
      report: () => ({
        low: this.snapshots.low(history.cut(), this.membership.counted().length <= 1),
        applied: history.cut(),
        departed: this.#departures.learned,
      }),
      onMembers: () => undefined,
      onGone: () => undefined,
      onReturn: () => this.#return(),
      onSuperseded: () => this.life.die(),
    })
    this.#departures = new Departures({
      state: this.state,
      membership: this.membership,
      onLearned: () => undefined,
      onDeparted: () => this.life.die(),
    })
    this.#minutes = minutes
    this.#bases = bases
    this.adoption = new Adoption({
      world,
      history,
      ledger,
      minutes,
      decisions,
      publishDelayMs: 2,
      reach: async () => false,
      membership: { isLive: () => false, isFresh: () => this.membership.isFresh() },
      learn: () => this.#departures.learn(),
      onMet: () => undefined,
      onAdopted: () => undefined,
    })
    this.parts = {
      state: this.state,
      membership: this.membership,
      minutes,
      departures: this.#departures,
      values,
      adopt: () => this.adoption.look(0),
      adoptOne: (txn, decision) => this.adoption.adopt(txn, decision),
      onCompacted: (origin, through) => ledger.compact(origin, through),
    }
    this.collector = new Collector(this.parts)
    this.reads = new Reads({
      history,
      values,
      bases,
      limits: DEFAULT_LIMITS,
      isFresh: () => this.membership.isFresh(),
      life,
      hold: (cut) => this.snapshots.hold(cut),
    })
  }

  async start(from: CollectingNode | undefined): Promise<void> {
    await this.#cluster.until(this.#start(from))
  }

  async #start(from: CollectingNode | undefined): Promise<void> {
    await this.membership.join(undefined)
    this.snapshots.caughtUp(await this.#catchUp(from).boot(from !== undefined))
    if (from === undefined) for (const txn of this.#cluster.committed.keys()) this.visible.add(txn)
    await this.membership.serve()
  }

  /** What the network does of it is a peer that answers at once with its state. */
  #catchUp(from?: CollectingNode): CatchUp {
    const install = async (): Promise<void> => {
      if (from === undefined) return
      this.state.ledger.install(unpackState(packState(from.state.history.state())))
      for (const txn of from.visible) this.visible.add(txn)
    }
    return new CatchUp({
      state: this.state,
      minutes: this.#minutes,
      departures: this.#departures,
      bases: this.#bases,
      adoption: this.adoption,
      repair: { reach: async () => false } as unknown as Repair,
      transfer: { install } as unknown as StateTransfer,
      peers: {
        up: () => (from?.life.isAlive ? [{ address: from.origin }] : []),
        byOrigin: () => undefined,
      } as unknown as Peers,
      onOutlived: () => this.life.die(),
    })
  }

  async #return(): Promise<void> {
    const { life } = this.state
    const { epoch } = life
    const { published } = this.snapshots
    this.snapshots.caughtUp(await this.#catchUp().return(published, () => this.snapshots.forgetAll()))
    if (life.epoch === epoch) return
    for (const snapshot of this.#cluster.snapshots)
      if (snapshot.node === this) this.#cluster.snapshots.delete(snapshot)
  }

  snapshot(): Snapshot {
    const start = {
      txn: this.#cluster.newId(),
      attempt: this.attempt(),
      deadlineMs: Number.POSITIVE_INFINITY,
      mode: modeOf('read-atomic'),
      keyed: false,
      cut: this.state.history.cut(),
      upstream: NO_UPSTREAM,
    }
    const transaction = new OpenTransaction(start, DEFAULT_LIMITS, this.state.life)
    const snapshot = { node: this, transaction, saw: new Set(this.visible) }
    this.#cluster.snapshots.add(snapshot)
    return snapshot
  }

  end(snapshot: Snapshot): void {
    this.#cluster.snapshots.delete(snapshot)
  }

  attempt(): Attempt {
    const { clock, sim } = this.#cluster
    return makeAttempt(this.state.clock.tick(clock.now()), sim.random.bytes(ATTEMPT_ENTROPY_BYTES))
  }

  /** Writes a decision, as a coordinator does. `silent`: the node dies before anyone hears of it. */
  async commit(
    writes: Readonly<Record<string, string | null>>,
    options: {
      readonly txn?: TxnId
      readonly cut?: Cut
      readonly silent?: boolean
      readonly claimed?: boolean
      readonly hasResult?: boolean
    } = {},
  ): Promise<TxnId> {
    const {
      txn = this.#cluster.newId(),
      cut = this.state.history.cut(),
      silent = false,
      claimed = false,
      hasResult = true,
    } = options
    const attempt = this.attempt()
    const { storage } = this.#cluster
    const stored: StoredWrite[] = []
    for (const [key, value] of Object.entries(writes)) {
      if (value === null) stored.push({ key, value: { kind: 'tombstone' } })
      else if (value.length <= this.state.config.inlineValueBytesMax)
        stored.push({ key, value: { kind: 'inline', bytes: Buffer.from(value) } })
      else {
        const blob = blobName(attempt, `v${this.origin}:${this.#blobs++}`)
        await storage.put([{ ...blobKey(txn, blob), value: Buffer.from(value) }])
        stored.push({ key, value: { kind: 'blob', blob, size: value.length } })
      }
    }
    const announced = this.#minutes.announcement(txnMinute(txn), this.#cluster.clock.now())
    if (announced !== undefined)
      await storage.put([{ bucket: `late/${announced}`, id: txn, value: new Uint8Array(0) }])
    const hlc = this.state.clock.tick(this.#cluster.clock.now())
    const result = hasResult ? Buffer.from(`result of ${txn}`) : undefined
    const decision: Decision = { status: 'committed', attempt, hlc, cut, writes: stored, claimed, result }
    await this.state.decisions.decide(txn, decision, () => undefined)
    this.#cluster.committed.set(txn, { txn, hlc, attempt, result, writes: new Map(Object.entries(writes)) })
    if (silent) this.life.die()
    else this.state.ledger.publish(txn, decision)
    return txn
  }

  hear(origin: Origin, seq: number, placed: Placed): void {
    this.#waiting.push([origin, seq, placed])
    if (!this.isDeaf) this.listen()
  }

  /** Applies what was heard, each origin in its order and each decision after what it read. */
  listen(): void {
    this.isDeaf = false
    const { history, ledger } = this.state
    for (let isMoving = true; isMoving; ) {
      isMoving = false
      for (const [i, [origin, seq, placed]] of this.#waiting.entries()) {
        if (seq > history.seqOf(origin) + 1) continue
        if (placed.kind === 'decided' && !covers(history.cut(), placed.publication.cut)) continue
        this.#waiting.splice(i, 1)
        if (seq === history.seqOf(origin) + 1) {
          ledger.receive({ origin, seq }, placed)
          this.visible.add(placed.txn)
        }
        isMoving = true
        break
      }
    }
  }

  /** One round, to its end or to the node's death. Whatever makes it fail is for the next one. */
  async collect(): Promise<void> {
    const { clock } = this.#cluster
    const round = this.collector.round().catch((error: unknown) => {
      if ((error as { readonly name?: string }).name !== 'VirgaError') throw error
    })
    await clock.until(Promise.race([round, this.life.death]))
  }

  /** Rounds until there is nothing more to do. Rejects if one fails. */
  async collectAll(): Promise<void> {
    while (await this.#cluster.until(this.collector.round())) {}
  }
}
