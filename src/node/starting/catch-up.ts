import type { Cut } from '../../core/cut.js'
import { HLC_ZERO, type Hlc } from '../../core/hlc.js'
import type { Origin, TxnId } from '../../core/ids.js'
import {
  CLUSTER_COMPACTED,
  CLUSTER_SWEPT,
  decisionKey,
  orderBucket,
  pinBuckets,
  txnMinute,
} from '../../core/layout.js'
import { VirgaError } from '../../errors.js'
import { mark } from '../../marks.js'
import {
  decodeCompacted,
  decodeMinute,
  decodeOrder,
  decodePin,
  decodeStanding,
  type Watermark,
} from '../../wire/records.js'
import type { Peers } from '../cluster/peers.js'
import { getAll } from '../collecting/batches.js'
import type { Departures } from '../collecting/departures.js'
import { floorBelow, type Joined, joinWatermark, tellRestored } from '../collecting/join-watermark.js'
import type { Minutes } from '../collecting/minutes.js'
import type { Bases } from '../reading/bases.js'
import type { Adoption } from '../sharing/adoption.js'
import type { Repair } from '../sharing/repair.js'
import type { StateTransfer } from '../sharing/state-transfer.js'
import type { NodeState } from '../state.js'

/** How long a peer is waited for that may be able to tell all. */
const PEER_WAIT_MS = 1_500
const PEER_LOOK_MS = 25
/** How long what peers know is fetched before storage is asked. */
const REACH_MS = 3_000

export interface CatchUpParts {
  readonly state: NodeState
  readonly minutes: Minutes
  readonly departures: Departures
  readonly bases: Bases
  readonly adoption: Adoption
  readonly repair: Repair
  readonly transfer: StateTransfer
  readonly peers: Peers
  /** What is in the chains here can't be told from what is gone any more: the node must stop, and start anew. */
  readonly onOutlived: () => void
}

/**
 * Brings a node up to what the cluster has: when it starts, and when it was out of touch for so long that others may have
 * collected what it does not know.
 *
 * The order of things is what makes it right. The lease is there first, then the watermark record is joined: from then on
 * no watermark is raised that was computed without this node. What the record says then is what the node must have before
 * it begins a snapshot. From a peer: its state is newer than the low vector that it last told, which is at or above that
 * watermark. From storage: every full record is adopted, and the compacted vector is read only after, so what became a
 * marker meanwhile is in the bases, and counts as seen by all. A crash on the way costs another start and no more.
 */
export class CatchUp {
  readonly #parts: CatchUpParts
  /** A decision that storage was last found to have in bases alone. */
  #marker: TxnId | undefined

  constructor(parts: CatchUpParts) {
    this.#parts = parts
  }

  async boot(mayHavePeers: boolean): Promise<Cut> {
    const { state, adoption } = this.#parts
    const joined = await joinWatermark(state.world.storage)
    await this.#parts.departures.learn()
    await this.#parts.minutes.refresh()
    const installed = mayHavePeers && (await this.#installFromPeer())
    mark(installed ? 'boot.from-a-peer' : 'boot.from-storage')
    if (!installed) await this.#restore()
    // A node that left in peace may have been parted from the others: they do not know its last decisions yet.
    else await adoption.look(0)
    await this.#reach(joined, installed)
    await this.#restorePinnedOrders()
    return this.#floor(joined)
  }

  /**
   * The lease was renewed after a lapse. Returns a cut that sees what the watermark in force does, and that this node has.
   * @param low what this node's open snapshots all include: if the watermark is below, nothing that they need is gone
   * @param forget what was kept before does not count. In the step in which an epoch begins: what is taken up in that one must
   * not be taken for kept by what was kept in another
   */
  async return(low: Cut, forget: () => void): Promise<Cut> {
    const { state, bases, minutes } = this.#parts
    const joined = await joinWatermark(state.world.storage)
    // Others may have passed minutes without this node.
    await minutes.refresh()
    const floor = floorBelow(low, joined, state.history)
    if (floor !== undefined) {
      await this.#parts.departures.learn()
      // Of an origin that has departed meanwhile there may be more in the bases than what is open here sees.
      if (!state.history.lacksDeparted(low)) {
        await this.#checkOutlived()
        mark('member.back-unharmed')
        return floor
      }
    }
    mark('member.back-too-old')
    // Before anything is dropped here on what others say.
    state.life.epoch++
    bases.clear()
    await this.#parts.departures.learn()
    await this.#reach(joined, true)
    await this.#dropCompacted()
    await this.#checkOutlived()
    // What was read meanwhile may be older than what others collected meanwhile, of decisions that never came here.
    bases.clear()
    // And what began meanwhile does not see all of it.
    state.life.epoch++
    forget()
    return this.#floor(joined)
  }

  /**
   * What all that begins here from now on sees, and no less than the watermark. What that sees was found in storage where
   * nobody could tell the places of the dead any more: then this node's own vector is it, and the record says so, so that what
   * begins here can be told from what is too old after the next crash. What is in the bases and in no vector yet (a round of
   * collection that ended in between) it sees as well, and names by a place of its own: who covers that knows of it, too.
   */
  async #floor(joined: Joined): Promise<Cut> {
    const { history, world } = this.#parts.state
    const known = [joined.cut, ...joined.restored].find((cut) => history.covers(cut))
    if (known !== undefined) return known
    if (this.#marker !== undefined) this.#parts.state.ledger.passOwn(this.#marker)
    const here = history.cut()
    await tellRestored(world.storage, joined, here)
    mark('boot.restored-otherwise')
    return here
  }

  /** What storage says to be compacted, by the places that it has here. */
  async #dropCompacted(): Promise<void> {
    const { world, ledger } = this.#parts.state
    const [record] = await world.storage.get([CLUSTER_COMPACTED])
    if (record === undefined) return
    for (const [origin, seq] of decodeCompacted(record).cut) ledger.compact(origin, seq)
  }

  /**
   * A decision in the chains here whose marker is gone was compacted by others, who had it at a place that this node may never hear
   * of: nothing would take it out of the chains, and if a tombstone came after it, that may be gone as well. Rejects with `Closed`.
   */
  async #checkOutlived(): Promise<void> {
    const { world, history, ledger } = this.#parts.state
    const [record] = await world.storage.get([CLUSTER_SWEPT])
    if (record === undefined) return
    const swept = decodeMinute(record)
    for (const txn of history.txns()) {
      if (txnMinute(txn) >= swept) continue
      this.#parts.onOutlived()
      throw new VirgaError('Closed', `${ledger.origin} was away for too long: it must start anew`)
    }
  }

  /**
   * A cut that nobody who lives can tell of. What durable handoffs needed is in storage: the orders of the origins that it
   * names, and the decisions. False: this one is not.
   */
  async recover(cut: Cut): Promise<boolean> {
    const { state, adoption } = this.#parts
    const orders = await this.#storedOrders([...cut.keys()].filter((origin) => this.#lacks(cut, origin)))
    for (const [origin, places] of orders) if (!places.has(cut.get(origin)!)) return false
    await adoption.look(0)
    await this.#takePlaces(orders)
    const isCovered = state.history.covers(cut)
    if (isCovered) mark('repair.recovered')
    return isCovered
  }

  /**
   * Lets the pinned cuts of origins that nobody knows be read. Whatever stands in an order was decided before: a look that
   * begins after the order was read finds it. Without that, a place would be passed whose decision is not here, and the
   * cut be taken for one that can be read.
   */
  async #restorePinnedOrders(): Promise<void> {
    const { state, peers } = this.#parts
    const origins = new Set<Origin>()
    for (const bucket of pinBuckets()) {
      for await (const { value } of state.world.storage.list(bucket, { values: true })) {
        if (value === undefined) continue
        const { cut } = decodePin(value)
        for (const origin of cut.keys())
          if (this.#lacks(cut, origin) && peers.byOrigin(origin) === undefined) origins.add(origin)
      }
    }
    if (origins.size === 0) return
    mark('boot.orders')
    const orders = await this.#storedOrders(origins)
    await this.#parts.adoption.look(0)
    await this.#takePlaces(orders)
  }

  #lacks(cut: Cut, origin: Origin): boolean {
    return !this.#parts.state.history.includes({ origin, seq: cut.get(origin) ?? 0 })
  }

  async #storedOrders(origins: Iterable<Origin>): Promise<Map<Origin, Map<number, TxnId>>> {
    const orders = new Map<Origin, Map<number, TxnId>>()
    for (const origin of origins) {
      const places = new Map<number, TxnId>()
      orders.set(origin, places)
      const listed = this.#parts.state.world.storage.list(orderBucket(origin), { values: true })
      for await (const { value } of listed) {
        if (value === undefined) continue
        const { first, txns } = decodeOrder(value)
        for (const [i, txn] of txns.entries()) places.set(first + i, txn)
      }
    }
    return orders
  }

  /**
   * All that stands there and was not compacted has been adopted. The rest is in the bases, which may then be ahead of what is in
   * the chains here: up to which clock must be known before any of its places is taken.
   */
  async #takePlaces(orders: ReadonlyMap<Origin, ReadonlyMap<number, TxnId>>): Promise<void> {
    const { history, ledger } = this.#parts.state
    const unknown = [...orders.values()].flatMap((places) =>
      [...places.values()].filter((txn) => !history.has(txn)),
    )
    const { hlc, whole } = await this.#standingsOf(unknown)
    for (const [origin, places] of orders) {
      for (;;) {
        const seq = history.seqOf(origin) + 1
        const txn = places.get(seq)
        // One that was not adopted after all is not in the bases either.
        if (txn === undefined || (whole.has(txn) && !history.has(txn))) break
        if (history.has(txn)) ledger.pass({ origin, seq }, txn)
        else ledger.receive({ origin, seq }, { txn, kind: 'compacted', hlc })
      }
    }
  }

  /**
   * Up to which clock these are compacted, and which of them are not. Markers are read first: what one that is gone would have
   * said, the record says.
   */
  async #standingsOf(txns: readonly TxnId[]): Promise<{ hlc: Hlc; whole: ReadonlySet<TxnId> }> {
    const whole = new Set<TxnId>()
    if (txns.length === 0) return { hlc: HLC_ZERO, whole }
    const { storage } = this.#parts.state.world
    const standings = await getAll(storage, txns.map(decisionKey))
    const [record] = await storage.get([CLUSTER_COMPACTED])
    let hlc = record === undefined ? HLC_ZERO : decodeCompacted(record).horizon
    for (const [i, txn] of txns.entries()) {
      const standing = standings[i] && decodeStanding(standings[i])
      if (standing?.status === 'committed') whole.add(txn)
      else if (standing?.status === 'compacted' && standing.hlc > hlc) hlc = standing.hlc
    }
    return { hlc, whole }
  }

  async #installFromPeer(): Promise<boolean> {
    const { peers, transfer, state } = this.#parts
    const { clock, log } = state.world
    const until = clock.monotonic() + PEER_WAIT_MS
    const tried = new Set<string>()
    while (clock.monotonic() < until) {
      for (const peer of peers.up()) {
        if (tried.has(peer.address)) continue
        try {
          await transfer.install(peer)
          return true
        } catch (error) {
          log.debug({ err: error, peer: peer.nodeId }, 'a peer could not tell its state')
          tried.add(peer.address)
        }
      }
      await new Promise<void>((resolve) => clock.timer(PEER_LOOK_MS, resolve))
    }
    return false
  }

  /** From storage alone. */
  async #restore(): Promise<void> {
    const { state, adoption, minutes, bases } = this.#parts
    const { world, history, ledger } = state
    const { horizon: marked, marker, firstMinute } = await adoption.restore()
    this.#marker = marker
    const [record] = await world.storage.get([CLUSTER_COMPACTED])
    const compacted = record === undefined ? { cut: new Map(), horizon: HLC_ZERO } : decodeCompacted(record)
    for (const [origin, seq] of compacted.cut) ledger.compact(origin, seq)
    const horizon = Math.max(compacted.horizon, marked) as Hlc
    history.foundCompacted(compacted.cut, horizon)
    state.clock.observe(horizon)
    bases.clear()
    await minutes.advance(firstMinute, world.clock.now())
  }

  /** Afterwards all that the watermark sees is here. If by other places, all of storage was looked through. */
  async #reach({ cut, restored }: Watermark, fromPeers: boolean): Promise<void> {
    const { state, repair } = this.#parts
    if ([cut, ...restored].some((each) => state.history.covers(each))) return
    mark('boot.watermark')
    if (fromPeers && (await repair.reach(cut, REACH_MS))) return
    // Nobody who lives has it: then it is in storage, as decisions or as bases.
    if (fromPeers) await this.#restore()
  }
}
