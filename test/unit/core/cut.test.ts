import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Cut, covers, EMPTY_CUT, intersection, sameCut, sees, union } from '../../../src/core/cut.js'
import type { Origin } from '../../../src/core/ids.js'

const ORIGINS = ['a', 'b', 'c', 'd'] as unknown as readonly Origin[]
const SEQ_MAX = 5
const cut: fc.Arbitrary<Cut> = fc
  .array(fc.integer({ min: 0, max: SEQ_MAX }), { minLength: ORIGINS.length, maxLength: ORIGINS.length })
  .chain((seqs) =>
    // An origin at 0 may be named or left out.
    fc
      .array(fc.boolean(), { minLength: ORIGINS.length, maxLength: ORIGINS.length })
      .map(
        (named) =>
          new Map(ORIGINS.map((o, i) => [o, seqs[i]!] as const).filter((_, i) => seqs[i]! > 0 || named[i])),
      ),
  )

/** The oracle: a cut as the plain set of places that it sees. */
function places(of: Cut): ReadonlySet<string> {
  const out = new Set<string>()
  for (const origin of ORIGINS)
    for (let seq = 1; seq <= SEQ_MAX; seq++) if (sees(of, { origin, seq })) out.add(`${origin}${seq}`)
  return out
}

const set = (items: Iterable<string>): string[] => [...items].sort()

test('union, intersection and covers are those of sets of places', () => {
  fc.assert(
    fc.property(cut, cut, (a, b) => {
      const [pa, pb] = [places(a), places(b)]
      expect(set(places(union(a, b)))).toEqual(set(new Set([...pa, ...pb])))
      expect(set(places(intersection(a, b)))).toEqual(set([...pa].filter((p) => pb.has(p))))
      expect(covers(a, b)).toBe([...pb].every((p) => pa.has(p)))
      expect(sameCut(a, b)).toBe(pa.size === pb.size && [...pb].every((p) => pa.has(p)))
    }),
  )
})

test('cuts are a lattice', () => {
  fc.assert(
    fc.property(cut, cut, cut, (a, b, c) => {
      const same = (x: Cut, y: Cut): void => expect(sameCut(x, y)).toBe(true)
      for (const op of [union, intersection]) {
        same(op(a, a), a)
        same(op(a, b), op(b, a))
        same(op(op(a, b), c), op(a, op(b, c)))
      }
      same(union(a, intersection(a, b)), a)
      same(intersection(a, union(a, b)), a)
      same(intersection(a, union(b, c)), union(intersection(a, b), intersection(a, c)))
      same(union(a, EMPTY_CUT), a)
      same(intersection(a, EMPTY_CUT), EMPTY_CUT)
      expect(covers(union(a, b), a)).toBe(true)
      expect(covers(a, intersection(a, b))).toBe(true)
      expect(covers(a, b)).toBe(sameCut(union(a, b), a))
      expect(covers(a, b)).toBe(sameCut(intersection(a, b), b))
      if (covers(a, b) && covers(b, c)) expect(covers(a, c)).toBe(true)
    }),
  )
})

test('cuts stay as they are', () => {
  fc.assert(
    fc.property(cut, cut, (a, b) => {
      const before = JSON.stringify([[...a], [...b]])
      union(a, b)
      intersection(a, b)
      covers(a, b)
      expect(JSON.stringify([[...a], [...b]])).toBe(before)
    }),
  )
})
