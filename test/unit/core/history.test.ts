import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Cut, covers, EMPTY_CUT } from '../../../src/core/cut.js'
import type { Decision } from '../../../src/core/decision.js'
import { History } from '../../../src/core/history.js'
import type { Hlc } from '../../../src/core/hlc.js'
import type { Attempt, Origin, TxnId } from '../../../src/core/ids.js'
import type { Version } from '../../../src/core/version.js'

const KEYS = ['k0', 'k1', 'k2']
const ORIGINS = ['o0', 'o1', 'o2'] as unknown as readonly Origin[]
/** An origin of the past, whose order is told after all its transactions are here. */
const PAST = 'past' as Origin

interface Txn {
  readonly txn: TxnId
  readonly hlc: Hlc
  readonly keys: readonly string[]
  readonly deletes: boolean
}

/** What happens, in order: `at` publishes (or adopts) `txn` next. */
interface Step {
  readonly at: Origin
  readonly txn: Txn
}

interface Script {
  readonly txns: readonly Txn[]
  readonly steps: readonly Step[]
  readonly past: readonly Txn[]
  readonly declared: number
}

const txns: fc.Arbitrary<readonly Txn[]> = fc
  .array(
    // Few clock values, so that ids have to break ties.
    fc.record({
      hlc: fc.integer({ min: 1, max: 6 }),
      keys: fc.subarray(KEYS, { minLength: 1 }),
      deletes: fc.boolean(),
    }),
    { minLength: 1, maxLength: 10 },
  )
  .chain((shapes) =>
    fc.shuffledSubarray(
      shapes.map((shape, i) => ({ ...shape, hlc: shape.hlc as Hlc, txn: `t${i}` as TxnId })),
      { minLength: shapes.length },
    ),
  )

const script: fc.Arbitrary<Script> = txns.chain((all) =>
  fc.record({
    txns: fc.constant(all),
    // Each transaction may be published by one origin and adopted by others, and even twice by one.
    steps: fc.array(fc.record({ at: fc.constantFrom(...ORIGINS), txn: fc.constantFrom(...all) }), {
      minLength: 1,
      maxLength: 25,
    }),
    past: fc.shuffledSubarray([...all]),
    declared: fc.nat(all.length),
  }),
)

function decisionOf({ hlc, keys, deletes }: Txn): Decision {
  return {
    status: 'committed',
    attempt: '0'.repeat(24) as Attempt,
    hlc,
    cut: EMPTY_CUT,
    writes: keys.map((key) => ({
      key,
      value: deletes ? { kind: 'tombstone' } : { kind: 'inline', bytes: new Uint8Array([1]) },
    })),
    result: undefined,
  }
}

/** The oracle: for each origin the list of what it published, and sets made anew for every question. */
class Model {
  readonly orders = new Map<Origin, Txn[]>()

  publish({ at, txn }: Step): void {
    this.orders.set(at, [...(this.orders.get(at) ?? []), txn])
  }

  visible(cut: Cut): ReadonlySet<Txn> {
    const out = new Set<Txn>()
    for (const [origin, order] of this.orders)
      for (const txn of order.slice(0, cut.get(origin) ?? 0)) out.add(txn)
    return out
  }

  newest(key: string, cut: Cut): Txn | undefined {
    const writers = [...this.visible(cut)].filter((txn) => txn.keys.includes(key))
    return writers.sort(newestFirst)[0]
  }

  cut(): Cut {
    return new Map([...this.orders].map(([origin, order]) => [origin, order.length]))
  }
}

function newestFirst(a: Txn, b: Txn): number {
  return b.hlc - a.hlc || (a.txn < b.txn ? 1 : -1)
}

interface Played {
  readonly history: History
  readonly model: Model
  readonly cuts: readonly Cut[]
}

function play({ steps, past, declared, txns }: Script): Played {
  const history = new History()
  const model = new Model()
  const cuts: Cut[] = [history.cut()]
  for (const step of steps) {
    model.publish(step)
    history.apply(step.txn.txn, decisionOf(step.txn), {
      origin: step.at,
      seq: model.orders.get(step.at)!.length,
    })
    cuts.push(history.cut())
  }
  const told = past.slice(0, declared).filter((txn) => history.has(txn.txn))
  for (const [i, txn] of told.entries()) {
    history.alsoAt(txn.txn, { origin: PAST, seq: i + 1 })
    // A stretch of an order may be told twice.
    history.alsoAt(txn.txn, { origin: PAST, seq: i + 1 })
    model.publish({ at: PAST, txn })
  }
  history.declare(PAST, told.length)
  cuts.push(history.cut())
  for (const txn of txns) expect(history.has(txn.txn)).toBe(steps.some((step) => step.txn === txn))
  return { history, model, cuts }
}

/** Any cut at or below the applied vector: what a snapshot of a peer, or a pin, may look like. */
function below(vector: Cut): fc.Arbitrary<Cut> {
  const names = [...vector]
  return fc
    .tuple(...names.map(([, seq]) => fc.integer({ min: 0, max: seq })))
    .map((seqs) => new Map(names.map(([origin], i) => [origin, seqs[i]!])))
}

describe('history', () => {
  test('reads at every past cut are the newest of the explicit set of visible transactions', () => {
    fc.assert(
      fc.property(script, fc.gen(), (script, g) => {
        const { history, model, cuts } = play(script)
        expect(covers(history.cut(), model.cut()) && covers(model.cut(), history.cut())).toBe(true)
        const others = Array.from({ length: 5 }, () => g(below, history.cut()))
        for (const cut of [...cuts, ...others]) {
          for (const key of KEYS) {
            const version = history.read(key, cut)
            const expected = model.newest(key, cut)
            expect(version?.applied.txn).toBe(expected?.txn)
            if (version === undefined || expected === undefined) continue
            expect(version.key).toBe(key)
            expect(expected.keys[version.index]).toBe(key)
            expect(version.source).toBe(expected.deletes ? 'tombstone' : 'inline')
          }
        }
      }),
      { numRuns: 500 },
    )
  })

  test('every cut shows each transaction whole or not at all (I1, I2)', () => {
    fc.assert(
      fc.property(script, fc.gen(), (script, g) => {
        const { history } = play(script)
        const cut = g(below, history.cut())
        const seen = new Map<string, Version>()
        for (const key of KEYS) {
          const version = history.read(key, cut)
          if (version !== undefined) seen.set(key, version)
        }
        for (const { applied } of seen.values()) {
          for (const sibling of applied.versions) {
            const other = seen.get(sibling.key)!.applied
            expect(other.hlc > applied.hlc || (other.hlc === applied.hlc && other.txn >= applied.txn)).toBe(
              true,
            )
          }
        }
      }),
    )
  })

  test('a snapshot never changes, whatever is applied after it was taken (I3)', () => {
    fc.assert(
      fc.property(script, fc.nat(), (script, pick) => {
        const at = pick % script.steps.length
        const before = play({ ...script, steps: script.steps.slice(0, at), past: [], declared: 0 })
        const cut = before.history.cut()
        const after = play(script).history
        for (const key of KEYS)
          expect(after.read(key, cut)?.applied.txn).toBe(before.history.read(key, cut)?.applied.txn)
      }),
    )
  })

  test('applying again adds a place and nothing else', () => {
    fc.assert(
      fc.property(script, (script) => {
        const { history } = play(script)
        const { versions, keys, decisions } = history
        const cut = history.cut()
        const reads = KEYS.map((key) => history.read(key, cut))
        for (const txn of script.txns.filter(({ txn }) => history.has(txn))) {
          const at = { origin: ORIGINS[0]!, seq: history.seqOf(ORIGINS[0]!) + 1 }
          const known = history.find(txn.txn)
          expect(history.apply(txn.txn, decisionOf(txn), at)).toBe(known)
        }
        expect([history.versions, history.keys, history.decisions]).toEqual([versions, keys, decisions])
        expect(KEYS.map((key) => history.read(key, history.cut()))).toEqual(reads)
      }),
    )
  })

  test('a gap, and a place that was taken, are refused and change nothing', () => {
    fc.assert(
      fc.property(script, fc.integer({ min: -3, max: 3 }), (script, off) => {
        const { history, model } = play(script)
        const origin = ORIGINS[0]!
        const seq = history.seqOf(origin) + 1 + off
        const fresh: Txn = { txn: 'fresh' as TxnId, hlc: 99 as Hlc, keys: KEYS, deletes: false }
        const apply = (): unknown => history.apply(fresh.txn, decisionOf(fresh), { origin, seq })
        if (off === 0) {
          apply()
          expect(history.read('k0', history.cut())?.applied.txn).toBe('fresh')
          return
        }
        expect(apply).toThrow(expect.objectContaining({ code: 'Internal' }))
        expect(history.has(fresh.txn)).toBe(false)
        expect(covers(model.cut(), history.cut())).toBe(true)
        for (const key of KEYS)
          expect(history.read(key, history.cut())?.applied.txn).toBe(model.newest(key, model.cut())?.txn)
      }),
    )
  })

  test('dropping what a watermark sees changes no read at or above it, once bases are compared (I9)', () => {
    fc.assert(
      fc.property(script, fc.gen(), (script, g) => {
        const { history, model, cuts } = play(script)
        const watermark = g(below, history.cut())
        const bases = new Map<string, Txn>()
        const candidates = [...model.visible(watermark)].flatMap((txn) =>
          txn.keys.map((key) => ({ key, txn })),
        )
        const dropping = g(() => fc.shuffledSubarray(candidates))
        for (const { key, txn } of dropping) {
          const base = bases.get(key)
          if (base === undefined || newestFirst(txn, base) < 0) bases.set(key, txn)
          const before = history.versions
          const dropped = history.dropThrough(key, txn.txn)
          expect(history.versions).toBe(before - dropped.length)
          for (const { applied } of dropped) {
            expect(applied.hlc < txn.hlc || (applied.hlc === txn.hlc && applied.txn <= txn.txn)).toBe(true)
            expect(history.horizon).toBeGreaterThanOrEqual(applied.hlc)
          }
          // Idempotent.
          expect(history.dropThrough(key, txn.txn)).toEqual([])
        }
        const above = [...cuts, ...Array.from({ length: 5 }, () => g(below, history.cut()))].filter((cut) =>
          covers(cut, watermark),
        )
        for (const cut of [...above, history.cut()]) {
          for (const key of KEYS) {
            const chained = history.read(key, cut)?.applied
            const expected = model.newest(key, cut)
            if (chained !== undefined && chained.hlc > history.horizon) {
              // Above the horizon a chain answers alone.
              expect(chained.txn).toBe(expected?.txn)
              continue
            }
            const inChain = script.txns.find(({ txn }) => txn === chained?.txn)
            const found = [inChain, bases.get(key)].filter((txn) => txn !== undefined).sort(newestFirst)[0]
            expect(found?.txn).toBe(expected?.txn)
          }
        }
      }),
      { numRuns: 500 },
    )
  })

  test('declaring less than is known already changes nothing', () => {
    const history = new History()
    const txn: Txn = { txn: 't' as TxnId, hlc: 1 as Hlc, keys: ['k0'], deletes: false }
    const origin = ORIGINS[0]!
    history.apply(txn.txn, decisionOf(txn), { origin, seq: 1 })
    history.declare(origin, 1)
    history.declare(origin, 0)
    expect(history.seqOf(origin)).toBe(1)
    history.alsoAt('unknown' as TxnId, { origin: PAST, seq: 1 })
    expect(history.read('k0', new Map([[PAST, 1]]))).toBeUndefined()
  })
})

/** A cut that counts how often it is asked: what a read costs, whatever machine it runs on. */
class CountingCut extends Map<Origin, number> {
  asked = 0
  override get(origin: Origin): number | undefined {
    this.asked++
    return super.get(origin)
  }
}

describe('a key with 100,000 versions (scenario 8)', () => {
  const origin = ORIGINS[0]!
  const count = 100_000
  const history = new History()
  for (let i = 1; i <= count; i++) {
    const txn: Txn = { txn: `t${i}` as TxnId, hlc: i as Hlc, keys: ['hot'], deletes: false }
    history.apply(txn.txn, decisionOf(txn), { origin, seq: i })
  }

  test('is read at a recent snapshot at the cost of the versions that came since', () => {
    for (const behind of [0, 1, 10, 100]) {
      const cut = new CountingCut([[origin, count - behind]])
      expect(history.read('hot', cut)?.applied.txn).toBe(`t${count - behind}`)
      expect(cut.asked).toBeLessThanOrEqual(behind + 1)
    }
  })

  test('is dropped in one go', () => {
    const dropped = history.dropThrough('hot', `t${count - 1}` as TxnId)
    expect(dropped.length).toBe(count - 1)
    expect([history.versions, history.keys, history.horizon]).toEqual([1, 1, count - 1])
  })
})
