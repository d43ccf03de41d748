import { VirgaError } from '../errors.js'
import type { Clock } from '../ports/clock.js'
import type { ViewBatch, ViewOpener, ViewReader, Views, ViewWriter } from '../ports/view.js'

/** What may go wrong with a view, each asked for when it may. All default to never. */
export interface SimViewFaults {
  /** There is no place for a new view. */
  readonly createFails?: () => boolean
  /** A batch does not fit. */
  readonly writeFails?: () => boolean
  readonly openFails?: () => boolean
}

export interface SimViewOptions extends SimViewFaults {
  readonly clock: Clock
  readonly capacityBytes?: number
}

type Records = ReadonlyMap<string, Uint8Array>

/** One view: its batches, of which a reader sees the newest when it looks, and then that one for the rest of the turn. */
class SimView {
  records: Records = new Map()
  readonly damaged = new Set<() => void>()
  /** It must not be touched any more. */
  isDamaged = false

  write(batch: ViewBatch, bytesMax = Number.POSITIVE_INFINITY): void {
    const records = new Map(this.records)
    for (const [key, value] of batch) {
      if (value === null) records.delete(key)
      else records.set(key, new Uint8Array(value))
    }
    let bytes = 0
    for (const [key, value] of records) bytes += key.length + value.length
    if (bytes > bytesMax) throw new VirgaError('LimitExceeded', 'the view is full')
    this.records = records
  }
}

/**
 * The memory that one machine's node and executors share. What a dead node wrote stays, as it does for those who have a
 * file mapped.
 */
export class SimViews implements Views, ViewOpener {
  readonly #options: SimViewOptions
  readonly #views = new Map<string, SimView>()
  #created = 0

  constructor(options: SimViewOptions) {
    this.#options = options
  }

  retire(key: string): void {
    for (const [path, view] of this.#views) {
      if (this.#options.writeFails?.())
        throw new VirgaError('StorageUnavailable', 'what is left can not be written')
      view.records = new Map([...view.records, [key, new Uint8Array(0)]])
      this.#views.delete(path)
    }
  }

  create(onDamaged: () => void): ViewWriter {
    if (this.#options.createFails?.()) throw new VirgaError('StorageUnavailable', 'no room for a view')
    const path = `view-${++this.#created}`
    const view = new SimView()
    view.damaged.add(onDamaged)
    this.#views.set(path, view)
    const { capacityBytes = 1024 * 1024, writeFails } = this.#options
    let isClosed = false
    return {
      path,
      capacityBytes,
      write(batch) {
        if (isClosed) throw new VirgaError('Closed', 'the view is closed')
        if (writeFails?.()) throw new VirgaError('LimitExceeded', 'the view is full')
        view.write(batch, capacityBytes)
      },
      releaseDead() {},
      close: (last) => {
        if (isClosed) return false
        isClosed = true
        view.damaged.delete(onDamaged)
        this.#views.delete(path)
        if (last === undefined || view.isDamaged || writeFails?.()) return false
        view.write(last)
        return true
      },
    }
  }

  async open(path: string, onDamaged: () => void): Promise<ViewReader> {
    const view = this.#views.get(path)
    if (view === undefined || this.#options.openFails?.())
      throw new VirgaError('StorageUnavailable', `there is no view at ${path}`)
    view.damaged.add(onDamaged)
    return new SimReader(view, this.#options.clock, onDamaged)
  }

  /** Somebody deletes, or overwrites, what is there. All who have it open hear of it. */
  damage(): void {
    for (const view of this.#views.values()) {
      const { damaged } = view
      view.isDamaged = true
      const told = [...damaged]
      damaged.clear()
      for (const tell of told) tell()
    }
  }
}

class SimReader implements ViewReader {
  batch = 0
  bytes: Uint8Array = new Uint8Array(0)
  data: DataView = new DataView(new ArrayBuffer(0))
  readonly #view: SimView
  readonly #clock: Clock
  readonly #onDamaged: () => void
  #seen: Records | undefined
  #isClosed = false

  constructor(view: SimView, clock: Clock, onDamaged: () => void) {
    this.#view = view
    this.#clock = clock
    this.#onDamaged = onDamaged
  }

  refresh(): void {
    this.#seen = undefined
  }

  get(key: string): number {
    if (this.#isClosed) return -1
    if (this.#seen === undefined) {
      const seen = this.#view.records
      this.#seen = seen
      this.batch++
      this.#clock.defer(() => {
        if (this.#seen === seen) this.#seen = undefined
      })
    }
    const found = this.#seen.get(key)
    if (found === undefined) return -1
    this.bytes = found
    this.data = new DataView(found.buffer, found.byteOffset, found.byteLength)
    return found.length
  }

  close(): void {
    this.#isClosed = true
    this.#view.damaged.delete(this.#onDamaged)
  }
}
