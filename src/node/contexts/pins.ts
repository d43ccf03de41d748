import type { Context } from '../../core/context.js'
import type { Try } from '../../core/decision.js'
import type { Attempt, TxnId } from '../../core/ids.js'
import { blobKey, type Place, pinKey } from '../../core/layout.js'
import type { World } from '../world.js'

/** What is known of a context that is, or is to be, durable. */
type Pinning = Pick<Context, 'txn' | 'attempt' | 'deadlineMs' | 'lineage'>

interface Pinned {
  readonly deadlineMs: number
  readonly blobs: ReadonlySet<string>
}

/** The attempts of one transaction that handed off durably. */
type Attempts = Map<Attempt, Pinned>

const DELETIONS_MAX = 1_000

/** What durable handoffs left in storage, to be removed when their transaction has ended. */
export class Pins {
  readonly #world: World
  readonly #pinned = new Map<TxnId, Attempts>()
  /** By name, what is to be deleted; and what is being deleted, less what was pinned again meanwhile. */
  readonly #ended = new Map<string, Place>()
  readonly #underWay = new Map<string, Place>()
  #deleting: Promise<void> | undefined

  constructor(world: World) {
    this.#world = world
  }

  get size(): number {
    return this.#pinned.size
  }

  /**
   * Before a context is made durable. An earlier handoff of the same attempt may have left a pin of the same name that is
   * still to be deleted: it must not take the new one with it.
   */
  async reserve(context: Pinning): Promise<void> {
    this.note(context)
    await this.#deleting
  }

  /** A context that is durable: handed off here, or taken up here. */
  note({ txn, attempt, deadlineMs, lineage }: Pinning): void {
    let attempts = this.#pinned.get(txn)
    if (attempts === undefined) {
      attempts = new Map()
      this.#pinned.set(txn, attempts)
    }
    const blobs = new Set(attempts.get(attempt)?.blobs)
    for (const { body } of lineage) if (body.kind === 'durable') blobs.add(body.blob)
    attempts.set(attempt, { deadlineMs, blobs })
    for (const [name] of placesOf({ txn, attempt }, blobs)) {
      this.#ended.delete(name)
      this.#underWay.delete(name)
    }
  }

  /** The transaction is decided: nobody will resume it. What a crash leaves here is removed after its deadline. */
  end(txn: TxnId): void {
    const attempts = this.#pinned.get(txn)
    if (attempts === undefined) return
    for (const [attempt, { blobs }] of attempts) this.#end({ txn, attempt }, blobs)
    this.#pinned.delete(txn)
  }

  endExpired(nowMs: number): void {
    for (const [txn, attempts] of this.#pinned) {
      for (const [attempt, { deadlineMs, blobs }] of attempts) {
        if (nowMs <= deadlineMs) continue
        this.#end({ txn, attempt }, blobs)
        attempts.delete(attempt)
      }
      if (attempts.size === 0) this.#pinned.delete(txn)
    }
  }

  #end(tried: Try, blobs: ReadonlySet<string>): void {
    for (const [name, place] of placesOf(tried, blobs)) this.#ended.set(name, place)
  }

  /** Deletes what has ended. What fails is tried again at the next call. */
  async sweep(): Promise<void> {
    if (this.#deleting !== undefined || this.#ended.size === 0) return
    this.#deleting = this.#delete()
    await this.#deleting
    this.#deleting = undefined
  }

  async #delete(): Promise<void> {
    for (const [name, place] of [...this.#ended].slice(0, DELETIONS_MAX)) {
      this.#ended.delete(name)
      this.#underWay.set(name, place)
    }
    try {
      await this.#world.storage.delete([...this.#underWay.values()])
    } catch (error) {
      for (const [name, place] of this.#underWay) this.#ended.set(name, place)
      this.#world.log.warn(
        { err: error, left: this.#ended.size },
        'what durable handoffs left could not be deleted yet',
      )
    } finally {
      this.#underWay.clear()
    }
  }
}

/** The pin of an attempt and the blobs of its contexts, by name. */
function placesOf(tried: Try, blobs: ReadonlySet<string>): readonly (readonly [string, Place])[] {
  const places = [pinKey(tried), ...[...blobs].map((blob) => blobKey(tried.txn, blob))]
  return places.map((place) => [`${place.bucket} ${place.id}`, place])
}
