import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SlotMap } from '../../src/slot-map.js'
import { collected, letGoOf } from '../support/garbage.js'

const KEYS_MAX = 12
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('set' as const), key: fc.nat(KEYS_MAX), value: fc.nat() }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom('delete', 'take', 'get'), key: fc.nat(KEYS_MAX) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('clear', 'crowd') }) },
)

test('it is a map, in the order of insertion', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const map = new SlotMap<number, number>()
      const model = new Map<number, number>()
      for (const each of steps) {
        if (each.kind === 'set' && 'value' in each) {
          map.set(each.key, each.value)
          model.set(each.key, each.value)
        } else if (each.kind === 'clear') {
          map.clear()
          model.clear()
        } else if (each.kind === 'crowd') {
          for (let key = 100; key < 1_400; key++) map.set(key, key)
          for (let key = 100; key < 1_400; key++) expect(map.take(key)).toBe(key)
        } else if ('key' in each) {
          expect(map.has(each.key)).toBe(model.has(each.key))
          expect(map.get(each.key)).toBe(model.get(each.key))
          if (each.kind === 'take') expect(map.take(each.key)).toBe(model.get(each.key))
          else if (each.kind === 'delete') expect(map.delete(each.key)).toBe(model.has(each.key))
          if (each.kind !== 'get') model.delete(each.key)
        }
        expect(map.size).toBe(model.size)
        expect([...map]).toEqual([...model])
        expect([...map.keys()]).toEqual([...model.keys()])
        expect([...map.values()]).toEqual([...model.values()])
      }
    }),
  )
})

test('what is deleted while all are gone through is passed over, and what is added is met', () => {
  const map = new SlotMap<number, string>()
  for (const key of [1, 2, 3]) map.set(key, `${key}`)
  const seen: string[] = []
  for (const [key, value] of map) {
    seen.push(value)
    if (key === 1) map.delete(2)
    if (key === 3) map.set(4, '4')
  }
  expect(seen).toEqual(['1', '3', '4'])
})

test('what has left is garbage', async () => {
  const map = new SlotMap<number, object>()
  const left = letGoOf(100, (value, n) => {
    map.set(n, value)
    if (n % 2 === 0) map.delete(n)
    else map.take(n)
  })
  map.set(1_000, {})
  expect(await collected(left)).toBe(100)
  expect(map.size).toBe(1)
})
