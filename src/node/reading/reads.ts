import type { Cut } from '../../core/cut.js'
import type { History } from '../../core/history.js'
import { HLC_ZERO } from '../../core/hlc.js'
import { checkKey } from '../../core/keys.js'
import { compareStamps, type Version } from '../../core/version.js'
import { VirgaError } from '../../errors.js'
import type { Limits } from '../../limits.js'
import { mark } from '../../marks.js'
import type { OpenTransaction, SnapshotLife } from '../executors/transaction.js'
import type { Bases, CachedBase } from './bases.js'
import type { ValueCache } from './value-cache.js'

/** Values in one answer; the client asks again for what is left. */
const ANSWER_BYTES_MAX = 4 * 1024 * 1024
/** Reads from storage that one request has under way at once. */
const LOADS_MAX = 32

type Value = Uint8Array | null

/** What one request reads from, and the epoch in which it did. */
interface Snapshot {
  readonly transaction: OpenTransaction | undefined
  readonly cut: Cut
  readonly epoch: number
}

export interface ReadsParts {
  readonly history: History
  readonly values: ValueCache
  readonly bases: Bases
  readonly limits: Limits
  /** Whether what storage holds may be combined with this node's snapshots. */
  readonly isFresh: () => boolean
  /** Sees to it that what a cut needs is not collected until the returned function is called. */
  readonly hold: (cut: Cut) => () => void
  readonly life: SnapshotLife
}

/**
 * Reads: own writes, then upstream ones, then the newer of the newest version in the key's chain that the snapshot sees,
 * and of the key's base.
 *
 * A version above the horizon answers alone: nothing that left a chain is newer. What was compacted is seen by every live
 * snapshot, so a base never shows too much. Whether this node's snapshots are live is looked at after storage has
 * answered: had others taken the node for dead meanwhile, the base might be newer than the snapshot.
 */
export class Reads {
  readonly #history: History
  readonly #values: ValueCache
  readonly #bases: Bases
  readonly #limits: Limits
  readonly #isFresh: () => boolean
  readonly #hold: (cut: Cut) => () => void
  readonly #life: SnapshotLife

  constructor(parts: ReadsParts) {
    this.#history = parts.history
    this.#values = parts.values
    this.#bases = parts.bases
    this.#limits = parts.limits
    this.#isFresh = parts.isFresh
    this.#hold = parts.hold
    this.#life = parts.life
  }

  /**
   * Values in the order of `keys`, null where absent; fewer than asked for if they would make the answer too large, but
   * at least one. Answers at once what is cached. Without a transaction the newest applied versions are read, of one
   * cut. Upstream writes of the transaction must be here. Throws `SnapshotTooOld`.
   */
  read(transaction: OpenTransaction | undefined, keys: readonly string[]): Value[] | Promise<Value[]> {
    const cut = this.#cutOf(transaction)
    const values: Value[] = []
    let bytes = 0
    for (let i = 0; i < keys.length; i++) {
      const value = this.#readNow(transaction, cut, keys[i]!)
      if (value === undefined) return this.#readOn(transaction, cut, keys, values, bytes)
      bytes += value?.length ?? 0
      if (i > 0 && bytes > ANSWER_BYTES_MAX) return values
      values.push(value)
    }
    return values
  }

  #cutOf(transaction: OpenTransaction | undefined): Cut {
    const now = this.#history.cut()
    return transaction === undefined ? now : transaction.start.mode.readCut(transaction.start.cut, now)
  }

  /** Undefined: storage must be asked. */
  #readNow(transaction: OpenTransaction | undefined, cut: Cut, key: string): Value | undefined {
    checkKey(key, this.#limits)
    const written = transaction?.written(key)
    if (written !== undefined) return written
    const version = this.#history.read(key, cut)
    if (this.#answersAlone(version)) {
      mark('read.chain-alone')
      if (version !== undefined) return this.#values.peek(version)
      this.#bases.noteNone(key)
      return null
    }
    const base = this.#bases.peek(key)
    if (base === undefined) return undefined
    if (isOlder(version, base)) {
      mark('read.base-newer')
      return base.bytes
    }
    mark('read.chain-newer')
    return this.#values.peek(version!)
  }

  /** Nothing that ever left a chain is newer. */
  #answersAlone(version: Version | undefined): boolean {
    const { horizon } = this.#history
    return version === undefined ? horizon === HLC_ZERO : version.applied.hlc > horizon
  }

  async #readOn(
    transaction: OpenTransaction | undefined,
    cut: Cut,
    keys: readonly string[],
    values: Value[],
    bytesBefore: number,
  ): Promise<Value[]> {
    const release = this.#hold(cut)
    const { epoch } = this.#life
    try {
      let bytes = bytesBefore
      while (values.length < keys.length) {
        const some = keys.slice(values.length, values.length + LOADS_MAX)
        const loaded = await Promise.all(some.map((key) => this.#readOne({ transaction, cut, epoch }, key)))
        for (const value of loaded) {
          bytes += value?.length ?? 0
          if (values.length > 0 && bytes > ANSWER_BYTES_MAX) return values
          values.push(value)
        }
      }
      return values
    } finally {
      release()
    }
  }

  #readOne(from: Snapshot, key: string): Value | Promise<Value> {
    const now = this.#readNow(from.transaction, from.cut, key)
    return now !== undefined ? now : this.#load(from, key)
  }

  async #load(from: Snapshot, key: string): Promise<Value> {
    // What the snapshot sees is looked up before the base is read: if it is compacted meanwhile, the base is as new.
    const version = this.#history.read(key, from.cut)
    if (version !== undefined && this.#answersAlone(version)) {
      const bytes = await this.#values.load(version)
      if (bytes !== undefined) return bytes
    }
    const base = this.#bases.peek(key) ?? (await this.#bases.load(key))
    this.#checkLive(from)
    if (isOlder(version, base)) return base.bytes
    const cached = this.#values.peek(version!)
    // Not `??`: null is a value, that of a tombstone.
    const bytes = cached === undefined ? await this.#values.load(version!) : cached
    if (bytes !== undefined) return bytes
    mark('read.compacted-meanwhile')
    // Compacted since the base was looked up: the base is it.
    const again = await this.#bases.load(key)
    this.#checkLive(from)
    if (compareStamps(again, version!.applied) === 0) return again.bytes
    throw tooOld()
  }

  #checkLive({ transaction, epoch }: Snapshot): void {
    if (!this.#isFresh() || this.#life.epoch !== epoch) {
      mark('read.too-old')
      throw tooOld()
    }
    transaction?.checkSnapshot()
  }
}

/** Whether the base is the newer, or the same. */
function isOlder(version: Version | undefined, base: CachedBase): boolean {
  return version === undefined || compareStamps(version.applied, base) <= 0
}

function tooOld(): VirgaError {
  return new VirgaError(
    'SnapshotTooOld',
    'the node was out of touch for so long that what this snapshot needs may have been collected',
  )
}
