import { History } from '../core/history.js'
import { HybridClock, hlcAt } from '../core/hlc.js'
import { ATTEMPT_ENTROPY_BYTES, isNodeId, makeOrigin, type Origin } from '../core/ids.js'
import { VirgaError } from '../errors.js'
import type { Timer } from '../ports/clock.js'
import { PROTOCOL_VERSION } from '../wire/messages.js'
import { Minutes } from './collecting/minutes.js'
import { Coordinator } from './committing/coordinator.js'
import { Decisions } from './committing/decisions.js'
import type { NodeConfig } from './config.js'
import { Handoffs } from './contexts/handoffs.js'
import { Pins } from './contexts/pins.js'
import { Counters } from './counters.js'
import { Budget } from './executors/budget.js'
import { type Inspection, Requests } from './executors/requests.js'
import { Sessions } from './executors/sessions.js'
import { SWEEP_MS, Transactions } from './executors/transactions.js'
import { Reads } from './reading/reads.js'
import { ValueCache } from './reading/value-cache.js'
import { Ledger } from './sharing/ledger.js'
import { checkFormat, clusterKey, restore } from './starting/boot.js'
import type { NodeState } from './state.js'
import type { World } from './world.js'

/** Makes the authentication code of contexts, from the cluster's key. */
export type MacFactory = (key: Uint8Array) => (payload: Uint8Array) => Uint8Array

const DRAIN_LOOK_MS = 10

/**
 * A cache node: parts wired to each other, and their life cycle. It starts when it has read what storage holds, and stops
 * when what is under way is decided.
 */
export class CacheNode {
  readonly origin: Origin
  readonly #state: NodeState
  readonly #values: ValueCache
  readonly #handoffs: Handoffs
  readonly #pins: Pins
  readonly #minutes: Minutes
  readonly #transactions: Transactions
  readonly #requests: Requests
  readonly #sessions: Sessions
  #sweeper: Timer | undefined
  #stopping: Promise<void> | undefined

  /** Reads storage, then serves. Rejects if it can't: storage and listener are then for the caller to close. */
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
    const minutes = await Minutes.open(storage, clock.now(), config.clockSkewMsMax)
    const node = new CacheNode(world, config, macOf(key), minutes)
    await restore(storage, minutes, node.#state.ledger, node.#state.history, node.#pins, clock.now())
    await minutes.keepAhead(clock.now())
    await world.listener.listen((peer, frame) => node.#sessions.receive(peer, frame))
    node.#sweepLater()
    world.log.info(
      { origin: node.origin, decisions: node.#state.history.decisions, storage: storage.durability },
      'serving',
    )
    return node
  }

  private constructor(
    world: World,
    config: NodeConfig,
    mac: (payload: Uint8Array) => Uint8Array,
    minutes: Minutes,
  ) {
    const { clock, random, storage } = world
    const hybrid = new HybridClock()
    const counters = new Counters()
    const history = new History()
    const values = new ValueCache(storage, config.cacheBytesMax, counters)
    const decisions = new Decisions(world, hybrid, config.resolveMsMax)
    this.origin = makeOrigin(config.nodeId, hlcAt(clock.now()), random.bytes(ATTEMPT_ENTROPY_BYTES))
    const ledger = new Ledger(this.origin, history, hybrid, values, counters)
    const budget = new Budget(config.heldBytesMax)
    const state: NodeState = { world, config, clock: hybrid, history, ledger, decisions, counters, budget }
    const pins = new Pins(world)
    const handoffs = new Handoffs(state, pins, mac)
    const transactions = new Transactions(state, handoffs)
    this.#requests = new Requests(state, {
      transactions,
      reads: new Reads(history, values, config.limits),
      coordinator: new Coordinator(state, minutes),
      handoffs,
      pins,
      inspect: () => this.inspect(),
    })
    this.#sessions = new Sessions(state, transactions, this.#requests, {
      type: 'welcome',
      node: config.nodeId,
      origin: this.origin,
      sessionTimeoutMs: config.sessionTimeoutMs,
      requestsMax: config.requestsPerSessionMax,
      ...config.limits,
    })
    this.#state = state
    this.#minutes = minutes
    this.#values = values
    this.#handoffs = handoffs
    this.#pins = pins
    this.#transactions = transactions
  }

  /** What the node has counted, and what it holds now. */
  inspect(): Inspection {
    return {
      counters: [
        ...this.#state.counters.entries(),
        ['sessions', this.#sessions.count],
        ['transactionsOpen', this.#transactions.open],
        ['keys', this.#state.history.keys],
        ['versions', this.#state.history.versions],
        ['decisions', this.#state.history.decisions],
        ['cacheBytes', this.#values.bytes],
        ['heldBytes', this.#state.budget.bytes],
        ['pins', this.#pins.size],
        ['protocolVersion', PROTOCOL_VERSION],
      ],
      notes: [
        ['node', this.#state.config.nodeId],
        ['origin', this.origin],
        ['consistency', this.#state.config.consistency],
        ['storage', this.#state.world.storage.durability],
      ],
    }
  }

  /**
   * Begins nothing more, waits for what is open (`drainMsMax` at most), tells the executors, and closes socket and
   * storage. Idempotent.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    const { clock, listener, storage, log } = this.#state.world
    log.info({ origin: this.origin, open: this.#transactions.open }, 'stopping')
    this.#transactions.drain()
    const until = clock.monotonic() + this.#state.config.drainMsMax
    while ((this.#transactions.open > 0 || this.#requests.deciding > 0) && clock.monotonic() < until) {
      await new Promise<void>((resolve) => clock.timer(DRAIN_LOOK_MS, resolve))
    }
    this.#sweeper?.cancel()
    this.#state.decisions.stop()
    this.#sessions.closeAll()
    await listener.close()
    await storage.close()
    log.info({ origin: this.origin }, 'stopped')
  }

  #sweepLater(): void {
    this.#sweeper = this.#state.world.clock.timer(SWEEP_MS, () => {
      const now = this.#state.world.clock.now()
      this.#sessions.sweep(now)
      this.#handoffs.held.dropExpired(now)
      this.#pins.endExpired(now)
      void this.#pins.sweep()
      this.#minutes.keepAhead(now).catch((error: unknown) => {
        this.#state.world.log.warn(
          { err: error },
          'the ceiling could not be raised ahead; commits will raise it',
        )
      })
      this.#sweepLater()
    })
  }
}
