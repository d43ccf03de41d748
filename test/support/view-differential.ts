import { setTimeout as sleep } from 'node:timers/promises'
import type { Transaction } from '../../src/client/transaction.js'
import type { Virga } from '../../src/client/virga.js'
import { VirgaError } from '../../src/errors.js'
import type { Random } from '../../src/ports/random.js'
import { seededRandom } from '../../src/testing/sim-clock.js'
import { startCluster } from './cluster-processes.js'

/** More than fits into the view. */
const KEYS = 1_500
const KEYS_READ = 12
const WRITERS = 3
const ASKERS = 4
const WAIT_MS_MAX = 60
/** A machine that stands still for longer outlives cuts: what is refused then proves nothing. */
const SWIFT_MS = 1_000
const RUN_MS_MAX = 120_000
const VIEW_BYTES = 2 * 1024 * 1024
/** What a cut that is outlived is told: by either way, at either moment. */
const REFUSALS: readonly string[] = ['SnapshotTooOld', 'SnapshotUnavailable', 'SessionLost']

export interface Difference {
  readonly key: string
  readonly by: readonly [string, string]
  readonly values: readonly [unknown, unknown]
}

export interface Compared {
  readonly differences: readonly Difference[]
  readonly keys: number
  /** Of those that were asked without a pause of the machine: answers by one way, and how often there was none. */
  readonly answers: number
  readonly refusals: number
  readonly viewReads: number
  readonly viewsOpened: number
}

/**
 * Asks the same questions in the view and of the node, at one cut, while two nodes write, delete, collect and put keys out of
 * the view. A cut is read as it was begun, and again by its context: on both ways, with waits between. Takes `forMs`, and for as
 * long as it takes to compare `keysMin`.
 */
export async function compareWays(seed: number, forMs: number, keysMin: number): Promise<Compared> {
  const random = seededRandom(seed)
  const { nodes } = await startCluster({
    nodes: 2,
    node: { viewBytesMax: VIEW_BYTES, collectEveryMs: 100, viewValueBytesMax: 4_000 },
  })
  const [here, there] = nodes
  const seeing = await here!.client()
  const asking = await here!.client({ view: 'off' })
  const startedAt = performance.now()
  const found: Difference[] = []
  let keys = 0
  let answers = 0
  let refusals = 0
  const isOver = (): boolean => {
    const ms = performance.now() - startedAt
    return ms >= RUN_MS_MAX || (ms >= forMs && keys > keysMin && answers > 0)
  }

  const write = async (to: Virga): Promise<void> => {
    for (let n = 0; !isOver(); n++) {
      await to.transaction((tx) => {
        for (const key of pickKeys(random, 1 + pick(random, 6))) {
          if (pick(random, 5) === 0) tx.delete(key)
          else
            tx.put(key, `${n}:${'x'.repeat(pick(random, 8) === 0 ? pick(random, 6_000) : pick(random, 300))}`)
        }
      })
      if (n % 8 === 0) await sleep(pick(random, 8))
    }
  }
  const ask = async (): Promise<void> => {
    while (!isOver()) {
      const askedAt = performance.now()
      const asked = pickKeys(random, KEYS_READ)
      const ways = await readByAllWays(seeing, asking, asked, () => sleep(pick(random, WAIT_MS_MAX)))
      const [first, ...others] = ways
      if (performance.now() - askedAt < SWIFT_MS) {
        answers += ways.length
        refusals += ways.filter(({ values }) => values === undefined).length
      }
      for (const other of others) {
        if (first!.values === undefined || other.values === undefined) continue
        for (const [i, key] of asked.entries()) {
          keys++
          if (first!.values[i] === other.values[i]) continue
          found.push({ key, by: [first!.by, other.by], values: [first!.values[i], other.values[i]] })
        }
      }
    }
  }
  await Promise.all([
    ...Array.from({ length: WRITERS }, (_, i) => write((i % 2 === 0 ? here! : there!).virga)),
    ...Array.from({ length: ASKERS }, ask),
  ])
  const [viewReads, viewsOpened] = [await here!.count('viewReads'), await here!.count('viewsOpened')]
  return { differences: found, keys, answers, refusals, viewReads, viewsOpened }
}

interface Way {
  readonly by: string
  /** Undefined: refused. */
  readonly values: readonly unknown[] | undefined
}

async function readByAllWays(
  seeing: Virga,
  asking: Virga,
  keys: readonly string[],
  wait: () => Promise<void>,
): Promise<readonly Way[]> {
  const begun = await seeing.begin()
  const ways: Way[] = [{ by: 'view, begun there', values: await unlessRefused(() => begun.getMany(keys)) }]
  await wait()
  ways.push({ by: 'view, later', values: await unlessRefused(() => begun.getMany(keys)) })
  const context = await unlessRefused(() => begun.handoff())
  if (context === undefined) return ways
  for (const [by, virga] of [
    ['node, resumed', asking],
    ['view, resumed', seeing],
  ] as const) {
    const resumed = await unlessRefused(() => virga.resume(context))
    ways.push({ by, values: resumed && (await unlessRefused(() => resumed.getMany(keys))) })
    await wait()
    ways.push({ by: `${by}, later`, values: resumed && (await unlessRefused(() => resumed.getMany(keys))) })
    await ended(resumed)
  }
  return ways
}

async function ended(tx: Transaction | undefined): Promise<void> {
  await tx?.abort()
}

async function unlessRefused<T>(run: () => Promise<T>): Promise<T | undefined> {
  try {
    return await run()
  } catch (error) {
    if (VirgaError.is(error) && REFUSALS.includes(error.code)) return undefined
    throw error
  }
}

function pick(random: Random, below: number): number {
  return Math.floor(random.fraction() * below)
}

/** Low ones more often. */
function pickKeys(random: Random, count: number): string[] {
  const keys = new Set<string>()
  while (keys.size < count) keys.add(`k${Math.floor(random.fraction() ** 3 * KEYS)}`)
  return [...keys]
}
