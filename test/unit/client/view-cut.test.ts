import { expect, test } from 'vitest'
import { View, type ViewSnapshot } from '../../../src/client/view.js'
import { departuresOf } from '../../../src/core/cut.js'
import type { Hlc } from '../../../src/core/hlc.js'
import type { Origin } from '../../../src/core/ids.js'
import type { ViewWriter } from '../../../src/ports/view.js'
import { simulate } from '../../../src/testing/sim-clock.js'
import { SimViews } from '../../../src/testing/sim-view.js'
import {
  encodeMeta,
  encodeOrigins,
  encodeVector,
  FLOOR_KEY,
  META_KEY,
  ORIGINS_KEY,
} from '../../../src/wire/view.js'

/** The cut that a context names which an executor makes: what a snapshot in the view sees, told in names. */
const ORIGINS = ['n1@0640e0c2e7b000f0e1d2c3b4', 'n2@0640e0c2e7b000f0e1d2c3b5'] as Origin[]

class Shown {
  readonly #writer: ViewWriter
  readonly view: View
  unfit = 0

  private constructor(writer: ViewWriter, make: (onUnfit: () => void) => View) {
    this.#writer = writer
    this.view = make(() => void this.unfit++)
  }

  static async open(): Promise<Shown> {
    const { clock } = simulate(1)
    const views = new SimViews({ clock })
    const writer = views.create(() => undefined)
    writer.write(head([[1, 5]]))
    const reader = await views.open(writer.path, () => undefined)
    return new Shown(writer, (onUnfit) => new View(reader, clock, { onUsed: () => undefined, onUnfit }))
  }

  write(...batches: ReadonlyMap<string, Uint8Array | null>[]): void {
    this.#writer.write(new Map(batches.flatMap((batch) => [...batch])))
  }

  begin(): ViewSnapshot {
    return this.view.begin()!
  }
}

function head(
  vector: readonly (readonly [number, number])[],
  { moment = 7, floorVersion = 1 } = {},
): Map<string, Uint8Array> {
  const meta = { isLive: true, floorMoment: 0, floorVersion, horizon: 0 as Hlc, beatMs: 0, moment, epoch: 0 }
  return new Map([[META_KEY, encodeMeta({ ...meta, vector: new Map(vector) })]])
}

const floor = (...places: readonly (readonly [number, number])[]): Map<string, Uint8Array> =>
  new Map([[FLOOR_KEY, encodeVector(new Map(places))]])
const names = (...all: Origin[]): Map<string, Uint8Array> => new Map([[ORIGINS_KEY, encodeOrigins(all)]])

test('is told in names, with what departed', async () => {
  const shown = await Shown.open()
  const places = [[1, 5] as const, [2, 3] as const, [0, 9] as const]
  shown.write(head(places), floor([1, 5], [0, 9]), names(...ORIGINS))
  const cut = shown.view.cutOf(shown.begin())!
  expect([...cut]).toEqual([
    [ORIGINS[0], 5],
    [ORIGINS[1], 3],
  ])
  expect(departuresOf(cut)).toBe(9)
})

test('is not told where names are missing, and is when they come', async () => {
  const shown = await Shown.open()
  shown.write(floor())
  expect(shown.view.cutOf(shown.begin())).toBeUndefined()
  shown.write(head([[2, 3]]), names(ORIGINS[0]!))
  expect(shown.view.cutOf(shown.begin())).toBeUndefined()
  shown.write(names(...ORIGINS))
  expect([...shown.view.cutOf(shown.begin())!]).toEqual([[ORIGINS[1], 3]])
  // They were taken out: those that are known still count, others do not.
  shown.write(head([[3, 1]]), new Map([[ORIGINS_KEY, null]]))
  expect(shown.view.cutOf(shown.begin())).toBeUndefined()
  expect(shown.unfit).toBe(0)
})

test('is not told where the floor has a place that the snapshot does not name, though it sees it', async () => {
  const shown = await Shown.open()
  shown.write(head([[1, 5]]), floor([1, 5]), names(...ORIGINS))
  const snapshot = shown.begin()
  expect(shown.view.cutOf(snapshot)).toBeDefined()
  shown.write(head([[1, 5]], { floorVersion: 2 }), floor([1, 5], [2, 3]))
  // Looks at the newest batch from now on.
  shown.begin()
  expect(shown.view.cutOf(snapshot)).toBeUndefined()
  // By then the node has named it, and nothing else has happened: it is another snapshot of the same moment.
  shown.write(
    head(
      [
        [1, 5],
        [2, 3],
      ],
      { floorVersion: 2 },
    ),
  )
  const later = shown.begin()
  expect(later).not.toBe(snapshot)
  expect([...shown.view.cutOf(later)!.values()]).toEqual([5, 3])
  expect(shown.begin()).toBe(later)
})

test('names that can not be read end the view, and nothing is told', async () => {
  const shown = await Shown.open()
  shown.write(floor(), new Map([[ORIGINS_KEY, Buffer.from('no names')]]))
  expect(shown.view.cutOf(shown.begin())).toBeUndefined()
  expect(shown.unfit).toBe(1)
})
