import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hlcAt } from '../../../../src/core/hlc.js'
import { entryKey, valueKey } from '../../../../src/wire/view.js'
import {
  apartRecords,
  BYTES_MAX,
  entries,
  numbersIn,
  OTHER_ORIGIN,
  VALUE_BYTES_MAX,
  value,
  World,
} from '../../../support/residents-world.js'

describe('over random histories', () => {
  const keys = fc.nat(7).map((n) => `key${n}`)
  const sizes = fc.constantFrom(0, 5, 1_024, 1_025, 3_000, VALUE_BYTES_MAX, VALUE_BYTES_MAX + 1)
  const steps = fc.oneof(
    {
      weight: 20,
      arbitrary: fc.record({ do: fc.constant('put' as const), key: keys, size: fc.option(sizes) }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('late' as const),
        key: keys,
        size: fc.option(sizes),
        count: fc.integer({ min: 1, max: 60 }),
      }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('place' as const), key: keys, count: fc.nat(3) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('burst' as const), key: keys, count: fc.nat(20) }) },
    {
      weight: 15,
      arbitrary: fc.record({ do: fc.constantFrom('want', 'used', 'noBase', 'forget'), key: keys }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('compact' as const),
        key: keys,
        count: fc.integer({ min: 1, max: 3 }),
      }),
    },
    { weight: 15, arbitrary: fc.record({ do: fc.constant('write' as const), key: keys }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const), key: keys }) },
  )

  function run(world: World, step: { do: string; key: string; size?: number | null; count?: number }): void {
    const { key } = step
    if (step.do === 'put') world.put(key, step.size == null ? null : value(step.size, world.moment & 255))
    else if (step.do === 'late')
      world.putLate(key, step.size == null ? null : value(step.size, world.moment & 255), step.count!)
    else if (step.do === 'place') world.place(key, step.count!)
    else if (step.do === 'burst') {
      for (let i = 0; i < step.count!; i++) world.put(key, value(5, world.moment & 255))
    } else if (step.do === 'want') world.residents.want(key)
    else if (step.do === 'used') world.residents.used(key)
    else if (step.do === 'noBase' && !world.chains.has(key)) world.noBase(key)
    else if (step.do === 'forget') world.forget(key)
    else if (step.do === 'compact') world.compact(key, step.count!)
    else if (step.do === 'clear') world.residents.clear()
    else world.write()
  }

  test.each([BYTES_MAX, 24 * 1024])(
    'of %d bytes: what it answers is so, no record is left over, and all is within bounds',
    (bytesMax) => {
      fc.assert(
        fc.property(fc.array(steps, { maxLength: 60 }), (all) => {
          const world = new World(bytesMax)
          for (const step of all) run(world, step)
          world.write()
          expect(world.residents.bytes).toBeLessThanOrEqual(bytesMax)
          expect(entries(world).length).toBe(world.residents.keys)
          for (const key of entries(world)) {
            for (let moment = 0; moment <= world.moment; moment++) {
              const seen = world.look(key, moment)
              const truth = world.truth(key, moment)
              // A base that the snapshot may not see is for the reader to refuse, by the floor.
              if (seen !== undefined && truth !== 'gone' && truth !== 'unknown')
                expect(seen, `${key} at ${moment}`).toEqual(truth)
            }
          }
          // Once more: what is asked for again is written as a whole where something was lacking.
          for (const key of entries(world)) world.residents.want(key)
          world.write()
          const there = entries(world)
          const anew = world.madeAnew(there)
          for (const key of there) {
            for (let moment = 0; moment <= world.moment; moment++) {
              const whole = anew.look(key, moment)
              if (whole !== undefined) expect(world.look(key, moment), `${key} at ${moment}`).toEqual(whole)
              const places = new Map([[world.origins.of(OTHER_ORIGIN), moment]])
              const byPlace = anew.look(key, 0, places)
              if (byPlace !== undefined)
                expect(world.look(key, 0, places), `${key} by place ${moment}`).toEqual(byPlace)
            }
          }
          const named = new Set<number>()
          for (const key of entries(world))
            for (const number of numbersIn(world.records.get(entryKey(key))!)) named.add(number)
          expect(apartRecords(world)).toBe(named.size)
          for (const number of named) expect(world.records.has(valueKey(number))).toBe(true)
          world.residents.clear()
          world.write()
          expect([...world.records.keys()]).toEqual([])
        }),
        { numRuns: 400 },
      )
    },
  )
})

test('in a view that is full of other keys, former versions stay as well', () => {
  const world = new World(60 * 1024)
  for (let i = 0; i < 100; i++) {
    world.put(`cold${i}`, value(600, 1))
    world.residents.want(`cold${i}`)
    world.write()
  }
  expect(world.residents.bytes).toBeGreaterThan(58 * 1024)
  world.noBase('hot')
  world.residents.want('hot')
  for (let round = 1; round <= 8; round++) {
    world.clock.last = hlcAt(10_000 + round * 20)
    world.put('hot', value(600, round), world.clock.last)
    world.write()
  }
  for (let ago = 0; ago < 8; ago++) expect(world.look('hot', world.moment - ago)).toEqual(value(600, 8 - ago))
})

test('where room gets scarce, former versions go before keys do', () => {
  const names = Array.from({ length: 40 }, (_, i) => `key${i}`)
  const world = new World(60 * 1024)
  for (const key of names) {
    world.noBase(key)
    world.residents.want(key)
  }
  // Versions of 20 ms apart: of all that are not older than 250 ms, there would be room for a quarter.
  for (let round = 1; round <= 20; round++) {
    world.clock.last = hlcAt(10_000 + round * 20)
    for (const key of names) {
      world.put(key, value(600, round), world.clock.last)
      world.write()
    }
  }
  expect(entries(world).sort()).toEqual([...names].sort())
  for (const key of names) expect(world.look(key, world.moment)).toEqual(value(600, 20))
})

test('what was used least lately is put out, by bytes', () => {
  const world = new World(16 * 1024)
  const names = ['a', 'b', 'c', 'd', 'e']
  for (const key of names) world.put(key, value(1_000, 1))
  for (const key of names) world.residents.want(key)
  world.write()
  expect(entries(world).sort()).toEqual(names)
  world.residents.used('a')
  world.residents.used('c')
  expect(world.uses).toContain('a')
  // 12 more of about 1.1 KiB: no room for those that nobody used.
  for (let i = 0; i < 10; i++) {
    world.put(`new${i}`, value(1_000, 2))
    world.residents.want(`new${i}`)
    world.write()
    if (entries(world).length < i + 6) break
  }
  expect(entries(world)).not.toContain('b')
  expect(entries(world)).toEqual(expect.arrayContaining(['a', 'c']))
})

test('an entry that grows larger than all that fits leaves the view, and comes back when it is small', () => {
  const world = new World(6 * 1024)
  world.noBase('a')
  world.residents.want('a')
  world.write()
  for (let i = 0; i < 7; i++) world.put('a', value(1_020, i))
  world.write()
  expect([...world.records.keys()]).toEqual([])
  world.compact('a', 7)
  world.residents.want('a')
  world.write()
  expect(world.look('a', world.moment)).toEqual(value(1_020, 6))
})

test('values of an entry that grows too large are freed once: no two others share the record of one', () => {
  const world = new World(100 * 1024)
  const others = Array.from({ length: 30 }, (_, i) => `b${i}`)
  for (const key of ['a', ...others]) {
    world.noBase(key)
    world.residents.want(key)
  }
  for (let i = 1; i <= 3; i++) world.put('a', value(8_000, i))
  world.write()
  // Too many to fit: three of them are there already.
  for (let i = 4; i <= 16; i++) world.put('a', value(8_000, i))
  for (const [i, key] of others.entries()) world.put(key, value(1_100, 100 + i))
  world.write()
  expect(entries(world).sort()).toEqual([...others].sort())
  for (const [i, key] of others.entries())
    expect(world.look(key, world.moment)).toEqual(value(1_100, 100 + i))
})

test('of more versions than an entry holds, older ones are asked of the node', () => {
  const world = new World()
  world.noBase('a')
  world.residents.want('a')
  for (let i = 1; i <= 80; i++) world.put('a', value(1, i))
  world.write()
  const answered = Array.from({ length: 81 }, (_, moment) => world.look('a', moment))
  expect(answered.slice(0, 17)).toEqual(new Array(17).fill(undefined))
  expect(answered.slice(17)).toEqual(Array.from({ length: 64 }, (_, i) => value(1, 17 + i)))
})

test('what was superseded long ago makes room when its key is written again', () => {
  const world = new World()
  world.noBase('a')
  world.residents.want('a')
  const large = (byte: number): Uint8Array => value(2_000, byte)
  for (let i = 1; i <= 3; i++) world.put('a', large(i))
  world.write()
  expect([0, 1, 2, 3].map((moment) => world.look('a', moment))).toEqual([null, large(1), large(2), large(3)])
  const { bytes } = world.residents
  // The newest is of this time, the others were superseded before.
  world.clock.last = hlcAt(1_000)
  world.put('a', large(4))
  Object.assign(world.chains.get('a')![3]!.applied, { hlc: hlcAt(999) })
  world.write()
  expect(world.look('a', 4)).toEqual(large(4))
  expect(world.look('a', 3)).toEqual(large(3))
  expect([0, 1, 2].map((moment) => world.look('a', moment))).toEqual([undefined, undefined, undefined])
  expect(world.residents.bytes).toBeLessThan(bytes)
  expect(world.records.size).toBe(3)
})

test('a base that comes to be known completes the entry when its key is asked for again', () => {
  const world = new World()
  world.put('a', value(5, 1))
  world.residents.want('a')
  world.write()
  expect(world.look('a', 0)).toBeUndefined()
  expect(world.look('a', 1)).toEqual(value(5, 1))
  world.noBase('a')
  world.residents.want('a')
  world.write()
  expect(world.look('a', 0)).toBeNull()
})

test('a value that was not at hand is filled in when it is', () => {
  const world = new World()
  world.noBase('a')
  world.put('a', value(5, 1))
  const [version] = world.chains.get('a')!
  world.forget('a')
  world.residents.want('a')
  world.write()
  expect(world.look('a', 1)).toBeUndefined()
  world.bytes.set(version!, value(5, 1))
  world.residents.want('a')
  world.write()
  expect(world.look('a', 1)).toEqual(value(5, 1))
})

test('a value apart is written once, however many versions come after it', () => {
  const world = new World()
  world.noBase('a')
  world.put('a', value(3_000, 1))
  world.residents.want('a')
  world.write()
  expect(apartRecords(world)).toBe(1)
  world.put('a', value(1, 2))
  const batch = world.residents.take()
  expect([...batch.keys()]).toEqual([entryKey('a')])
})

test('a value apart is not written again when its version becomes the base', () => {
  const world = new World()
  world.noBase('a')
  world.put('a', value(3_000, 1))
  world.residents.want('a')
  world.write()
  world.compact('a', 1)
  world.put('a', value(1, 2))
  const batch = world.residents.take()
  expect([...batch.keys()]).toEqual([entryKey('a')])
  for (const [key, record] of batch) world.records.set(key, Uint8Array.from(record!))
  expect([1, 2].map((moment) => world.look('a', moment))).toEqual([value(3_000, 1), value(1, 2)])
})

test('keys that many executors want at once come some at a time', () => {
  const world = new World(1024 * 1024)
  for (let i = 0; i < 200; i++) world.residents.want(`k${i}`)
  const sizes: number[] = []
  while (world.residents.hasWanted) sizes.push(world.residents.take().size)
  expect(sizes).toEqual([64, 64, 64, 8])
})
