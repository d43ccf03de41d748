/**
 * The view: what a node publishes of its history into memory that executors on its machine look into. A map of records, of
 * which a batch of changes becomes visible as a whole.
 */

/** New records by key; null removes one. */
export type ViewBatch = ReadonlyMap<string, Uint8Array | null>

/** The node's end. */
export interface ViewWriter {
  /** Where executors open it. */
  readonly path: string
  /** Bytes of records that fit, about. */
  readonly capacityBytes: number
  /**
   * Makes all of a batch visible at once. Its bytes are the caller's again when it returns. Throws `LimitExceeded` if there is no room: nothing
   * of it is visible then.
   */
  write(batch: ViewBatch): void
  /** Frees what executors that died had kept from being used again. */
  releaseDead(): void
  /**
   * Removes it: who has it open keeps what was last written. Idempotent.
   * @param last written before that, and also where `write` has no room; not into what somebody has damaged
   * @returns whether that is what readers see now
   */
  close(last?: ViewBatch): boolean
}

/** Where a node puts views. */
export interface Views {
  /**
   * Empties a record in all that an earlier node of this place has left, and removes it. Throws if it can't: somebody may still
   * read there.
   */
  retire(key: string): void
  /**
   * A new and empty one. Throws `StorageUnavailable` if there is no place for one.
   * @param onDamaged somebody else has changed or removed what belongs to the view: it is not to be used any more
   */
  create(onDamaged: () => void): ViewWriter
}

/** An executor's end. */
export interface ViewReader {
  /** From now on reads see the newest batch. Without it they see that one at the latest in the next turn of the event loop. */
  refresh(): void
  /** Looks a record up. Returns its length, -1 if there is none. Until the next call `bytes` begin with it. */
  get(key: string): number
  /** Moves when `get` has begun to see another batch than before. */
  readonly batch: number
  /** What was last found, and after its end anything. The same objects as long as may be: making them anew costs more than the look-up. */
  readonly bytes: Uint8Array
  readonly data: DataView
  close(): void
}

/** How executors come to a view. */
export interface ViewOpener {
  /**
   * Rejects with `StorageUnavailable` if there is none at the path, or it may not be opened.
   * @param onDamaged as for `Views`: the reader must not be used any more
   */
  open(path: string, onDamaged: () => void): Promise<ViewReader>
}
