import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Context,
  compareWriteSets,
  findBranchConflict,
  joinContexts,
  overlay,
  type WriteSet,
} from '../../../src/core/context.js'
import type { Cut } from '../../../src/core/cut.js'
import type { Hlc } from '../../../src/core/hlc.js'
import { type Attempt, makeAttempt, makeOrigin, makeTxnId } from '../../../src/core/ids.js'
import type { Writes } from '../../../src/core/write-set.js'
import { macOf } from '../../../src/platform/mac.js'
import {
  contextBytes,
  contextSigning,
  contextText,
  decodeContext,
  encodeContext,
} from '../../../src/wire/context.js'

const TXN = makeTxnId(1_760_000_000_000, new Uint8Array(10))
const ATTEMPT = makeAttempt(5 as Hlc, new Uint8Array(5))
const ORIGIN = makeOrigin('n1', 1 as Hlc, new Uint8Array(5))
const CUT: Cut = new Map([[ORIGIN, 3]])
const ROOT: Context = {
  txn: TXN,
  attempt: ATTEMPT,
  deadlineMs: 1_760_000_300_000,
  consistency: 'read-atomic',
  keyed: true,
  cut: CUT,
  sender: ORIGIN,
  heads: [],
  lineage: [],
}
const KEYS = ['x', 'y', 'z']
const { mac } = contextSigning(Buffer.from('key'), macOf)
const { mac: otherMac } = contextSigning(Buffer.from('other'), macOf)
const refused = expect.objectContaining({ code: 'ContextInvalid', retryable: false })
const writesOf = ({ body }: WriteSet): Writes => (body.kind === 'inline' ? body.writes : new Map())

/** One function of a random DAG: which earlier ones it resumes, what it writes, how far its clock moved. */
interface Node {
  readonly upstream: readonly number[]
  readonly keys: readonly string[]
  readonly later: number
}

const dag: fc.Arbitrary<readonly Node[]> = fc.integer({ min: 1, max: 8 }).chain((size) =>
  fc.tuple(
    ...Array.from({ length: size }, (_, i) =>
      fc.record({
        upstream: fc.subarray(Array.from({ length: i }, (_, j) => j)),
        keys: fc.subarray(KEYS),
        // Few values, so that parallel branches are often sealed at one clock.
        later: fc.integer({ min: 1, max: 2 }),
      }),
    ),
  ),
)

interface Run {
  readonly contexts: readonly Context[]
  /** Functions upstream of a function, itself included. */
  readonly ancestors: readonly ReadonlySet<number>[]
  readonly hlcs: readonly number[]
}

const idOf = (i: number): string => `w${String(i).padStart(2, '0')}`

/** Runs the DAG as the node does: join, seal what was written with the old heads as parents. */
function run(nodes: readonly Node[]): Run {
  const contexts: Context[] = []
  const ancestors: Set<number>[] = []
  const hlcs: number[] = []
  for (const [i, node] of nodes.entries()) {
    const upstream = node.upstream.map((j) => contexts[j]!)
    const joined = upstream.length === 0 ? ROOT : joinContexts(upstream)
    const hlc = Math.max(0, ...joined.lineage.map((writeSet) => writeSet.hlc)) + node.later
    hlcs.push(hlc)
    ancestors.push(new Set([i, ...node.upstream.flatMap((j) => [...ancestors[j]!])]))
    if (node.keys.length === 0) {
      contexts.push(joined)
      continue
    }
    const sealed: WriteSet = {
      id: idOf(i),
      hlc: hlc as Hlc,
      parents: joined.heads,
      body: { kind: 'inline', writes: new Map(node.keys.map((key) => [key, Uint8Array.of(i)])) },
    }
    const lineage = [...joined.lineage, sealed].sort(compareWriteSets)
    contexts.push({ ...joined, heads: [sealed.id], lineage })
  }
  return { contexts, ancestors, hlcs }
}

const joinable = fc.tuple(dag, fc.gen()).map(([nodes, g]) => ({
  nodes,
  picks: g(() => fc.array(fc.nat(nodes.length - 1), { minLength: 1, maxLength: 3 })) as readonly number[],
}))

describe('joins', () => {
  test('see of each key the nearest upstream write, and of parallel ones the later sealed', () => {
    fc.assert(
      fc.property(joinable, ({ nodes, picks }) => {
        const { contexts, ancestors, hlcs } = run(nodes)
        const joined = joinContexts(picks.map((i) => contexts[i]!))
        const upstream = new Set(picks.flatMap((i) => [...ancestors[i]!]))
        const seen = overlay(joined.lineage, writesOf)
        for (const key of KEYS) {
          const writers = [...upstream].filter((i) => nodes[i]!.keys.includes(key))
          const nearest = writers.filter((i) => !writers.some((j) => j !== i && ancestors[j]!.has(i)))
          const expected = nearest.sort((a, b) => hlcs[b]! - hlcs[a]! || b - a)[0]
          expect(seen.get(key)?.id).toBe(expected === undefined ? undefined : idOf(expected))
        }
      }),
      { numRuns: 500 },
    )
  })

  test('hold each upstream write set once, upstream first, and as heads those that none follows', () => {
    fc.assert(
      fc.property(joinable, ({ nodes, picks }) => {
        const { contexts, ancestors } = run(nodes)
        const joined = joinContexts(picks.map((i) => contexts[i]!))
        const upstream = [...new Set(picks.flatMap((i) => [...ancestors[i]!]))]
        const writers = upstream.filter((i) => nodes[i]!.keys.length > 0)
        expect([...joined.lineage.map(({ id }) => id)].sort()).toEqual(writers.map(idOf).sort())
        for (const [place, { id }] of joined.lineage.entries()) {
          const later = joined.lineage.slice(place + 1).map((writeSet) => writeSet.id)
          const i = writers.find((w) => idOf(w) === id)!
          for (const a of ancestors[i]!) if (a !== i) expect(later).not.toContain(idOf(a))
        }
        const heads = writers.filter((i) => !writers.some((j) => j !== i && ancestors[j]!.has(i)))
        expect([...joined.heads].sort()).toEqual(heads.map(idOf).sort())
      }),
      { numRuns: 500 },
    )
  })

  test('are the same in any order of their branches', () => {
    fc.assert(
      fc.property(joinable, ({ nodes, picks }) => {
        const { contexts } = run(nodes)
        const branches = picks.map((i) => contexts[i]!)
        const [there, back] = [joinContexts(branches), joinContexts([...branches].reverse())]
        expect(back.lineage).toEqual(there.lineage)
        expect(new Set(back.heads)).toEqual(new Set(there.heads))
        expect(joinContexts([there, ...branches]).lineage).toEqual(there.lineage)
      }),
    )
  })

  test('conflict exactly where parallel branches wrote one key and no join has judged it', () => {
    fc.assert(
      fc.property(joinable, ({ nodes, picks }) => {
        const { contexts, ancestors } = run(nodes)
        const clashes = new Set<string>()
        for (const left of picks) {
          for (const right of picks) {
            for (const i of ancestors[left]!) {
              for (const j of ancestors[right]!) {
                if (ancestors[right]!.has(i) || ancestors[left]!.has(j)) continue
                for (const key of nodes[i]!.keys) if (nodes[j]!.keys.includes(key)) clashes.add(key)
              }
            }
          }
        }
        const found = findBranchConflict(
          picks.map((i) => contexts[i]!),
          writesOf,
        )
        if (clashes.size === 0) expect(found).toBeUndefined()
        else expect(clashes).toContain(found?.key)
        if (found === undefined) return
        const [a, b] = found.writeSets.map((id) => nodes.findIndex((_, i) => idOf(i) === id))
        expect(ancestors[a!]!.has(b!) || ancestors[b!]!.has(a!)).toBe(false)
      }),
      { numRuns: 500 },
    )
  })

  test('are refused across transactions, attempts and snapshots, and of nothing', () => {
    const others: readonly Context[] = [
      { ...ROOT, txn: makeTxnId(1, new Uint8Array(10)) },
      { ...ROOT, attempt: makeAttempt(6 as Hlc, new Uint8Array(5)) },
      { ...ROOT, cut: new Map([[ORIGIN, 4]]) },
      { ...ROOT, cut: new Map() },
    ]
    for (const other of others) {
      for (const pair of [
        [ROOT, other],
        [other, ROOT],
        [ROOT, ROOT, other],
      ])
        expect(() => joinContexts(pair)).toThrow(expect.objectContaining({ code: 'ContextMismatch' }))
    }
    expect(() => joinContexts([])).toThrow(expect.objectContaining({ code: 'InvalidArgument' }))
    // An origin that is seen up to nothing is the same as one that is not named.
    expect(joinContexts([ROOT, { ...ROOT, cut: new Map([...CUT, ['other' as typeof ORIGIN, 0]]) }]).txn).toBe(
      TXN,
    )
  })

  test('take what is in storage, or travels, rather than what one node holds', () => {
    const at = (body: WriteSet['body']): Context => ({
      ...ROOT,
      heads: ['w'],
      lineage: [{ id: 'w', hlc: 1 as Hlc, parents: [], body }],
    })
    const held = at({ kind: 'held', origin: ORIGIN })
    const durable = at({ kind: 'durable', blob: 'b' })
    expect(joinContexts([held, durable]).lineage[0]!.body.kind).toBe('durable')
    expect(joinContexts([durable, held]).lineage[0]!.body.kind).toBe('durable')
  })
})

const body: fc.Arbitrary<WriteSet['body']> = fc.oneof(
  fc
    .array(
      fc.tuple(
        fc.string({ minLength: 1, unit: 'binary' }),
        fc.option(fc.uint8Array({ maxLength: 40 }), { nil: null }),
      ),
      { maxLength: 5 },
    )
    .map((writes) => ({ kind: 'inline' as const, writes: new Map(writes) })),
  fc.constant({ kind: 'held' as const, origin: ORIGIN }),
  fc
    .tuple(fc.array(fc.string()), fc.uint8Array({ maxLength: 16 }))
    .map(([keys, proof]) => ({ kind: 'held' as const, origin: ORIGIN, keys, proof: Buffer.from(proof) })),
  fc.string({ minLength: 1 }).map((blob) => ({ kind: 'durable' as const, blob })),
  fc.record({ kind: fc.constant('durable' as const), blob: fc.string(), keys: fc.array(fc.string()) }),
)
const uint = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const context: fc.Arbitrary<Context> = fc.record(
  {
    txn: fc
      .tuple(fc.integer({ min: 0, max: 2 ** 48 - 1 }), fc.uint8Array({ minLength: 10, maxLength: 10 }))
      .map(([ms, entropy]) => makeTxnId(ms, entropy)),
    attempt: fc
      .tuple(uint, fc.uint8Array({ minLength: 5, maxLength: 5 }))
      .map(([at, entropy]): Attempt => makeAttempt(at as Hlc, entropy)),
    deadlineMs: uint,
    consistency: fc.constantFrom('read-atomic' as const, 'parallel-snapshot' as const, 'lww' as const),
    keyed: fc.boolean(),
    cut: fc.uniqueArray(uint, { maxLength: 4 }).map((seqs): Cut => {
      return new Map(seqs.map((seq, i) => [makeOrigin(`n${i}`, seq as Hlc, new Uint8Array(5)), seq]))
    }),
    sender: fc.constant(ORIGIN),
    snapshot: fc.uint8Array(),
    heads: fc.array(fc.string(), { maxLength: 3 }),
    lineage: fc.array(
      fc.record({ id: fc.string(), hlc: uint.map((n) => n as Hlc), parents: fc.array(fc.string()), body }),
      { maxLength: 4 },
    ),
  },
  {
    requiredKeys: [
      'txn',
      'attempt',
      'deadlineMs',
      'consistency',
      'keyed',
      'cut',
      'sender',
      'heads',
      'lineage',
    ],
  },
)

describe('contexts as text', () => {
  test('come back as they went', () => {
    fc.assert(
      fc.property(context, (before) => {
        const text = contextText(encodeContext(before, mac))
        expect(text).toMatch(/^[A-Za-z0-9_-]+$/)
        const after = decodeContext(contextBytes(text), mac)
        const plain = (of: Context) => ({
          ...of,
          cut: [...of.cut],
          snapshot: of.snapshot && [...of.snapshot],
          lineage: of.lineage.map(({ body, ...rest }) => ({
            ...rest,
            body:
              body.kind === 'inline'
                ? { kind: body.kind, writes: [...body.writes].map(([k, v]) => [k, v && [...v]]) }
                : body,
          })),
        })
        expect(plain(after)).toEqual(plain(before))
      }),
    )
  })

  test('are refused if one bit differs, if cut short, if extended, or under another key', () => {
    fc.assert(
      fc.property(context, fc.nat(), fc.nat(7), (before, place, bit) => {
        const signed = encodeContext(before, mac)
        const text = contextText(signed)
        const flipped = Buffer.from(signed)
        flipped[place % signed.length]! ^= 1 << bit
        const at = place % text.length
        const bad = [
          flipped.toString('base64url'),
          signed.subarray(0, place % signed.length).toString('base64url'),
          Buffer.concat([signed, Buffer.of(0)]).toString('base64url'),
          `${text.slice(0, at)}\n${text.slice(at)}`,
          `${text}=`,
          text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1),
        ]
        for (const each of bad) expect(() => decodeContext(contextBytes(each), mac)).toThrow(refused)
        expect(() => decodeContext(signed, otherMac)).toThrow(refused)
      }),
    )
  })

  test('as text are exactly what bytes are written as', () => {
    const characters = fc.constantFrom(...'ABQZagz059-_+/= \n\u00e9')
    const texts = fc.oneof(fc.string({ unit: characters, maxLength: 9 }), fc.string({ maxLength: 9 }))
    fc.assert(
      fc.property(texts, (text) => {
        const isExact = Buffer.from(text, 'base64url').toString('base64url') === text
        if (isExact) expect(contextText(contextBytes(text))).toBe(text)
        else expect(() => contextBytes(text)).toThrow(refused)
      }),
      { numRuns: 5_000 },
    )
  })

  test('are refused, whatever text it is, unless somebody of the cluster made it', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String(), fc.string({ unit: 'binary' })), (text) => {
        expect(() => decodeContext(contextBytes(text), mac)).toThrow(refused)
      }),
    )
  })

  test('are refused if they are signed and yet no context', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (payload) => {
        expect(() => decodeContext(Buffer.concat([payload, mac(payload)]), mac)).toThrow(refused)
      }),
    )
  })
})
