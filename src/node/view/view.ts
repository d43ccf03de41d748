import { type Cut, departuresOf, union } from '../../core/cut.js'
import type { Version } from '../../core/version.js'
import { VirgaError } from '../../errors.js'
import type { Timer } from '../../ports/clock.js'
import type { ProcessIdentity } from '../../ports/processes.js'
import { decodeSnapshot, encodeSnapshot, META_KEY, VIEW_LEASE_MS } from '../../wire/view.js'
import type { Snapshots } from '../collecting/snapshots.js'
import type { Bases } from '../reading/bases.js'
import type { ValueCache } from '../reading/value-cache.js'
import type { NodeState } from '../state.js'
import { Attached } from './attached.js'
import { OpenView } from './open-view.js'
import { OriginNumbers } from './origin-numbers.js'

export interface ViewParts {
  readonly state: NodeState
  readonly values: ValueCache
  readonly bases: Bases
  readonly snapshots: Snapshots
}

/** An executor's session, as far as the view goes. */
export interface Viewer {
  readonly process: ProcessIdentity | undefined
  /** Of the view that it was told of. */
  viewPath: string | undefined
}

/** A view that could not be made, or had to be given up, is made again no sooner. */
const AGAIN_MS = 1_000
const BEAT_EVERY_MS = VIEW_LEASE_MS / 4
/** Snapshots whose cuts are remembered: of what executors begin within moments of each other, most share one. */
const CUTS_MAX = 256

/**
 * The view: what executors on this machine read without a message. It says what this node would answer, as of one moment,
 * and is written before anyone is told of what happened in that moment.
 *
 * Why a read from it is right. An entry holds the versions of its key that are in the chain, and its base, as of the batch
 * that the reader sees; so it holds whatever a snapshot sees that began at that batch's moment or earlier. It could show too
 * much in one way: by a base that was collected beyond the snapshot. Others collect only what this node's leases have said
 * that it does not need, and each batch tells the union of all that they ever said (`Snapshots.limit`). A reader compares
 * its snapshot with that in the same batch as the entry. So nothing depends on when a message or a timer comes: a
 * snapshot that was not registered in time is refused, by the reader itself.
 *
 * Why who begins in it sees all that anyone was told of. It is written first. Where it can't be written any more, readers are
 * told in its head; where that can't be written either, or the files were damaged, or this is a new node and the former one's
 * can't be reached, nobody is told of anything until the lease of the last beat has run out, and readers begin nothing there.
 *
 * The view is a cache. When it is full, damaged, or has readers that can't be told apart, it is given up, and who reads it
 * asks for another.
 */
export class View {
  readonly #parts: ViewParts
  readonly #attached: Attached
  /** For the life of the node: a snapshot may be older than the view. */
  readonly #origins = new OriginNumbers()
  /** By the snapshot's record, whoever sent it. */
  readonly #cuts = new Map<string, Cut>()
  #open: OpenView | undefined
  #notBeforeMs = Number.NEGATIVE_INFINITY
  /** Until then somebody may begin in a view that is not written any more. */
  #outdatedUntilMs = Number.NEGATIVE_INFINITY
  /** The last reader has gone. Until then what it began may still be told of. */
  #usedUntilMs = Number.NEGATIVE_INFINITY
  #beating: Timer | undefined
  #flushDeferred = false
  #isClosed = false

  constructor(parts: ViewParts) {
    this.#parts = parts
    const { world } = parts.state
    this.#attached = new Attached(world.processes)
    try {
      world.views.retire(META_KEY)
    } catch (error) {
      world.log.warn(
        { err: error },
        'what an earlier node left in memory may still be read: answers wait for that',
      )
      this.#outdatedUntilMs = world.clock.monotonic() + VIEW_LEASE_MS
    }
  }

  /** Whether snapshots may begin here without a message, or may have begun a moment ago. */
  get isInUse(): boolean {
    if (this.#open !== undefined && this.#attached.sessions > 0) return true
    return this.#parts.state.world.clock.monotonic() <= this.#usedUntilMs
  }

  /** Counts for people. */
  gauges(): readonly (readonly [string, number])[] {
    return [
      ['viewReaders', this.#attached.sessions],
      ['viewKeys', this.#open?.residents.keys ?? 0],
      ['viewBytes', this.#open?.residents.bytes ?? 0],
    ]
  }

  /**
   * Where an executor may open the view. Throws why it may not: `Unsupported` if it never may; `Busy`, or `StorageUnavailable`,
   * if that may change.
   */
  attach(viewer: Viewer): string {
    const { config } = this.#parts.state
    const { process } = viewer
    if (config.viewBytesMax === 0 || this.#isClosed || process === undefined)
      throw new VirgaError('Unsupported', 'this node publishes no view')
    if (viewer.viewPath !== undefined && viewer.viewPath === this.#open?.path) return viewer.viewPath
    viewer.viewPath = undefined
    let admission = this.#attached.admit(process)
    if (admission === 'left') {
      this.#giveUp('a process id in it may be that of a process that is gone')
      admission = this.#attached.admit(process)
    }
    if (admission !== 'admitted') {
      throw busy(`a process of id ${process.pid} has the view open already, or is this node`)
    }
    try {
      const open = this.#opened()
      this.#write(open)
      if (this.#open !== open) throw busy('the view could not be written')
      // It stands still while nobody reads.
      this.#beatLater()
      viewer.viewPath = open.path
      return open.path
    } catch (error) {
      this.#attached.leave(process)
      throw error
    }
  }

  /** The executor reads it no more. */
  detach(viewer: Viewer): void {
    if (viewer.viewPath !== undefined && viewer.viewPath === this.#open?.path) {
      this.#noteUse()
      this.#attached.leave(viewer.process!)
      this.#open.releaseDead()
    }
    viewer.viewPath = undefined
  }

  /** Executors have asked the node for these keys. */
  want(keys: readonly string[]): void {
    if (this.#open === undefined) return
    for (const key of keys) this.#open.residents.want(key)
    this.#flushLater()
  }

  /** Executors have read these keys in the view. */
  used(keys: readonly string[]): void {
    for (const key of keys) this.#open?.residents.used(key)
  }

  /** Versions came into the history, got another place, or left it. */
  touched(versions: readonly Version[]): void {
    if (this.#open === undefined) return
    for (const version of versions) this.#open.residents.touched(version)
    this.#flushLater()
  }

  /** Bases may have moved on unseen: nothing in the view counts. */
  reset(): void {
    this.#open?.residents.clear()
  }

  /** Makes visible what has happened. To be called before anyone is told of it. */
  flush(): void {
    const open = this.#open
    if (open?.isBehind()) this.#write(open)
  }

  /** How long nobody may be told of anything. */
  waitMs(): number {
    // Nearly always at once: no clock is read for it.
    if (this.#outdatedUntilMs === Number.NEGATIVE_INFINITY) return 0
    const leftMs = this.#outdatedUntilMs - this.#parts.state.world.clock.monotonic()
    if (leftMs > 0) return leftMs
    this.#outdatedUntilMs = Number.NEGATIVE_INFINITY
    return 0
  }

  /**
   * The snapshot of a transaction that began without a message. Executors may send anything: whatever comes sees no more than
   * what is applied, and no less than what may have been collected. Throws `SnapshotTooOld`, `Malformed`.
   */
  snapshotOf(record: Uint8Array): Cut {
    const { history, life } = this.#parts.state
    const { limit } = this.#parts.snapshots
    const { moment, epoch, vector } = decodeSnapshot(record)
    if (epoch !== life.epoch || moment > history.moment) throw tooOld()
    if (moment === history.moment) return history.cut()
    const name = Buffer.from(record).toString('latin1')
    let cut = this.#cuts.get(name) ?? this.#origins.cut(vector)
    if (!this.#parts.snapshots.includes(cut, limit.cut)) {
      if (moment < limit.moment) throw tooOld()
      // What it sees it may see by other places: those that it had not yet when the snapshot was taken.
      cut = union(cut, new Map([...limit.cut].filter(([origin, seq]) => seq <= history.seqOf(origin))))
    }
    if (!history.covers(cut) || departuresOf(cut) > history.leftOut) throw tooOld()
    this.#remember(name, cut)
    return cut
  }

  /**
   * The cut that a snapshot names, as it stands in a context that an executor has made. Throws `SnapshotTooOld` if others may have
   * collected what it needs, or it sees some of that by places that it does not name; `Malformed`.
   */
  namedCutOf(record: Uint8Array): Cut {
    const { history, life } = this.#parts.state
    const { snapshots } = this.#parts
    const { moment, epoch, vector } = decodeSnapshot(record)
    if (epoch !== life.epoch || moment > history.moment) throw tooOld()
    const cut = this.#origins.cut(vector)
    if (!history.covers(cut) || departuresOf(cut) > history.leftOut) throw tooOld()
    if (!snapshots.includes(cut, snapshots.limit.cut)) throw tooOld()
    return cut
  }

  /** What an executor needs to read at a cut in the view; null: it must ask the node. */
  recordOf(cut: Cut): Uint8Array | null {
    const { snapshots, state } = this.#parts
    if (this.#open === undefined || !snapshots.includes(cut, snapshots.limit.cut)) return null
    const vector = this.#origins.vector(cut)
    return encodeSnapshot({ moment: state.history.moment, epoch: state.life.epoch, vector })
  }

  close(): void {
    this.#isClosed = true
    this.#giveUp('the node stops')
  }

  #beatLater(): void {
    this.#beating ??= this.#parts.state.world.clock.timer(BEAT_EVERY_MS, () => {
      this.#beating = undefined
      const open = this.#open
      if (open === undefined || this.#attached.sessions === 0) return
      this.#write(open)
      this.#beatLater()
    })
  }

  #opened(): OpenView {
    if (this.#open !== undefined) return this.#open
    const { state, values, bases, snapshots } = this.#parts
    const nowMs = state.world.clock.monotonic()
    if (nowMs < this.#notBeforeMs) throw busy('the view was given up a moment ago')
    this.#notBeforeMs = nowMs + AGAIN_MS
    const writer = state.world.views.create(() => this.#giveUp('somebody else has changed its files'))
    const open = new OpenView({ writer, state, values, bases, snapshots, origins: this.#origins })
    this.#open = open
    state.counters.viewsOpened++
    this.#beatLater()
    state.world.log.info({ path: writer.path, bytes: writer.capacityBytes }, 'the view is open')
    return open
  }

  /** While nobody has it open it is not kept up, and in the end not written: who opens it next brings it up to date. */
  #write(open: OpenView): void {
    const nowMs = this.#parts.state.world.clock.monotonic()
    const isRead = this.#attached.sessions > 0
    if (!isRead && nowMs > open.leasedUntilMs) return
    try {
      open.write(open.next(isRead ? nowMs : undefined))
    } catch (error) {
      this.#parts.state.world.log.warn({ err: error }, 'the view could not be written')
      this.#giveUp('it could not be written')
    }
  }

  #noteUse(): void {
    if (this.isInUse) this.#usedUntilMs = this.#parts.state.world.clock.monotonic() + VIEW_LEASE_MS
  }

  #giveUp(why: string): void {
    const open = this.#open
    this.#noteUse()
    this.#attached.clear()
    if (open === undefined) return
    this.#open = undefined
    const { log } = this.#parts.state.world
    log.info({ path: open.path, why }, 'the view is closed')
    if (open.close()) return
    log.warn({ path: open.path }, 'readers of the view could not be told that it is closed')
    this.#outdatedUntilMs = Math.max(this.#outdatedUntilMs, open.leasedUntilMs)
  }

  /** What no executor is told of, others in the view are. */
  #flushLater(): void {
    if (this.#flushDeferred) return
    this.#flushDeferred = true
    this.#parts.state.world.clock.defer(() => {
      this.#flushDeferred = false
      const open = this.#open
      if (open?.residents.hasWanted || open?.isBehind()) this.#write(open)
      if (this.#open?.residents.hasWanted && this.#attached.sessions > 0) this.#flushLater()
    })
  }

  #remember(name: string, cut: Cut): void {
    if (this.#cuts.get(name) === cut) return
    if (this.#cuts.size >= CUTS_MAX) this.#cuts.delete(this.#cuts.keys().next().value as string)
    this.#cuts.set(name, cut)
  }
}

function busy(why: string): VirgaError {
  return new VirgaError('Busy', why)
}

function tooOld(): VirgaError {
  return new VirgaError(
    'SnapshotTooOld',
    'the snapshot was taken from the view and not told of in time: what it needs may have been collected',
  )
}
