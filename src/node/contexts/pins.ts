import type { Context } from '../../core/context.js'
import type { TxnId } from '../../core/ids.js'
import { blobKey, type Place, pinKey } from '../../core/layout.js'
import type { World } from '../world.js'

/** What is known of a context that is, or is to be, durable. */
type Pinning = Pick<Context, 'txn' | 'deadlineMs' | 'lineage'>

interface Pinned {
  readonly deadlineMs: number
  readonly blobs: ReadonlySet<string>
}

const DELETIONS_MAX = 1_000

/** What durable handoffs left in storage, to be removed when their transaction has ended. */
export class Pins {
  readonly #world: World
  readonly #pinned = new Map<TxnId, Pinned>()
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
   * Before a context is made durable. An earlier attempt at the same transaction may have left a pin of the same name that
   * is still to be deleted: it must not take the new one with it.
   */
  async reserve(context: Pinning): Promise<void> {
    this.note(context)
    await this.#deleting
  }

  /** A context that is durable: handed off here, or taken up here. */
  note(context: Pinning): void {
    const { txn, lineage } = context
    const known = this.#pinned.get(txn)
    const blobs = new Set(known?.blobs)
    for (const { body } of lineage) if (body.kind === 'durable') blobs.add(body.blob)
    // Of several attempts, the one that may go on longest.
    const deadlineMs = Math.max(context.deadlineMs, known?.deadlineMs ?? 0)
    this.#pinned.set(txn, { deadlineMs, blobs })
    for (const [name] of placesOf(txn, blobs)) {
      this.#ended.delete(name)
      this.#underWay.delete(name)
    }
  }

  /** The transaction is decided: nobody will resume it. What a crash leaves here is removed after its deadline. */
  end(txn: TxnId): void {
    const pinned = this.#pinned.get(txn)
    if (pinned === undefined) return
    this.#pinned.delete(txn)
    for (const [name, place] of placesOf(txn, pinned.blobs)) this.#ended.set(name, place)
  }

  endExpired(nowMs: number): void {
    for (const [txn, { deadlineMs }] of this.#pinned) if (nowMs > deadlineMs) this.end(txn)
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

/** The pin of a transaction and the blobs of its contexts, by name. */
function placesOf(txn: TxnId, blobs: ReadonlySet<string>): readonly (readonly [string, Place])[] {
  const places = [pinKey(txn), ...[...blobs].map((blob) => blobKey(txn, blob))]
  return places.map((place) => [`${place.bucket} ${place.id}`, place])
}
