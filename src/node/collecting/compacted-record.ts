import { type Cut, EMPTY_CUT } from '../../core/cut.js'
import { HLC_ZERO, type Hlc } from '../../core/hlc.js'
import type { Origin } from '../../core/ids.js'
import { CLUSTER_COMPACTED } from '../../core/layout.js'
import type { Storage } from '../../ports/storage.js'
import { type Compacted, decodeCompacted, encodeCompacted } from '../../wire/records.js'

/**
 * How far collection has come, in storage. It only ever grows, in each of its parts. A node that starts reads it after it
 * has adopted every decision: what it says to be compacted is in the bases.
 */
export class CompactedRecord {
  readonly #storage: Storage
  #record: Uint8Array | undefined

  constructor(storage: Storage) {
    this.#storage = storage
  }

  async read(): Promise<Compacted> {
    const [record] = await this.#storage.get([CLUSTER_COMPACTED])
    this.#record = record
    return compactedOf(record)
  }

  /** What an origin published up to `through` is in the bases and its records are markers, none with a clock above `horizon`. */
  raise(origin: Origin, through: number, horizon: Hlc): Promise<void> {
    return this.#raise(({ cut, horizon: highest }) => {
      if (through <= (cut.get(origin) ?? 0) && horizon <= highest) return undefined
      const higher = Math.max(through, cut.get(origin) ?? 0)
      return { cut: new Map(cut).set(origin, higher), horizon: Math.max(horizon, highest) as Hlc }
    })
  }

  raiseHorizon(horizon: Hlc): Promise<void> {
    return this.#raise(({ cut, horizon: highest }) => (horizon <= highest ? undefined : { cut, horizon }))
  }

  /** Each round that fails is one in which another node got further. */
  async #raise(next: (stands: Compacted) => Compacted | undefined): Promise<void> {
    for (;;) {
      const raised = next(compactedOf(this.#record))
      if (raised === undefined) return
      const record = encodeCompacted(raised)
      const result = await this.#storage.compareAndSwap(CLUSTER_COMPACTED, this.#record, record)
      this.#record = result.swapped ? record : result.current
      if (result.swapped) return
    }
  }
}

function compactedOf(record: Uint8Array | undefined): { readonly cut: Cut; readonly horizon: Hlc } {
  return record === undefined ? { cut: EMPTY_CUT, horizon: HLC_ZERO } : decodeCompacted(record)
}
