import { equalBytes, hash32 } from '../../core/bytes.js'
import { type Cut, EMPTY_CUT } from '../../core/cut.js'
import type { Origin } from '../../core/ids.js'
import { leaseKey, MEMBER_BUCKET } from '../../core/layout.js'
import { VirgaError } from '../../errors.js'
import { mark } from '../../marks.js'
import type { Timer } from '../../ports/clock.js'
import type { NodeAddress } from '../../ports/network.js'
import { decodeLease, encodeLease, type Lease } from '../../wire/records.js'
import type { World } from '../world.js'
import { LaterLooks } from './later-looks.js'
import { LeaseView, type Member } from './lease-view.js'

export interface MembershipConfig {
  readonly nodeId: string
  readonly leaseTtlMs: number
  readonly deadlineMsMax: number
}

/** What a lease tells of this node at the moment that it is renewed. */
export interface Reported {
  readonly low: Cut
  readonly applied: Cut
  readonly departed: number
}

export interface MembershipEvents {
  /** Asked for at each renewal. What it says to be low is a promise from then on, whether or not the renewal succeeds. */
  report(): Reported
  /** The members that can be reached changed. */
  onMembers(members: readonly Member[]): void
  /**
   * A member's incarnation ended, or its lease lapsed: what it decided last, nobody may have heard of. Or it is this node, which
   * does not know of all that it decided.
   */
  onGone(origin: Origin): void
  /** The lease was renewed after others may have taken this node for dead. Until it resolves the node is not fresh. */
  onReturn(): Promise<void>
  /** Another node has taken this node's id. */
  onSuperseded(by: Origin): void
}

/** Renewals and looks in one time to live. */
const RENEWALS_PER_TTL = 5
/** Others count a lapsed member's snapshots for half as long again. */
export const WATERMARK_MARGIN = 1.5
/** So much later its decisions are looked for once more (`LaterLooks`). */
const SECOND_LOOK_TTLS = 1

/**
 * Who is in the cluster, by leases in storage. This node renews its own, and looks at the others'.
 *
 * What storage holds counts for this node only while it is *fresh*: while its lease was renewed within half of its time
 * to live. Others collect what its snapshots need only when they have seen the lease unchanged for one and a half, so a
 * fresh node's snapshots are safe however late any message or timer is. A renewal counts from when it was sent. The time since then is
 * the longer one of what two clocks tell: while a machine is suspended its monotonic clock may stand still, and the other one is set
 * by a clock that does not. Where neither moves, as in a virtual machine that goes on from a snapshot, a node must be started anew.
 */
export class Membership {
  readonly #world: World
  readonly #config: MembershipConfig
  readonly #origin: Origin
  readonly #events: MembershipEvents
  readonly #view: LeaseView
  readonly #lapsed = new Set<Origin>()
  #address: NodeAddress | undefined
  #serving = false
  #renewal = 0
  #record: Uint8Array | undefined
  #renewedAtMs = Number.NEGATIVE_INFINITY
  #renewedAtWallMs = Number.NEGATIVE_INFINITY
  /** The node was not fresh at some time since it last caught up. */
  #isBehind = true
  /** How often that began: what was caught up with before it began again does not count. */
  #lapses = 0
  #returning: Promise<void> | undefined
  /** Each renewal expects what the one before it wrote. */
  #renewing: Promise<void> = Promise.resolve()
  #timer: Timer | undefined
  #isTicking = false
  #stopped = false
  /** The incarnation whose place this one took without having seen it leave. */
  #replaced: Origin | undefined
  /** The last renewal failed. */
  #isTroubled = false
  readonly #laterLooks: LaterLooks
  #aheadMs = 0

  constructor(world: World, config: MembershipConfig, origin: Origin, events: MembershipEvents) {
    this.#world = world
    this.#config = config
    this.#origin = origin
    this.#events = events
    this.#view = new LeaseView(world.clock, config.leaseTtlMs)
    this.#laterLooks = new LaterLooks({
      clock: world.clock,
      firstMs: config.leaseTtlMs * SECOND_LOOK_TTLS,
      lastMs: config.deadlineMsMax,
      leastMs: config.leaseTtlMs / RENEWALS_PER_TTL,
      onDue: (origin) => events.onGone(origin),
    })
  }

  /**
   * Takes this node's id with a lease that promises nothing yet, so that nothing is collected until the node is up. Another
   * incarnation that has it loses it.
   */
  async join(address: NodeAddress | undefined): Promise<void> {
    this.#address = address
    const key = leaseKey(this.#config.nodeId)
    let [record] = await this.#world.storage.get([key])
    for (;;) {
      const [sentAtMs, sentAtWallMs] = this.#now()
      const next = encodeLease(this.#lease({ low: EMPTY_CUT, applied: EMPTY_CUT, departed: 0 }))
      const result = await this.#world.storage.compareAndSwap(key, record, next)
      if (result.swapped || (result.current !== undefined && equalBytes(result.current, next))) {
        this.#record = next
        this.#renewedAtMs = sentAtMs
        this.#renewedAtWallMs = sentAtWallMs
        if (record !== undefined) this.#replaced = decodeLease(record).origin
        break
      }
      record = result.current
    }
    await this.look()
  }

  /** The node is up: from now on its lease tells of it, and is renewed. Rejects as `renew` does, and as storage does. */
  async serve(): Promise<void> {
    this.#serving = true
    this.#isBehind = false
    await this.renew()
    this.#later()
    // A start may take longer than a lease bears: then it is caught up with before anyone is served.
    await this.#returning
    // Who joined since this node did has greeted it while it was starting.
    await this.look()
    if (this.#replaced !== undefined) {
      mark('member.replaced')
      this.#laterLooks.add(this.#replaced)
    }
  }

  /** Whether what storage holds may be combined with this node's snapshots. */
  isFresh(): boolean {
    if (this.#isBehind) return false
    if (this.#sinceRenewalMs(this.#now()) <= this.#config.leaseTtlMs / 2) return true
    this.#fallBehind()
    this.#hurry()
    return false
  }

  #now(): readonly [number, number] {
    const { clock } = this.#world
    return [clock.monotonic(), clock.now()]
  }

  #sinceRenewalMs([monotonicMs, wallMs]: readonly [number, number]): number {
    return Math.max(monotonicMs - this.#renewedAtMs, wallMs - this.#renewedAtWallMs)
  }

  /** Members whose leases have not lapsed, this node included. */
  members(): readonly Member[] {
    return this.#view.members()
  }

  /** By how much the clock of the fastest member was ahead of this node's when it last looked. */
  get aheadMs(): number {
    return this.#aheadMs
  }

  /** Their ids, for people to read. */
  get names(): string {
    const ids = this.members().map(({ nodeId }) => nodeId)
    return ids.sort().join(' ')
  }

  /** Members whose snapshots still count. */
  counted(): readonly Member[] {
    return this.#view.members(WATERMARK_MARGIN)
  }

  /** Every member, also those whose leases have lapsed. */
  all(): readonly Member[] {
    return this.#view.all()
  }

  /**
   * Removes leases of nodes that are gone for so long and did not leave in peace. One that comes back after all puts its
   * lease there again.
   */
  async removeLapsed(ms: number): Promise<void> {
    for (const [nodeId, record] of this.#view.unchangedFor(Math.max(ms, this.#config.leaseTtlMs * 2)))
      await this.#world.storage.compareAndSwap(leaseKey(nodeId), record, undefined)
  }

  isLive(origin: Origin): boolean {
    return origin === this.#origin || this.members().some(({ lease }) => lease.origin === origin)
  }

  /**
   * Whether this node is the one to see to a subject: of all live members the same one everywhere (rendezvous hashing).
   * Two may be picked while members are seen differently: what the picked one does must bear that.
   */
  isPicked(subject: string): boolean {
    const weight = (nodeId: string): number => hash32(`${subject} ${nodeId}`)
    const own = weight(this.#config.nodeId)
    return this.members().every(
      ({ nodeId, lease }) =>
        !lease.serving ||
        nodeId === this.#config.nodeId ||
        weight(nodeId) < own ||
        (weight(nodeId) === own && nodeId < this.#config.nodeId),
    )
  }

  /** This node may have decided what it does not know of: it is looked for as that of one that is gone. */
  lookForOwn(): void {
    this.#laterLooks.add(this.#origin)
  }

  /** Looks at all leases now. */
  async look(): Promise<void> {
    const records: [string, Uint8Array][] = []
    for await (const { id, value } of this.#world.storage.list(MEMBER_BUCKET, { values: true }))
      if (value !== undefined) records.push([id, value])
    const ended = this.#view.update(records)
    const members = this.#view.members()
    const nowMs = this.#world.clock.now()
    this.#aheadMs = Math.max(0, ...members.map(({ lease }) => lease.nowMs - nowMs))
    const live = new Set(members.map(({ lease }) => lease.origin))
    const gone = [...ended, ...this.#view.all()]
      .map(({ lease }) => lease.origin)
      .filter((origin) => !live.has(origin) && origin !== this.#origin && !this.#lapsed.has(origin))
    for (const origin of live) {
      this.#lapsed.delete(origin)
      if (origin !== this.#origin) this.#laterLooks.drop(origin)
    }
    this.#events.onMembers(members)
    for (const origin of gone) this.#gone(origin)
  }

  /**
   * Renews the lease, with what is to be reported from now on. Rejects if storage does, and with `Closed` if another node
   * has this node's id.
   */
  renew(): Promise<void> {
    const renewing = this.#renewing.catch(() => undefined).then(() => this.#renew())
    this.#renewing = renewing
    return renewing
  }

  async #renew(): Promise<void> {
    const { storage } = this.#world
    const sentAt = this.#now()
    const next = encodeLease(this.#lease(this.#events.report()))
    const key = leaseKey(this.#config.nodeId)
    const result = await storage.compareAndSwap(key, this.#record, next)
    if (!result.swapped) await this.#settle(result.current, next)
    this.#record = next
    // A renewal that came too late does not reach back: the node was taken for dead meanwhile.
    if (this.#sinceRenewalMs(sentAt) > this.#config.leaseTtlMs / 2) this.#fallBehind()
    ;[this.#renewedAtMs, this.#renewedAtWallMs] = sentAt
    if (this.#isBehind && this.#serving) this.#return()
  }

  /** Leaves in peace: what this node decided is known to all, or will be found. */
  async leave(): Promise<void> {
    this.halt()
    // One that is under way would put it there again.
    await this.#renewing.catch(() => undefined)
    if (this.#record === undefined) return
    try {
      await this.#world.storage.compareAndSwap(leaseKey(this.#config.nodeId), this.#record, undefined)
    } catch (error) {
      this.#world.log.warn({ err: error }, 'the lease could not be given up: it lapses by itself')
    }
  }

  /** Renews and looks no more. The lease lapses by itself. */
  halt(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#laterLooks.stop()
  }

  #lease(reported: Reported): Lease {
    return {
      origin: this.#origin,
      renewal: ++this.#renewal,
      address: this.#address,
      serving: this.#serving,
      ttlMs: this.#config.leaseTtlMs,
      ...reported,
      nowMs: Math.max(0, Math.floor(this.#world.clock.now())),
    }
  }

  /** The lease was not what this node last knew: an earlier renewal arrived after all, or another node has the id. */
  async #settle(current: Uint8Array | undefined, next: Uint8Array): Promise<void> {
    const view = new LeaseView(this.#world.clock, this.#config.leaseTtlMs)
    let stands = current
    for (;;) {
      if (stands !== undefined) {
        if (equalBytes(stands, next)) return
        view.update([[this.#config.nodeId, stands]])
        const { origin } = view.all()[0]!.lease
        if (origin !== this.#origin) {
          mark('member.superseded')
          this.#stopped = true
          this.#timer?.cancel()
          this.#fallBehind()
          this.#events.onSuperseded(origin)
          throw new VirgaError('Closed', `another node runs under the id ${this.#config.nodeId}: ${origin}`)
        }
        mark('member.settled')
      } else {
        // Whoever removed it took this node for dead.
        this.#fallBehind()
      }
      const result = await this.#world.storage.compareAndSwap(leaseKey(this.#config.nodeId), stands, next)
      if (result.swapped) return
      stands = result.current
    }
  }

  #fallBehind(): void {
    mark('member.behind')
    this.#isBehind = true
    this.#lapses++
  }

  #return(): void {
    const lapses = this.#lapses
    this.#returning ??= this.#events
      .onReturn()
      .then(
        () => {
          if (lapses === this.#lapses) this.#isBehind = false
        },
        (error: unknown) => {
          this.#world.log.warn({ err: error }, 'the node could not catch up yet: it tries again')
        },
      )
      .finally(() => {
        this.#returning = undefined
      })
  }

  #gone(origin: Origin): void {
    mark('member.gone')
    this.#lapsed.add(origin)
    this.#events.onGone(origin)
    this.#laterLooks.add(origin)
  }

  #later(): void {
    this.#isTicking = false
    if (this.#stopped) return
    this.#timer = this.#world.clock.timer(this.#config.leaseTtlMs / RENEWALS_PER_TTL, () => void this.#tick())
  }

  /** A clock that was set may be all that is the matter. */
  #hurry(): void {
    if (this.#isTicking || this.#timer === undefined || this.#stopped) return
    this.#timer.cancel()
    this.#timer = this.#world.clock.timer(0, () => void this.#tick())
  }

  async #tick(): Promise<void> {
    const { log } = this.#world
    this.#isTicking = true
    try {
      await this.renew()
      await this.look()
      if (this.#isTroubled) log.info({}, 'the lease is renewed again')
      this.#isTroubled = false
    } catch (error) {
      if (this.#stopped) return
      // Once is enough: it goes on until storage does.
      if (this.#isTroubled) log.debug({ err: error }, 'the lease could again not be renewed, or not seen')
      else
        log.warn({ err: error }, 'the lease could not be renewed, or not seen: it is tried again and again')
      this.#isTroubled = true
    }
    this.#later()
  }
}
