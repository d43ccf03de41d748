import type { Context } from '../core/context.js'
import type { TxnId } from '../core/ids.js'
import { blobKey, type Place, pinKey } from '../core/layout.js'
import type { World } from './world.js'

interface Pinned {
  readonly deadlineMs: number
  readonly blobs: ReadonlySet<string>
}

const DELETIONS_MAX = 1_000

/** What durable handoffs left in storage, to be removed when their transaction has ended. */
export class Pins {
  readonly #world: World
  readonly #pinned = new Map<TxnId, Pinned>()
  #ended: Place[] = []
  #deleting = false

  constructor(world: World) {
    this.#world = world
  }

  get size(): number {
    return this.#pinned.size
  }

  /** A context that is durable: handed off here, or taken up here. */
  note(context: Pick<Context, 'txn' | 'deadlineMs' | 'lineage'>): void {
    const blobs = new Set(this.#pinned.get(context.txn)?.blobs)
    for (const { body } of context.lineage) if (body.kind === 'durable') blobs.add(body.blob)
    this.#pinned.set(context.txn, { deadlineMs: context.deadlineMs, blobs })
  }

  /** The transaction is decided: nobody will resume it. What a crash leaves here is removed after its deadline. */
  end(txn: TxnId): void {
    const pinned = this.#pinned.get(txn)
    if (pinned === undefined) return
    this.#pinned.delete(txn)
    this.#ended.push(pinKey(txn), ...[...pinned.blobs].map((blob) => blobKey(txn, blob)))
  }

  endExpired(nowMs: number): void {
    for (const [txn, { deadlineMs }] of this.#pinned) if (nowMs > deadlineMs) this.end(txn)
  }

  /** Deletes what has ended. What fails is tried again at the next call. */
  async sweep(): Promise<void> {
    if (this.#deleting || this.#ended.length === 0) return
    this.#deleting = true
    const batch = this.#ended.splice(0, DELETIONS_MAX)
    try {
      await this.#world.storage.delete(batch)
    } catch (error) {
      this.#ended = [...batch, ...this.#ended]
      this.#world.log.warn(
        { error, left: this.#ended.length },
        'what durable handoffs left could not be deleted yet',
      )
    } finally {
      this.#deleting = false
    }
  }
}
