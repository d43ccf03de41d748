import { type Cut, coversBut, cutOf, EMPTY_CUT, intersection, union } from '../../../src/core/cut.js'
import type { HistoryState } from '../../../src/core/history.js'
import { HLC_ZERO, type Hlc } from '../../../src/core/hlc.js'
import type { Origin, TxnId } from '../../../src/core/ids.js'
import type { Placed } from '../../../src/core/publication.js'
import { compareStamps, type Stamp, type Version } from '../../../src/core/version.js'
import { hasYetToLearn } from '../../../src/node/sharing/state-transfer.js'
import { Node, type Snapshot, type Txn } from './cluster-model-parts.js'
import type { Tape } from './tape.js'

/**
 * A cluster in which only the histories are real. Nodes decide, tell each other in any order and with losses, adopt what
 * the dead left in storage, take over each other's states, start from storage, fall behind and return; collection moves
 * what every live snapshot sees into bases. Every read is compared with an oracle that remembers, for each snapshot, the
 * explicit set of transactions that its node had when it began.
 */

const NODES_MAX = 4
const SNAPSHOTS_MAX = 8

export const KEYS = ['a', 'b', 'c'] as const

export class World {
  readonly txns = new Map<TxnId, Txn>()
  /** Every place that was ever given out. `isLost`: nobody was told when it was. */
  readonly places = new Map<Origin, { readonly txn: TxnId; readonly isLost: boolean }[]>()
  readonly compactedTxns = new Set<TxnId>()
  readonly bases = new Map<string, Stamp>()
  watermark: Cut = EMPTY_CUT
  compacted: Cut = EMPTY_CUT
  horizon: Hlc = HLC_ZERO
  /** Dead origins of which all is compacted, and their last places, in the order in which they were written down. */
  readonly departures: (readonly [Origin, number])[] = []
  nodes: Node[] = []
  snapshots: Snapshot[] = []
  /** What happened, for whoever asks whether a run was worth anything. */
  readonly counts = new Map<string, number>()
  #boots = 0
  readonly #tape: Tape

  constructor(tape: Tape) {
    this.#tape = tape
  }

  get isOver(): boolean {
    return this.#tape.isOver
  }

  step(): void {
    const tape = this.#tape
    const node = tape.pick(this.nodes) ?? this.boot()
    const what = tape.below(68)
    if (what < 2) this.grow()
    else if (what < 3) this.crash(node)
    else if (what < 4) this.leave(node)
    else if (what < 6) this.rejoin(node)
    else if (what < 10) this.begin(node)
    else if (what < 14) this.end()
    else if (what < 26) this.commit(node)
    else if (what < 27) this.dieUnheard(node)
    else if (what < 45) this.deliver(node)
    else if (what < 46) this.list(node)
    else if (what < 48) this.adopt(node)
    else if (what < 50) this.install(node)
    else if (what < 56) this.compact()
    else if (what < 62) this.learn(node)
    else if (what < 64) this.evict(node)
    else if (what < 65) this.depart()
    else this.learnDepartures(node)
  }

  /** Starts one more node, while there are few. */
  grow(): void {
    if (this.nodes.length < NODES_MAX) this.boot()
  }

  boot(): Node {
    const node = new Node(`n${++this.#boots}` as Origin)
    this.places.set(node.origin, [])
    const peer = this.#tape.below(4) === 0 ? undefined : this.#tape.pick(this.members())
    if (peer === undefined) this.restore(node)
    else this.#install(node, peer)
    this.nodes.push(node)
    this.learnDepartures(node)
    this.rejoin(node)
    return node
  }

  /** Takes all that storage has: at a start without peers, and where nobody is left who can tell what is missing. */
  restore(node: Node): void {
    this.#count(node.history.cut().size === 0 ? 'boot from storage' : 'restore of what runs')
    this.#list(node)
    this.adopt(node)
    for (const [origin, seq] of this.compacted) node.history.compact(origin, seq)
    node.history.foundCompacted(this.compacted, this.horizon)
    node.observe(this.horizon)
    node.cache.clear()
    for (const txn of this.compactedTxns) node.visible.add(txn)
    // All that was committed is here, whatever places it has elsewhere.
    node.isMember = true
  }

  /** Serves again once it has all that collection may have compacted. */
  rejoin(node: Node): void {
    if (node.isMember) return
    const { history } = node
    const left = history.cut()
    const isUnharmed = coversBut(left, this.watermark, (at) => history.seesUnnamed(left, at))
    this.learnDepartures(node)
    if (isUnharmed || history.covers(this.watermark)) node.isMember = true
    else if (this.#tape.below(4) === 0) this.restore(node)
  }

  /** It was not heard of for so long that collection goes on without it: its snapshots are given up. */
  leave(node: Node): void {
    node.isMember = false
    this.snapshots = this.snapshots.filter(({ home }) => home !== node)
  }

  crash(node: Node): void {
    this.leave(node)
    this.nodes = this.nodes.filter((other) => other !== node)
  }

  begin(node: Node): void {
    if (!node.isMember || this.snapshots.length >= SNAPSHOTS_MAX) return
    const { history, visible } = node
    this.snapshots.push({
      home: node,
      cut: history.cut(),
      moment: history.moment,
      saw: new Set(visible),
    })
  }

  end(): void {
    const snapshot = this.#tape.pick(this.snapshots)
    this.snapshots = this.snapshots.filter((other) => other !== snapshot)
  }

  commit(node: Node): void {
    // Most begin just before they commit.
    if (this.#tape.below(3) > 0) this.begin(node)
    const txn = this.#decide(node)
    if (txn !== undefined) this.publish(node, txn)
  }

  /** Decides, and dies before anyone hears of it. */
  dieUnheard(node: Node): void {
    if (this.#decide(node) !== undefined) this.crash(node)
  }

  #decide(node: Node): TxnId | undefined {
    const snapshot = this.#tape.pick(this.snapshots.filter(({ home }) => home === node))
    if (snapshot === undefined) return undefined
    if (this.#tape.below(4) > 0) this.snapshots = this.snapshots.filter((other) => other !== snapshot)
    const number = this.txns.size
    // Ids don't sort by time here: they break ties, and nothing else.
    const txn = `t${(number * 7919) % 10_000}` as TxnId
    node.clock = (node.clock + 1 + this.#tape.below(3)) as Hlc
    const writes = this.#tape
      .some(KEYS)
      .map((key) => ({ key, value: { kind: this.#tape.below(4) === 0 ? 'tombstone' : 'recorded' } as const }))
    const publication = { hlc: node.clock, cut: snapshot.cut, writes }
    this.txns.set(txn, { txn, hlc: node.clock, publication, saw: snapshot.saw })
    return txn
  }

  /** Gives a decision the next place of a node. */
  publish(node: Node, txn: TxnId): void {
    const places = this.places.get(node.origin)!
    places.push({ txn, isLost: this.#tape.below(2) === 0 })
    this.#apply(node, node.origin, this.#decided(txn))
  }

  /** The next place of some origin arrives: as it was published, or as a peer tells of it. */
  deliver(node: Node): boolean {
    const origin = this.#tape.pick([...this.places.keys()].filter((origin) => origin !== node.origin))
    return origin !== undefined && this.deliverFrom(node, origin)
  }

  deliverFrom(node: Node, origin: Origin): boolean {
    // Nothing is to come of one that has departed.
    if (node.history.departed.has(origin)) return false
    const seq = node.history.seqOf(origin) + 1
    const place = this.places.get(origin)?.[seq - 1]
    if (place === undefined) return false
    const told = this.nodes
      .filter((peer) => peer !== node)
      .flatMap((peer) => peer.history.placed(origin, seq) ?? [])
    // What few schedules bring about is preferred where it may be.
    const collected = told.filter(({ kind }) => kind === 'compacted')
    const usual = place.isLost ? told : [this.#decided(place.txn), ...told]
    const placed = this.#tape.pick(collected.length > 0 && this.#tape.below(4) > 0 ? collected : usual)
    if (placed === undefined || !this.#isReady(node, placed)) return false
    if (placed.kind === 'compacted') {
      this.#count(
        node.history.has(placed.txn) ? 'compacted there, applied here' : 'compacted there, unknown here',
      )
    }
    this.#apply(node, origin, placed)
    return true
  }

  /** Whether all that a decision read is here. What only the dead knew is looked for in storage first. */
  #isReady(node: Node, placed: Placed): boolean {
    if (placed.kind === 'compacted') return true
    if (node.history.covers(placed.publication.cut)) return true
    const lacking = [...placed.publication.cut].filter(
      ([origin, seq]) => !node.history.includes({ origin, seq }),
    )
    if (lacking.some(([origin]) => this.nodes.some((peer) => peer.origin === origin))) return false
    this.#list(node)
    this.adopt(node)
    return true
  }

  #apply(node: Node, origin: Origin, placed: Placed): void {
    const { history } = node
    const at = { origin, seq: history.seqOf(origin) + 1 }
    if (placed.kind === 'decided') {
      if (!history.has(placed.txn) && this.compactedTxns.has(placed.txn)) this.#count('came again')
      history.apply(placed.txn, placed.publication, at)
      node.observe(placed.publication.hlc)
    } else {
      if (!history.has(placed.txn) && placed.hlc > history.unseen) node.cache.clear()
      history.pass(placed.txn, at, placed.hlc)
      node.observe(placed.hlc)
    }
    node.visible.add(placed.txn)
  }

  list(node: Node): void {
    this.#list(node)
  }

  #list(node: Node): void {
    node.listed = [...this.txns.values()]
      .filter(({ txn }) => !this.compactedTxns.has(txn))
      .sort(compareStamps)
      .map(({ txn }) => txn)
  }

  /** Some may be compacted since they were listed: then they come again. */
  adopt(node: Node): void {
    for (const txn of node.listed) {
      if (node.history.has(txn)) continue
      this.#count('adopted')
      this.publish(node, txn)
    }
    node.listed = []
  }

  install(node: Node): void {
    const peer = this.#tape.pick(this.nodes.filter((other) => other !== node))
    if (peer !== undefined) this.#install(node, peer)
  }

  #install(node: Node, peer: Node): void {
    const state = peer.history.state()
    if (hasYetToLearn(state, node.history)) {
      this.#count('a state from before a departure')
      return
    }
    const mine = node.history.cut()
    const { departed } = node.history
    const [ahead, behind] = [
      !coversBut(state.vector, mine, (at) => departed.has(at.origin)),
      !coversBut(mine, state.vector, (at) => departed.has(at.origin)),
    ]
    this.#count(`install ${ahead ? (behind ? 'across' : 'of the past') : 'forward'}`)
    this.take(node, state)
    for (const txn of peer.visible) node.visible.add(txn)
  }

  take(node: Node, state: HistoryState): void {
    node.observe(state.horizon)
    const { added } = node.history.install(state)
    for (const { hlc } of added) node.observe(hlc)
    // What has left is not newer than what never came: nothing is known of the bases any more.
    node.cache.clear()
  }

  /** Collection: up to what every live snapshot and every member has. */
  compact(): void {
    const members = this.members()
    if (members.length === 0) return
    const cuts = [...members.map(({ history }) => history.cut()), ...this.snapshots.map(({ cut }) => cut)]
    this.watermark = union(this.watermark, this.#upToDeparted(cuts.reduce(intersection)))
    const due = [...this.watermark].filter(
      ([origin, seq]) => Math.min(seq, this.places.get(origin)!.length) > (this.compacted.get(origin) ?? 0),
    )
    const next = this.#tape.pick(due)
    if (next === undefined) return
    const from = this.compacted.get(next[0]) ?? 0
    const through = Math.min(next[1], this.places.get(next[0])!.length)
    this.compactThrough(next[0], from + 1 + this.#tape.below(through - from))
  }

  /** Nobody waits for who has more of an origin than it departed with. */
  #upToDeparted(cut: Cut): Cut {
    const last = new Map(this.departures)
    const places = [...cut].map(([origin, seq]) => [origin, Math.min(seq, last.get(origin) ?? seq)] as const)
    return cutOf(places, cut.departures ?? 0)
  }

  compactThrough(origin: Origin, through: number): void {
    const places = this.places.get(origin)!
    const isThrifty = this.#tape.below(2) === 0
    for (let seq = (this.compacted.get(origin) ?? 0) + 1; seq <= through; seq++) {
      const { txn, hlc, publication } = this.txns.get(places[seq - 1]!.txn)!
      for (const { key } of publication.writes) {
        if (isThrifty && this.#isSuperseded(key, { txn, hlc })) continue
        const base = this.bases.get(key)
        if (base === undefined || compareStamps({ txn, hlc }, base) > 0) this.bases.set(key, { txn, hlc })
      }
      this.compactedTxns.add(txn)
      if (hlc > this.horizon) this.horizon = hlc
    }
    this.compacted = union(this.compacted, new Map([[origin, through]]))
  }

  /** Every live snapshot sees a newer version: nobody will read this one, and it may be left out of the bases. */
  #isSuperseded(key: string, stamp: Stamp): boolean {
    for (const [origin, seq] of this.watermark) {
      for (const { txn } of this.places.get(origin)!.slice(0, seq)) {
        const newer = this.txns.get(txn)!
        if (compareStamps(newer, stamp) > 0 && newer.publication.writes.some((write) => write.key === key))
          return true
      }
    }
    return false
  }

  /** A node hears how far an origin is compacted; some of it may not be applied here yet. */
  learn(node: Node): void {
    const heard = this.#tape.pick([...this.compacted])
    if (heard === undefined) return
    const [origin, seq] = heard
    if (seq > node.history.seqOf(origin)) this.#count('compacted and not applied')
    this.learnThrough(node, origin, 1 + this.#tape.below(seq))
  }

  learnThrough(node: Node, origin: Origin, through: number): void {
    for (const version of node.history.compact(origin, through)) this.#moved(node, version)
  }

  /**
   * A version left its chain, so its base is not older. It takes the place of an older one that is cached; but where none
   * is, it may itself be older than what left the chain before it came.
   */
  #moved({ cache, history }: Node, version: Version): void {
    const { key, applied } = version
    const { txn, hlc } = applied
    const cached = cache.get(key)
    const isNewer =
      cached === undefined ? !history.mayBeSuperseded(version) : compareStamps(cached, applied) < 0
    if (isNewer) cache.set(key, { txn, hlc })
  }

  /**
   * Writes down a dead origin of which every member has applied, and collection compacted, all that it told. A node that is
   * out of touch may have more of it.
   */
  depart(): void {
    const known = new Set(this.departures.map(([origin]) => origin))
    const dead = [...this.compacted].filter(
      ([origin, seq]) =>
        !known.has(origin) &&
        this.nodes.every((node) => node.origin !== origin) &&
        this.members().every(({ history }) => history.seqOf(origin) === seq),
    )
    const next = this.#tape.pick(this.members().length === 0 ? [] : dead)
    if (next === undefined) return
    this.departures.push(next)
    this.#count('departed')
  }

  /** Looks for departures; and a member names those no more which every member knows of. */
  learnDepartures(node: Node): void {
    for (const [origin, last] of this.departures.slice(node.learned)) {
      this.learnThrough(node, origin, last)
      // What never came here is in the bases, and may be newer than what has left.
      if (node.history.seqOf(origin) < last) node.cache.clear()
      for (const { txn } of this.places.get(origin)!.slice(0, last)) node.visible.add(txn)
      // What it had of it beyond, since it was out of touch, gets places of its own.
      for (const txn of node.history.orderOf(origin, last + 1, node.history.seqOf(origin))) {
        if (!node.history.has(txn)) continue
        this.#count('beyond a departure')
        this.publish(node, txn)
      }
      if (!node.history.depart(origin, last, this.horizon, node.learned + 1)) break
      node.learned++
    }
    if (!node.isMember) return
    const told = Math.min(...this.members().map(({ learned }) => learned))
    node.history.leaveOut(
      this.departures.slice(0, told).map(([origin]) => origin),
      told,
    )
    if (told > 0) this.#count('left out')
  }

  evict({ cache }: Node): void {
    const key = this.#tape.pick(KEYS)!
    const base = this.bases.get(key)
    if (cache.has(key)) cache.delete(key)
    else if (base !== undefined) cache.set(key, base)
  }

  members(): readonly Node[] {
    return this.nodes.filter(({ isMember }) => isMember)
  }

  /** What a read answers: the newer of the chain's version and the base, which is compared only below the horizon. */
  read(node: Node, cut: Cut, key: string): TxnId | undefined {
    return this.#read(node, key, node.history.read(key, cut))
  }

  /** As executors read in the view of the node that a snapshot was taken at: by when versions were applied there. */
  readAt(node: Node, moment: number, key: string): TxnId | undefined {
    const seen = node.history.chainOf(key).filter(({ applied }) => applied.moment <= moment)
    return this.#read(node, key, seen.at(-1))
  }

  #read({ history, cache }: Node, key: string, version: Version | undefined): TxnId | undefined {
    if (version !== undefined && version.applied.hlc > history.horizon) return version.applied.txn
    const base = cache.get(key) ?? this.bases.get(key)
    if (version === undefined || base === undefined) return version?.applied.txn ?? base?.txn
    return compareStamps(version.applied, base) > 0 ? version.applied.txn : base.txn
  }

  /** The oracle. */
  newest(key: string, of: Iterable<TxnId>): TxnId | undefined {
    let newest: Txn | undefined
    for (const txn of of) {
      const found = this.txns.get(txn)!
      if (!found.publication.writes.some((write) => write.key === key)) continue
      if (newest === undefined || compareStamps(found, newest) > 0) newest = found
    }
    return newest?.txn
  }

  /** Ends all snapshots, tells everyone everything, and compacts all of it. */
  settle(): void {
    this.snapshots = []
    for (const node of this.nodes) if (!node.isMember) this.restore(node)
    if (this.nodes.length === 0) this.boot()
    for (const node of this.nodes) {
      this.#list(node)
      this.adopt(node)
    }
    for (const node of this.nodes) this.learnDepartures(node)
    for (const node of this.nodes) this.#catchUp(node)
    for (const node of this.nodes) this.#catchUp(node)
    for (const node of this.nodes) this.learnDepartures(node)
    const everything = this.nodes[0]!.history.cut()
    this.watermark = union(this.watermark, everything)
    for (const [origin, seq] of everything) this.compactThrough(origin, seq)
    for (const node of this.nodes) {
      node.isMember = true
      for (const [origin, seq] of everything) this.learnThrough(node, origin, seq)
      this.learnDepartures(node)
    }
  }

  #catchUp(node: Node): void {
    for (const peer of this.nodes) {
      for (const [origin, seq] of peer.history.cut()) {
        while (node.history.seqOf(origin) < seq) if (!this.deliverFrom(node, origin)) break
      }
      if (!node.history.covers(peer.history.cut())) this.#install(node, peer)
    }
  }

  #decided(txn: TxnId): Placed {
    return { txn, kind: 'decided', publication: this.txns.get(txn)!.publication }
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1)
  }
}
