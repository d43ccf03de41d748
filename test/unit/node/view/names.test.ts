import { expect, test } from 'vitest'
import type { Origin } from '../../../../src/core/ids.js'
import { OpenView, type OpenViewParts } from '../../../../src/node/view/open-view.js'
import { OriginNumbers } from '../../../../src/node/view/origin-numbers.js'
import { decodeOrigins, META_KEY, ORIGINS_KEY } from '../../../../src/wire/view.js'

const origin = (i: number): Origin => `n${i}@0640e0c2e7b000f0e1d2${String(i).padStart(4, '0')}` as Origin
const NAME_BYTES = 1 + origin(100).length

/** A view of so many bytes, on a node that knows `cut`. */
function viewOf(capacityBytes: number, cut: Map<Origin, number>): OpenView {
  const history = { moment: 1, horizon: 0, leftOut: 0, cut: () => cut, isLeftOut: () => false }
  return new OpenView({
    writer: { capacityBytes, path: 'view' },
    state: { history, life: { epoch: 0 }, clock: { last: 0 }, config: { viewValueBytesMax: 1_000 } },
    snapshots: { limit: { cut: new Map(), moment: 0 } },
    origins: new OriginNumbers(),
  } as unknown as OpenViewParts)
}

test('the names of origins are told once, and all again with the first that is new', () => {
  const cut = new Map([[origin(1), 1]])
  const view = viewOf(1_000_000, cut)
  expect(decodeOrigins(view.next(0).get(ORIGINS_KEY)!)).toEqual([origin(1)])
  expect(view.next(0).has(ORIGINS_KEY)).toBe(false)
  cut.set(origin(2), 7)
  expect(decodeOrigins(view.next(0).get(ORIGINS_KEY)!)).toEqual([origin(1), origin(2)])
  expect(view.next(0).has(ORIGINS_KEY)).toBe(false)
})

test('they take a sixteenth of the view at most: then they are taken out, and all else is told', () => {
  const cut = new Map<Origin, number>()
  const view = viewOf(16 * (4 + 3 * NAME_BYTES), cut)
  for (let i = 101; i <= 103; i++) cut.set(origin(i), 1)
  expect(decodeOrigins(view.next(0).get(ORIGINS_KEY)!)).toHaveLength(3)
  cut.set(origin(104), 1)
  const batch = view.next(0)
  expect(batch.get(ORIGINS_KEY)).toBeNull()
  expect(batch.get(META_KEY)).toBeDefined()
  expect(view.next(0).has(ORIGINS_KEY)).toBe(false)
})
