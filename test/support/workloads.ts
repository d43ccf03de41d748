import type { Virga } from '../../src/client/virga.js'
import { VirgaError } from '../../src/errors.js'

/** What a caller was told of one transaction. */
export interface Told {
  readonly id: string
  /** The pair of keys that the transaction writes its token to. */
  readonly pair: string
  readonly outcome: 'committed' | 'surely not' | 'unknown'
  /** What the caller took for the result, if it committed. */
  readonly result: unknown
  readonly error: unknown
}

/**
 * Small pieces of work. Each transaction writes one token, never used before, to both keys of a pair and returns it: so
 * the pair tells which execution committed, and whether it is whole.
 */
export interface Workload {
  readonly name: string
  run(tools: Tools): Promise<readonly Told[]>
}

export interface Tools {
  readonly virga: Virga
  readonly other: Virga
  /** An id of this moment, or of so many milliseconds ago. */
  id(agoMs?: number): string
  token(): string
}

export const keysOf = (pair: string): readonly [string, string] => [`${pair}:x`, `${pair}:y`]

/** Larger than what a decision or a context carries inline. */
const LARGE_BYTES = 40_000
export const padded = (token: string): string => token.padEnd(LARGE_BYTES, '.')

type Writing = { readonly large?: boolean }

async function told(id: string, pair: string, run: () => Promise<unknown>): Promise<Told> {
  try {
    return { id, pair, outcome: 'committed', result: await run(), error: undefined }
  } catch (error) {
    const definite = VirgaError.is(error) && error.outcome === 'definite'
    return { id, pair, outcome: definite ? 'surely not' : 'unknown', result: undefined, error }
  }
}

export function writePair(
  { virga, token }: Pick<Tools, 'virga' | 'token'>,
  id: string | undefined,
  pair: string,
  { large = false }: Writing = {},
): Promise<string> {
  const [x, y] = keysOf(pair)
  return virga.transaction(
    async (tx) => {
      const [before, same] = await tx.getMany([x, y])
      if (before !== same) throw new Error(`a torn pair: ${String(before)} and ${String(same)}`)
      const mine = token()
      tx.put(x, large ? padded(mine) : mine)
      tx.put(y, large ? padded(mine) : mine)
      return mine
    },
    { id },
  )
}

export const WORKLOADS: readonly Workload[] = [
  {
    name: 'one transaction under an id',
    async run(tools) {
      const id = tools.id()
      return [await told(id, 'p', () => writePair(tools, id, 'p'))]
    },
  },
  {
    name: 'one transaction without an id, that reads nothing',
    async run({ virga, token }) {
      const [x, y] = keysOf('p')
      const run = () =>
        virga.transaction((tx) => {
          const mine = token()
          tx.put(x, mine)
          tx.put(y, mine)
          return mine
        })
      return [await told('', 'p', run)]
    },
  },
  {
    name: 'large values',
    async run(tools) {
      const id = tools.id()
      return [await told(id, 'p', () => writePair(tools, id, 'p', { large: true }))]
    },
  },
  {
    name: 'an id whose minute is closed',
    async run(tools) {
      const id = tools.id(30 * 60_000)
      return [await told(id, 'p', () => writePair(tools, id, 'p'))]
    },
  },
  {
    name: 'two clients under one id',
    async run(tools) {
      const id = tools.id()
      return Promise.all([
        told(id, 'p', () => writePair(tools, id, 'p')),
        told(id, 'p', () => writePair({ ...tools, virga: tools.other }, id, 'p')),
      ])
    },
  },
  {
    name: 'two ids on one pair',
    async run(tools) {
      const [first, second] = [tools.id(), tools.id()]
      return Promise.all([
        told(first, 'p', () => writePair(tools, first, 'p')),
        told(second, 'p', () => writePair({ ...tools, virga: tools.other }, second, 'p')),
      ])
    },
  },
  {
    name: 'by hand',
    async run({ virga, token, id: newId }) {
      const id = newId()
      const [x, y] = keysOf('p')
      const run = async () => {
        await using tx = await virga.begin({ id })
        const mine = token()
        tx.put(x, mine)
        tx.put(y, mine)
        return (await tx.commit({ result: mine })).result
      }
      return [await told(id, 'p', run)]
    },
  },
  {
    name: 'a commit and a cancel',
    async run(tools) {
      const id = tools.id()
      const [committed, cancelled] = await Promise.all([
        told(id, 'p', () => writePair(tools, id, 'p')),
        told(id, 'p', () => tools.other.cancel(id)),
      ])
      if (cancelled.outcome === 'committed') {
        if (committed.outcome === 'committed') throw new Error('cancelled, and committed')
        return [{ ...committed, outcome: 'surely not' }]
      }
      return [committed]
    },
  },
  {
    name: 'a DAG with durable handoffs and a join',
    async run(tools) {
      const id = tools.id()
      return [await told(id, 'p', () => diamond(tools, id, 'p'))]
    },
  },
]

/** Two parallel branches write one key of the pair each, after a root that wrote other values to both. */
async function diamond({ virga, other, token }: Tools, id: string, pair: string): Promise<unknown> {
  const [x, y] = keysOf(pair)
  const mine = token()
  const root = await virga.step(
    undefined,
    async (tx) => {
      tx.put(x, 'root')
      tx.put(y, 'root')
      tx.put(`${pair}:large`, padded(mine))
    },
    { id, durable: true },
  )
  const [a, b] = await Promise.all([
    virga.step(root.context, (tx) => tx.put(x, mine)),
    other.step(root.context, (tx) => tx.put(y, mine), { durable: true }),
  ])
  const last = await other.step([a.context, b.context], async (tx) => {
    const seen = await tx.getMany([x, y])
    if (seen.some((value) => value !== mine)) throw new Error(`a join sees ${JSON.stringify(seen)}`)
    return mine
  })
  return (await virga.commit(last.context, { result: last.result })).result
}
