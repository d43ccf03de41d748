import type { Cut } from '../core/cut.js'
import { History } from '../core/history.js'
import { HybridClock, hlcAt } from '../core/hlc.js'
import { ATTEMPT_ENTROPY_BYTES, isNodeId, makeOrigin, type Origin, type TxnId } from '../core/ids.js'
import { VirgaError } from '../errors.js'
import type { Timer } from '../ports/clock.js'
import type { NodeAddress } from '../ports/network.js'
import { type ContextSigning, contextSigning, type MacFactory } from '../wire/context.js'
import { Membership } from './cluster/membership.js'
import { PeerServer } from './cluster/peer-server.js'
import { Peers } from './cluster/peers.js'
import { Seeker } from './cluster/seeker.js'
import { Collector } from './collecting/collector.js'
import { Departures } from './collecting/departures.js'
import { Minutes } from './collecting/minutes.js'
import { Snapshots } from './collecting/snapshots.js'
import { Claims } from './committing/claims.js'
import { Coordinator } from './committing/coordinator.js'
import { Decisions } from './committing/decisions.js'
import type { NodeConfig } from './config.js'
import { Admission } from './contexts/admission.js'
import { Handoffs } from './contexts/handoffs.js'
import { HeldWriteSets } from './contexts/held-write-sets.js'
import { KnownContexts } from './contexts/known-contexts.js'
import { Pins } from './contexts/pins.js'
import { WriteSets } from './contexts/write-sets.js'
import { Counters } from './counters.js'
import { Budget } from './executors/budget.js'
import { Requests } from './executors/requests.js'
import { Sessions } from './executors/sessions.js'
import { SWEEP_MS, Transactions } from './executors/transactions.js'
import { type Inspection, inspection } from './inspection.js'
import { Bases } from './reading/bases.js'
import { Cache } from './reading/cache.js'
import { Reads } from './reading/reads.js'
import { ValueCache } from './reading/value-cache.js'
import { Adoption } from './sharing/adoption.js'
import { Inbox } from './sharing/inbox.js'
import { Ledger } from './sharing/ledger.js'
import { Publisher } from './sharing/publisher.js'
import { Repair } from './sharing/repair.js'
import { StateTransfer } from './sharing/state-transfer.js'
import { Subscriber } from './sharing/subscriber.js'
import { CatchUp } from './starting/catch-up.js'
import { checkFormat, clusterKey } from './starting/cluster-records.js'
import type { NodeState } from './state.js'
import { View } from './view/view.js'
import type { World } from './world.js'

const DRAIN_LOOK_MS = 10

/**
 * A cache node: parts wired to each other, and their life cycle. It serves when it has all that the cluster has, and stops
 * when what is under way is decided.
 */
export class CacheNode {
  readonly origin: Origin
  /** Resolves when the node has stopped: with the reason, if it did so by itself. */
  readonly ended: Promise<string | undefined>
  #end!: (why: string | undefined) => void
  #why: string | undefined
  readonly #state: NodeState
  readonly #cache: Cache
  readonly #known = new KnownContexts()
  readonly #held: HeldWriteSets
  readonly #snapshots: Snapshots
  readonly #pins: Pins
  readonly #minutes: Minutes
  readonly #membership: Membership
  readonly #peers: Peers
  readonly #seeker: Seeker
  readonly #peerServer: PeerServer
  readonly #inbox: Inbox
  readonly #repair: Repair
  readonly #adoption: Adoption
  readonly #publisher: Publisher
  readonly #catchUp: CatchUp
  readonly #collector: Collector
  readonly #departures: Departures
  readonly #transactions: Transactions
  readonly #requests: Requests
  readonly #sessions: Sessions
  readonly #view: View
  #address: NodeAddress | undefined
  #serving = false
  #sweeper: Timer | undefined
  #unstranding: Promise<void> | undefined
  #stopping: Promise<void> | undefined

  /** Catches up, then serves. Rejects if it can't: storage, network and listener are then for the caller to close. */
  static async start(world: World, config: NodeConfig, macOf: MacFactory): Promise<CacheNode> {
    if (!isNodeId(config.nodeId)) {
      throw new VirgaError(
        'InvalidArgument',
        `a node id has 1 to 64 letters, digits, dots, dashes: got ${config.nodeId}`,
      )
    }
    const { storage, clock, random } = world
    await checkFormat(storage)
    const key = await clusterKey(storage, (bytes) => random.bytes(bytes))
    const { clockSkewMsMax, idempotencyWindowMs } = config
    const minutes = await Minutes.open(storage, clock.now(), clockSkewMsMax, idempotencyWindowMs)
    const node = new CacheNode(world, config, contextSigning(key, macOf), minutes)
    try {
      await node.#boot()
    } catch (error) {
      node.#halt()
      // Its lease would count as one that needs all there is.
      await node.#membership.leave()
      throw error
    }
    return node
  }

  private constructor(world: World, config: NodeConfig, signing: ContextSigning, minutes: Minutes) {
    const { clock, random, storage } = world
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
    const hybrid = new HybridClock()
    const counters = new Counters()
    const history = new History()
    const cache = new Cache(config.cacheBytesMax)
    const values = new ValueCache(storage, cache, counters)
    const bases = new Bases(storage, cache, counters, {
      isFresh: () => this.#membership.isFresh(),
      onCleared: () => this.#view.reset(),
    })
    const { endedMax, unresolvedMax } = config.bounds
    const onLeft = (): void => this.#membership.lookForOwn()
    const decisions = new Decisions(world, hybrid, config.resolveMsMax, { max: unresolvedMax, onLeft })
    this.origin = makeOrigin(config.nodeId, hlcAt(clock.now()), random.bytes(ATTEMPT_ENTROPY_BYTES))
    const ledger = new Ledger(this.origin, history, hybrid, values, bases, counters)
    const state: NodeState = {
      world,
      config,
      clock: hybrid,
      history,
      ledger,
      decisions,
      counters,
      budget: new Budget(config.heldBytesMax),
      life: { epoch: 0 },
    }
    this.#state = state
    this.#cache = cache
    this.#minutes = minutes
    this.#held = new HeldWriteSets(state.budget)
    this.#pins = new Pins(world)
    this.#snapshots = new Snapshots(clock, history, () => this.#sessions.cuts(), endedMax)
    this.#view = new View({ state, values, bases, snapshots: this.#snapshots })
    this.#membership = new Membership(world, config, this.origin, {
      report: () => ({
        low: this.#snapshots.low(
          history.cut(),
          this.#membership.counted().length <= 1 && !this.#view.isInUse,
        ),
        applied: history.cut(),
        departed: this.#departures.learned,
      }),
      onMembers: (members) => this.#peers.follow(members),
      onGone: (origin) => this.#gone(origin),
      onReturn: () => this.#return(),
      onSuperseded: (by) => this.#stopAlone(`another node has taken the id of this one, which stops: ${by}`),
    })
    minutes.follow(() => this.#membership.aheadMs)
    const isLive = (origin: Origin): boolean => this.#membership.isLive(origin)
    const isFresh = (): boolean => this.#membership.isFresh()
    const subscriber = new Subscriber(state, {
      inbox: () => this.#inbox,
      repair: () => this.#repair,
      isFresh,
      onEnded: (txn) => this.#settled(txn, false),
    })
    this.#peers = new Peers(world, config, this.origin, counters, subscriber)
    this.#seeker = new Seeker(clock, this.#membership, this.#peers)
    this.#inbox = new Inbox({
      state,
      learned: () => this.#departures.learned,
      isLive,
      listedAtMs: () => this.#adoption.listedAtMs,
      onStranded: (origin) => this.#unstrand(origin),
      onApplied: () => this.#repair.moved(),
    })
    const transfer = new StateTransfer(state, () => this.#departures.learned)
    this.#repair = new Repair({
      state,
      inbox: this.#inbox,
      peers: this.#peers,
      install: async (peer) => {
        await transfer.install(peer)
        this.#inbox.pump()
        this.#repair.moved()
      },
    })
    this.#adoption = new Adoption({
      world,
      history,
      ledger,
      minutes,
      decisions,
      publishDelayMs: config.publishDelayMs,
      reach: (cut, waitMs) => this.#repair.reach(cut, waitMs),
      membership: this.#membership,
      learn: () => this.#departures.learn(),
      onMet: (txn) => this.#endedEverywhere(txn),
      onAdopted: () => this.#inbox.pump(),
    })
    this.#publisher = new Publisher(world, config, this.origin, {
      hasSubscribers: () => this.#peers.count > 0 || counters.peerRequests > 0,
      heartbeat: () => ({ applied: history.cut(), compacted: history.compacted }),
    })
    ledger.listen({
      onPublished: (at, txn, decision) => this.#publisher.decided(at, txn, decision),
      onSettled: (txn) => this.#settled(txn),
      onTouched: (versions) => this.#view.touched(versions),
    })
    this.#departures = new Departures({
      state,
      membership: this.#membership,
      onLearned: () => this.#inbox.pump(),
      onDeparted: () => this.#stopAlone('this node was taken for dead and has departed: it must start anew'),
    })
    this.#catchUp = new CatchUp({
      state,
      minutes,
      departures: this.#departures,
      bases,
      adoption: this.#adoption,
      repair: this.#repair,
      transfer,
      peers: this.#peers,
      onOutlived: () => this.#stopAlone('this node was away for too long: it must start anew'),
    })
    this.#collector = new Collector({
      state,
      membership: this.#membership,
      minutes,
      departures: this.#departures,
      values,
      adopt: () => this.#adoption.look(),
      adoptOne: (txn, decision) => this.#adoption.adopt(txn, decision),
      onCompacted: (origin, through) => ledger.compact(origin, through),
    })
    const writeSets = new WriteSets({ state, held: this.#held, find: (origin) => this.#seeker.find(origin) })
    const admission = new Admission({
      world,
      snapshots: this.#snapshots,
      membership: this.#membership,
      peers: this.#peers,
      leaseTtlMs: config.leaseTtlMs,
      keptMax: config.bounds.keptMax,
    })
    this.#peerServer = new PeerServer({
      state,
      values,
      transfer,
      writeSets,
      admission,
      isServing: () => this.#serving,
      address: () => this.#address!,
      onGreeted: (origin) => this.#greeted(origin),
    })
    const reach = (cut: Cut, hint: Origin): Promise<boolean> => this.#reach(cut, hint)
    const handoffs = new Handoffs({
      state,
      pins: this.#pins,
      held: this.#held,
      writeSets,
      snapshots: this.#snapshots,
      admission,
      reach,
      flush: () => this.#publisher.flush(),
      recordOf: (cut) => this.#view.recordOf(cut),
      namedCutOf: (record) => this.#view.namedCutOf(record),
      signing,
      known: this.#known,
    })
    this.#transactions = new Transactions({
      state,
      handoffs,
      adoption: this.#adoption,
      reach,
      membership: this.#membership,
      view: this.#view,
    })
    const claims = new Claims({
      world,
      decisions,
      history,
      counters,
      clock: hybrid,
      sightingsMax: config.bounds.sightingsMax,
      fresh: (cut) => isFresh() && this.#snapshots.isLive(cut),
      adopt: (txn) => this.#adoption.follow(txn),
    })
    this.#requests = new Requests(state, {
      transactions: this.#transactions,
      reads: new Reads({
        history,
        values,
        bases,
        limits: config.limits,
        isFresh,
        hold: (cut) => this.#snapshots.hold(cut),
        life: state.life,
      }),
      coordinator: new Coordinator({
        state,
        minutes,
        adoption: this.#adoption,
        claims,
        gather: (transaction) => handoffs.prepare(transaction),
      }),
      handoffs,
      adoption: this.#adoption,
      view: this.#view,
      onEnded: (txn) => this.#endedEverywhere(txn),
      inspect: () => this.inspect(),
    })
    this.#sessions = new Sessions(state, this.#transactions, this.#requests, this.#view, {
      type: 'welcome',
      node: config.nodeId,
      origin: this.origin,
      contextKey: signing.key,
      sessionTimeoutMs: config.sessionTimeoutMs,
      requestsMax: config.requestsPerSessionMax,
      ...config.limits,
    })
  }

  /** What the node has counted, and what it holds now. */
  inspect(): Inspection {
    return inspection(this.#state, {
      sessions: this.#sessions,
      transactions: this.#transactions,
      cache: this.#cache,
      pins: this.#pins,
      snapshots: this.#snapshots,
      membership: this.#membership,
      peers: this.#peers,
      inbox: this.#inbox,
      view: this.#view,
      address: this.#address,
    })
  }

  /**
   * Begins nothing more, waits for what is open (`drainMsMax` at most), tells the executors and the other nodes, and closes
   * socket, network and storage. Idempotent.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop().finally(() => this.#end(this.#why))
    return this.#stopping
  }

  async #boot(): Promise<void> {
    const { world } = this.#state
    const { clock, network } = world
    this.#address = await network.listen({
      onRequest: (from, frame) => this.#peerServer.receive(from, frame),
      onRefused: (why) => this.#peerServer.refused(why),
    })
    this.#peers.open()
    await this.#membership.join(this.#address)
    const floor = await this.#catchUp.boot(this.#peers.count > 0)
    this.#snapshots.caughtUp(floor)
    await this.#minutes.keepAhead(clock.now())
    this.#serving = true
    await this.#membership.serve()
    await world.listener.listen(this.#sessions)
    this.#publisher.start()
    this.#collector.start()
    this.#sweepLater()
    world.log.info(
      {
        origin: this.origin,
        address: this.#address.requests,
        decisions: this.#state.history.decisions,
        storage: world.storage.durability,
      },
      'serving',
    )
  }

  async #stop(): Promise<void> {
    const { clock, listener, network, storage, log } = this.#state.world
    this.#transactions.drain()
    // So that nothing begins there. What has begun may go on, and asks the node.
    this.#view.close()
    log.info({ origin: this.origin, open: this.#transactions.open }, 'stopping')
    const until = clock.monotonic() + this.#state.config.drainMsMax
    while ((this.#transactions.open > 0 || this.#requests.deciding > 0) && clock.monotonic() < until) {
      await new Promise<void>((resolve) => clock.timer(DRAIN_LOOK_MS, resolve))
    }
    // Nobody may be told of what is not in a view that may still be read.
    await new Promise<void>((resolve) => clock.timer(this.#view.waitMs(), resolve))
    this.#sessions.closeAll()
    await listener.close()
    await this.#collector.stop()
    this.#publisher.stop()
    await this.#membership.leave()
    this.#halt()
    await network.close()
    await storage.close()
    log.info({ origin: this.origin }, 'stopped')
  }

  /** Ends what goes on by itself. */
  #halt(): void {
    this.#serving = false
    this.#sweeper?.cancel()
    this.#view.close()
    this.#publisher.stop()
    this.#membership.halt()
    this.#state.decisions.stop()
    this.#adoption.stop()
    this.#repair.stop()
    this.#peers.close()
  }

  /** Nothing of the transaction will be asked for again. */
  #settled(txn: TxnId, isDecided = true): void {
    this.#held.drop(txn)
    this.#known.drop(txn)
    this.#pins.end(txn)
    this.#snapshots.ended(txn, isDecided)
  }

  #endedEverywhere(txn: TxnId): void {
    this.#settled(txn, false)
    this.#publisher.ended(txn)
  }

  async #reach(cut: Cut, hint: Origin): Promise<boolean> {
    if (await this.#repair.reach(cut, this.#state.config.reachMsMax, hint)) return true
    return this.#catchUp.recover(cut)
  }

  /** Who greets has just joined, unless it is known. */
  #greeted(origin: Origin): void {
    if (!this.#serving) return
    this.#inBackground(
      this.#seeker.lives(origin).then(() => undefined),
      'a node that joins could not be looked for',
    )
  }

  /** A member is gone: what it decided last, nobody may have heard of. One of those who live looks for it. */
  #gone(origin: Origin): void {
    if (!this.#serving) return
    this.#inbox.pump()
    if (origin === this.origin || this.#membership.isPicked(`gone ${origin}`)) this.#adoption.lookUntilDone()
  }

  /** Something waits for an origin that does not seem to live: it may have joined just now. */
  #unstrand(origin: Origin): void {
    this.#unstranding ??= (async () => {
      if (!(await this.#seeker.lives(origin))) await this.#adoption.look()
    })().finally(() => {
      this.#unstranding = undefined
    })
    this.#inBackground(this.#unstranding, 'storage could not be looked through: it is tried again')
  }

  async #return(): Promise<void> {
    const { life, counters } = this.#state
    const { epoch } = life
    const { published } = this.#snapshots
    const floor = await this.#catchUp.return(published, () => this.#snapshots.forgetAll())
    if (life.epoch !== epoch) counters.lapses++
    this.#snapshots.caughtUp(floor)
  }

  /** Going on would do no harm, and be of no use: whoever runs the node starts it again. */
  #stopAlone(why: string): void {
    this.#state.world.log.error({ origin: this.origin }, why)
    this.#why = why
    this.#inBackground(this.stop(), 'the node could not stop')
  }

  #inBackground(running: Promise<void>, what: string): void {
    running.catch((error: unknown) => this.#state.world.log.warn({ err: error }, what))
  }

  #sweepLater(): void {
    this.#sweeper = this.#state.world.clock.timer(SWEEP_MS, () => {
      const now = this.#state.world.clock.now()
      this.#sessions.sweep(now)
      this.#held.dropExpired(now)
      this.#snapshots.dropExpired(now)
      this.#pins.endExpired(now)
      this.#inBackground(this.#pins.sweep(), 'what durable handoffs left could not be deleted yet')
      this.#repair.retry()
      this.#inbox.pump()
      this.#inBackground(this.#minutes.keepAhead(now), 'the ceiling could not be raised; commits will')
      this.#sweepLater()
    })
  }
}
