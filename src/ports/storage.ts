/** Where a value lies: a bucket that can be listed, and an id within it. Both are any well-formed string. */
export interface StorageKey {
  /** 1 to 64 characters, from a small alphabet (`a-z 0-9 / -`): engines may use it in names. */
  readonly bucket: string
  /** 1 to 1,200 bytes of UTF-8, any well-formed string. */
  readonly id: string
}

export interface StorageEntry extends StorageKey {
  readonly value: Uint8Array
}

export interface ListedEntry {
  readonly id: string
  /** Present when the listing asked for values. */
  readonly value?: Uint8Array
}

/** `swapped: true`: `next` stands. `swapped: false`: `current` stood instead (undefined: absent), nothing was written. */
export type CompareAndSwapResult =
  | { readonly swapped: true }
  | { readonly swapped: false; readonly current: Uint8Array | undefined }

/**
 * What a durable engine must offer. Small on purpose: a new engine is one file that passes the shared contract suite.
 *
 * Every method rejects with a `VirgaError` and nothing else: code `StorageUnavailable` (its `outcome` says whether a
 * write may have taken effect), `StorageCorrupt`, `LimitExceeded`, `InvalidArgument` or `Closed`. No method waits for
 * ever: each has a time-out of the engine's own. Byte arrays that come back belong to the caller and stay unchanged;
 * arrays that go in are not kept after the promise settled, and must not be changed before.
 */
export interface Storage {
  /** What a commit survives on this engine, in one line for the log at start. */
  readonly durability: string
  /** Values in the order of `keys`; undefined where absent. An empty value is not an absent one. */
  get(keys: readonly StorageKey[]): Promise<(Uint8Array | undefined)[]>
  /** Durable when it resolves. Unordered among its entries: a failure may leave some written. */
  put(entries: readonly StorageEntry[]): Promise<void>
  /**
   * Atomic, and durable when it resolves. Replaces `expected` by `next`, compared by bytes; undefined means absent on
   * either side. Linearizable per key.
   */
  compareAndSwap(
    key: StorageKey,
    expected: Uint8Array | undefined,
    next: Uint8Array | undefined,
  ): Promise<CompareAndSwapResult>
  /** Absent keys are no error. */
  delete(keys: readonly StorageKey[]): Promise<void>
  /**
   * Everything in one bucket, in no order, each id once. Entries that were there when the listing began and are not
   * deleted meanwhile are all seen; of entries written meanwhile, any may be.
   */
  list(bucket: string, options?: { readonly values?: boolean }): AsyncIterable<ListedEntry>
  /** Waits for what is under way; afterwards every method rejects with `Closed`. Idempotent. */
  close(): Promise<void>
}
