import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Rooms } from '../../src/rooms.js'

const ROOM_BYTES = 4_096
const ROOMS_MAX = 4
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('take' as const), bytes: fc.nat(2 * ROOM_BYTES) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('giveBack' as const),
      which: fc.nat(100),
      isFree: fc.boolean(),
    }),
  },
)

/** Whoever has a piece of memory has it filled with their number. */
test('nobody is given what somebody else may still look into', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const rooms = new Rooms(ROOM_BYTES, ROOMS_MAX)
      const lookedInto: { readonly bytes: Buffer; readonly fill: number; isGiven: boolean }[] = []
      for (const [n, each] of steps.entries()) {
        if (each.kind === 'take') {
          const bytes = rooms.take(each.bytes)
          expect(bytes.length).toBe(each.bytes)
          lookedInto.push({ bytes: bytes.fill(n), fill: n, isGiven: false })
        } else if (lookedInto.length > 0) {
          const at = each.which % lookedInto.length
          const some = lookedInto[at]!
          // A second time changes nothing: it is said by whoever failed halfway.
          rooms.giveBack(some.bytes, each.isFree && !some.isGiven)
          some.isGiven = true
          if (each.isFree) lookedInto.splice(at, 1)
        }
        for (const { bytes, fill } of lookedInto) expect(bytes.every((byte) => byte === fill)).toBe(true)
      }
    }),
  )
})

test('what is free is used again, within its bounds', () => {
  const rooms = new Rooms(ROOM_BYTES, ROOMS_MAX)
  const first = rooms.take(ROOM_BYTES)
  rooms.giveBack(first, true)
  const again = rooms.take(2_000)
  expect(again.buffer).toBe(first.buffer)
  const all = [again, ...Array.from({ length: ROOMS_MAX + 2 }, () => rooms.take(2_000))]
  expect(all.filter(({ buffer }) => buffer.byteLength === ROOM_BYTES)).toHaveLength(ROOMS_MAX)
  for (const each of all) rooms.giveBack(each, true)
  const next = Array.from({ length: ROOMS_MAX }, () => rooms.take(2_000).buffer)
  const known = new Set(all.map(({ buffer }) => buffer))
  expect(next.every((buffer) => known.has(buffer) && buffer.byteLength === ROOM_BYTES)).toBe(true)
  expect(new Set(next).size).toBe(ROOMS_MAX)
})

test('what is given back and not free leaves its place to another', () => {
  const rooms = new Rooms(ROOM_BYTES, 1)
  const lost = rooms.take(2_000)
  rooms.giveBack(lost, false)
  const other = rooms.take(2_000)
  expect(other.buffer.byteLength).toBe(ROOM_BYTES)
  expect(other.buffer).not.toBe(lost.buffer)
})
