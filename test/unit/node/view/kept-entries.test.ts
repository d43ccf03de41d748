import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Hlc, hlcAt } from '../../../../src/core/hlc.js'
import { entryKey } from '../../../../src/wire/view.js'
import {
  apartRecords,
  numbersIn,
  OTHER_ORIGIN,
  same,
  value,
  World,
} from '../../../support/residents-world.js'

/** Of one key, in the view, with so many versions of so many bytes. */
function worldOf(versions: number, bytes: number): World {
  const world = new World()
  world.noBase('a')
  world.residents.want('a')
  for (let i = 1; i <= versions; i++) world.put('a', value(bytes, i))
  world.write()
  return world
}

/** Entries that are written often are kept, and what is new is put before their items. */
describe('an entry that grows item by item', () => {
  const MANY_BYTES = 4 * 1024 * 1024
  const sizes = fc.constantFrom(0, 5, 1_024, 1_025, 3_000)
  const keys = fc.constantFrom('a', 'b')
  type Step = readonly [what: string, key: string, size: number | null, count: number]
  const step = (
    what: string,
    size: fc.Arbitrary<number | null>,
    count: fc.Arbitrary<number>,
  ): fc.Arbitrary<Step> => fc.tuple(fc.constant(what), keys, size, count)
  const steps = fc.oneof(
    { weight: 12, arbitrary: step('put', fc.option(sizes), fc.constant(0)) },
    { weight: 8, arbitrary: step('burst', fc.option(sizes), fc.nat(70)) },
    { weight: 2, arbitrary: step('late', fc.option(sizes), fc.oneof(fc.nat(80), fc.nat(9_000))) },
    { weight: 2, arbitrary: step('place', fc.constant(0), fc.nat(8)) },
    { weight: 2, arbitrary: step('tick', fc.constant(0), fc.nat(400)) },
    { weight: 1, arbitrary: step('compact', fc.constant(0), fc.nat(20)) },
    { weight: 12, arbitrary: step('write', fc.constant(0), fc.constant(0)) },
  )

  function run(
    world: World,
    [what, key, size, count]: readonly [string, string, number | null, number],
  ): void {
    const bytes = size === null ? null : value(size, world.moment & 255)
    if (what === 'put') world.put(key, bytes)
    else if (what === 'burst') for (let i = 0; i < count; i++) world.put(key, bytes)
    else if (what === 'late') world.putLate(key, bytes, count)
    else if (what === 'place') world.place(key, count)
    else if (what === 'compact') world.compact(key, count)
    else if (what === 'tick') world.clock.last = (world.clock.last + hlcAt(count)) as Hlc
    else world.write()
  }

  test('answers what one answers that is made anew, and what is so', () => {
    fc.assert(
      fc.property(fc.array(steps, { minLength: 10, maxLength: 40 }), (all) => {
        const world = new World(MANY_BYTES)
        for (const key of ['a', 'b']) {
          world.noBase(key)
          world.residents.want(key)
        }
        world.write()
        for (const step of all) {
          run(world, step)
          if (step[0] === 'write') compare(world)
        }
        world.write()
        compare(world)
      }),
      { numRuns: 100 },
    )
  })

  function compare(world: World): void {
    const anew = world.madeAnew(['a', 'b'])
    const named = new Set<number>()
    for (const key of ['a', 'b']) {
      const entry = world.records.get(entryKey(key))!
      for (const number of numbersIn(entry)) named.add(number)
      expect(entry[1]).toBeLessThanOrEqual(65)
      for (let moment = 0; moment <= world.moment; moment++) {
        const places = new Map([[world.origins.of(OTHER_ORIGIN), moment]])
        for (const by of [undefined, places]) {
          const whole = anew.look(key, moment, by)
          const seen = world.look(key, moment, by)
          // What leaves below all that an entry tells of may be in its base, which it is not written for.
          const mayAsk = seen === undefined && world.baseMoments.has(key) && entry[0] === 0
          if (whole !== undefined && !mayAsk) same(seen, whole)
        }
        const truth = world.truth(key, moment)
        const seen = world.look(key, moment)
        if (moment === world.moment) expect(seen).not.toBeUndefined()
        if (seen !== undefined && truth !== 'gone') same(seen, truth)
      }
    }
    expect(apartRecords(world)).toBe(named.size)
  }

  test('has a value filled in that was not at hand', () => {
    const world = worldOf(6, 5)
    world.put('a', value(5, 7))
    const version = world.chains.get('a')!.at(-1)!
    world.bytes.delete(version)
    world.write()
    expect(world.look('a', 7)).toBeUndefined()
    expect(world.look('a', 6)).toEqual(value(5, 6))
    world.bytes.set(version, value(5, 7))
    world.residents.want('a')
    world.write()
    expect(world.look('a', 7)).toEqual(value(5, 7))
  })

  test('is kept: what stands in it stays, though the node has let go of it', () => {
    const world = worldOf(6, 5)
    world.forget('a')
    world.put('a', value(5, 7))
    world.write()
    for (let i = 1; i <= 7; i++) expect(world.look('a', i)).toEqual(value(5, i))
  })

  test('is written as a whole where it is too large to be kept', () => {
    const world = worldOf(6, 1_000)
    world.forget('a')
    world.put('a', value(1_000, 7))
    world.write()
    expect([6, 7].map((moment) => world.look('a', moment)?.[0])).toEqual([undefined, 7])
  })

  test('is written as a whole where all that it told of was superseded long ago', () => {
    const world = worldOf(6, 2_000)
    for (let second = 1; second <= 8; second++) {
      world.clock.last = hlcAt(1_000 * second)
      world.put('a', value(2_000, 6 + second), world.clock.last)
    }
    world.write()
    expect(apartRecords(world)).toBe(2)
    expect([12, 13, 14].map((moment) => world.look('a', moment)?.[0])).toEqual([undefined, 13, 14])
  })

  test('is not written for what leaves below all that it tells of, and is once what it tells of leaves', () => {
    const world = worldOf(70, 5)
    world.compact('a', 6)
    expect(world.residents.take().size).toBe(0)
    expect(world.look('a', 7)).toEqual(value(5, 7))
    world.compact('a', 1)
    expect(world.residents.take().size).toBe(1)
  })

  test('ends before a version of more places than an item has room for', () => {
    const world = worldOf(6, 5)
    world.put('a', value(5, 7))
    const { coordinates } = world.chains.get('a')!.at(-1)!.applied
    while (coordinates.length <= 255) coordinates.push({ origin: OTHER_ORIGIN, seq: coordinates.length })
    world.put('a', value(5, 8))
    world.write()
    expect([6, 7, 8].map((moment) => world.look('a', moment)?.[0])).toEqual([undefined, undefined, 8])
  })

  test('lets go of what was superseded long ago', () => {
    const world = worldOf(6, 2_000)
    expect(apartRecords(world)).toBe(6)
    world.clock.last = hlcAt(1_000)
    world.put('a', value(2_000, 7), hlcAt(999))
    world.write()
    expect(apartRecords(world)).toBe(2)
    expect([5, 6, 7].map((moment) => world.look('a', moment)?.[0])).toEqual([undefined, 6, 7])
  })
})
