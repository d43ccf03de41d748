import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { TxnId } from '../../../src/core/ids.js'
import { Order } from '../../../src/core/order.js'

type Step = { readonly push: number } | { readonly forget: number }

const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    fc.record({ push: fc.integer({ min: 1, max: 8 }) }),
    // Also what is forgotten already, and what was not given out yet.
    fc.record({ forget: fc.nat(60) }),
  ),
  { maxLength: 40 },
)

test('an order is an array whose beginning is forgotten', () => {
  fc.assert(
    fc.property(steps, fc.nat(10), (steps, start) => {
      const order = new Order(start)
      // Places count from 1, and the first `start` were never here.
      const all: (TxnId | undefined)[] = Array(start + 1).fill(undefined)
      let first = start + 1
      for (const step of steps) {
        if ('push' in step) {
          for (let i = 0; i < step.push; i++) {
            order.push(`t${all.length}` as TxnId)
            all.push(`t${all.length}` as TxnId)
          }
        } else {
          order.forgetThrough(step.forget)
          first = Math.max(first, Math.min(step.forget, all.length - 1) + 1)
        }
        expect(order.first).toBe(first)
        expect(order.last).toBe(all.length - 1)
        for (let seq = 0; seq <= all.length; seq++)
          expect(order.at(seq)).toBe(seq < first ? undefined : all[seq])
        for (const [from, to] of [
          [1, all.length],
          [0, first - 1],
          [1, start],
          [first, first],
          [first + 1, all.length - 2],
          [all.length, all.length + 3],
          [5, 3],
        ] as const) {
          const due = all.filter((_, seq) => seq >= Math.max(from, first) && seq <= to)
          expect(order.between(from, to)).toEqual(due)
        }
      }
    }),
    { numRuns: 300 },
  )
})
