import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Outbox } from '../../../src/transport/outbox.js'

const FRAMES_MAX = 4
const BYTES_MAX = 20
const step = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 30 }).map((size) => ({ kind: 'push' as const, size })) },
  { weight: 2, arbitrary: fc.constant({ kind: 'shift' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'peek' as const }) },
)

test('an outbox is a queue within its bounds, save that a single frame always fits an empty one', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const outbox = new Outbox(FRAMES_MAX, BYTES_MAX)
      let model: Uint8Array[] = []
      for (const each of steps) {
        if (each.kind === 'push') {
          const frame = new Uint8Array(each.size)
          const bytes = model.reduce((sum, { length }) => sum + length, 0)
          const fits = model.length === 0 || (model.length < FRAMES_MAX && bytes + each.size <= BYTES_MAX)
          expect(outbox.push(frame)).toBe(fits)
          if (fits) model.push(frame)
        } else if (each.kind === 'shift') {
          outbox.shift()
          model = model.slice(1)
        }
        expect(outbox.peek()).toBe(model[0])
        expect(outbox.isEmpty).toBe(model.length === 0)
      }
      outbox.clear()
      expect(outbox.isEmpty).toBe(true)
    }),
  )
})

test('one that is never quite empty keeps nothing that has left', () => {
  const outbox = new Outbox(1_024, 1_000_000)
  for (let n = 0; n < 3; n++) outbox.push(Uint8Array.of(n))
  for (let n = 3; n < 10_000; n++) {
    expect(outbox.push(Uint8Array.of(n % 256))).toBe(true)
    expect(outbox.peek()).toEqual(Uint8Array.of((n - 3) % 256))
    outbox.shift()
    expect(outbox.held).toBeLessThan(150)
  }
})
