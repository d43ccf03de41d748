import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Bag, type Bagged, NOWHERE } from '../../src/bag.js'
import { collected, letGoOf } from '../support/garbage.js'

const MEMBERS = 10
const step = fc.record({
  kind: fc.constantFrom('add', 'add', 'add', 'delete', 'delete', 'take', 'clear'),
  n: fc.nat(MEMBERS - 1),
  bag: fc.nat(1),
})

test('it is a set without order, of what is in no other', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const members = Array.from({ length: MEMBERS }, (_, n) => ({ n, place: NOWHERE }))
      const bags = [new Bag<Bagged>(), new Bag<Bagged>()] as const
      const models = [new Set<Bagged>(), new Set<Bagged>()] as const
      for (const { kind, n, bag } of steps) {
        const member = members[n]!
        const [at, model, other] = [bags[bag]!, models[bag]!, models[1 - bag]!]
        if (kind === 'add') {
          if (other.has(member)) continue
          at.add(member)
          model.add(member)
        } else if (kind === 'delete') expect(at.delete(member)).toBe(model.delete(member))
        else if (kind === 'take') {
          const taken = at.take()
          if (taken === undefined) expect(model.size).toBe(0)
          else expect(model.delete(taken)).toBe(true)
        } else {
          at.clear()
          model.clear()
        }
        expect(at.size).toBe(model.size)
        expect(new Set(at)).toEqual(model)
      }
    }),
  )
})

test('what has left is garbage', async () => {
  const bag = new Bag<Bagged>()
  const stays = { place: NOWHERE }
  bag.add(stays)
  const left = letGoOf(100, (value, n) => {
    const member = Object.assign(value, { place: NOWHERE })
    bag.add(member)
    if (n % 2 === 0) expect(bag.delete(member)).toBe(true)
  })
  bag.delete(stays)
  bag.clear()
  bag.add(stays)
  expect(await collected(left)).toBe(100)
  expect([...bag]).toEqual([stays])
})
