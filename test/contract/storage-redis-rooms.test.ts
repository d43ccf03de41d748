import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { transactionId } from '../../src/compose/transaction-id.js'
import { VirgaError } from '../../src/errors.js'
import type { StorageEntry } from '../../src/ports/storage.js'
import { Dice } from '../support/dice.js'
import { testNode } from '../support/nodes.js'
import { key, opened, recovered, server } from '../support/redis-storage.js'
import { seedFor } from '../support/seed.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { until, untilEnough } from '../support/until.js'

/** Commands and records of 1 to 32 KiB are written into memory that is used again: whatever becomes of them, each stays what it was. */

const RUN_MS = 4_000
const WORKERS = 40
const TIMEOUT_MS = 150
/** Around what has room, and beyond. */
const SIZES = [10, 1_000, 1_024, 1_100, 4_096, 9_000, 32_600, 32_768, 40_000]

/** Told by its number alone. */
function contentOf(n: number, bytes: number): Buffer {
  const value = Buffer.alloc(bytes, n % 251)
  value.writeUInt32LE(n, 0)
  return value
}

/** What became of what was asked for. */
interface Tally {
  readonly acknowledged: Set<number>
  failed: number
}

/** Breaks the network in every way that it knows, while many workers go step by step, until enough was seen of everything. */
async function inTrouble(
  network: TcpProxy,
  dice: Dice,
  tally: Tally,
  step: () => Promise<void>,
): Promise<void> {
  let troubles = 0
  let isOver = false
  const trouble = async (): Promise<void> => {
    while (!isOver) {
      await sleep(dice.between(20, 120))
      const how = dice.pick(['break', 'cut', 'silent', 'deaf', 'slow'] as const)
      troubles++
      if (how === 'break') network.breakAll()
      else if (how === 'slow') network.delayMs = dice.between(1, 20)
      else network.set(how)
      await sleep(dice.between(1, how === 'silent' || how === 'deaf' ? 2 * TIMEOUT_MS : 40))
      network.delayMs = 0
      network.set('open')
    }
  }
  const work = async (): Promise<void> => {
    while (!isOver) {
      try {
        await step()
      } catch (error) {
        if (!VirgaError.is(error)) throw error
        tally.failed++
        await sleep(1)
      }
    }
  }
  const all = Promise.all([trouble(), ...Array.from({ length: WORKERS }, work)])
  await Promise.race([
    // Ends only by what goes wrong.
    all,
    untilEnough(RUN_MS, () => tally.acknowledged.size > 200 && tally.failed > 20 && troubles > 10),
  ]).finally(() => {
    isOver = true
  })
  await all
}

test('what a storage holds is what was given to it, though connections break, stand still, and time-outs pass', async (context) => {
  const dice = new Dice(seedFor(context))
  const redis = await server()
  const network = await TcpProxy.start(redis.port)
  const storage = await opened(`redis://127.0.0.1:${network.port}`, { operationTimeoutMs: TIMEOUT_MS })
  const sizes = new Map<number, number>()
  const tally: Tally = { acknowledged: new Set(), failed: 0 }
  let last = 0
  const entryOf = (): StorageEntry & { readonly n: number } => {
    const n = ++last
    const bytes = dice.pick(SIZES)
    sizes.set(n, bytes)
    return { ...key(`${n}`), n, value: contentOf(n, bytes) }
  }
  await inTrouble(network, dice, tally, async () => {
    const entries = Array.from({ length: dice.pick([1, 1, 1, 5]) }, entryOf)
    try {
      const [one] = entries
      if (entries.length > 1) await storage.put(entries)
      else {
        expect(await storage.compareAndSwap(one!, undefined, one!.value)).toEqual({ swapped: true })
        // By the script, with what stands as well as what is to stand.
        if (dice.fraction() < 0.3)
          expect(await storage.compareAndSwap(one!, one!.value, one!.value)).toEqual({ swapped: true })
      }
      for (const { n } of entries) tally.acknowledged.add(n)
    } finally {
      // Once it has settled they are the caller's again.
      for (const { value } of entries) value.fill(255)
    }
  })
  await recovered(storage)
  const direct = await opened(redis.url, { operationTimeoutMs: 10_000 })
  const found = new Set<number>()
  for await (const { id, value } of direct.list(key('').bucket, { values: true })) {
    const n = Number(id)
    found.add(n)
    expect(Buffer.compare(value!, contentOf(n, sizes.get(n)!)), `${n} of ${value!.length} bytes`).toBe(0)
  }
  for (const n of tally.acknowledged) expect(found.has(n), `${n} was acknowledged`).toBe(true)
})

test('what was committed through a node is what was written, though its storage comes and goes', async (context) => {
  const dice = new Dice(seedFor(context))
  const redis = await server()
  const network = await TcpProxy.start(redis.port)
  const node = await testNode({
    storage: `redis://127.0.0.1:${network.port}?timeoutMs=${TIMEOUT_MS}`,
    resolveMsMax: 2 * TIMEOUT_MS,
  })
  const virga = await node.connect({ attemptsMax: 1 })
  const sizes = new Map<number, number>()
  const tally: Tally = { acknowledged: new Set(), failed: 0 }
  let last = 0
  await inTrouble(network, dice, tally, async () => {
    const n = ++last
    const bytes = dice.pick(SIZES)
    sizes.set(n, bytes)
    await virga.transaction(
      (tx) => {
        for (const half of ['a', 'b']) tx.put(`${half}${n}`, Uint8Array.from(contentOf(n, bytes)))
      },
      { id: transactionId(`${n}`, Date.now()) },
    )
    tally.acknowledged.add(n)
  })
  await until('the storage is there again', () =>
    virga
      .transaction((tx) => tx.put('z', 1))
      .then(
        () => true,
        () => false,
      ),
  )
  // What storage holds, and nothing that the first node has in memory.
  await node.stop()
  const other = await testNode({ storage: redis.url })
  const reader = await other.connect()
  for (const [n, bytes] of sizes) {
    const [a, b] = await reader.transaction((tx) => tx.getMany<Uint8Array>([`a${n}`, `b${n}`]))
    if (tally.acknowledged.has(n)) expect(a, `${n} was acknowledged`).toBeDefined()
    expect(a === undefined, `both of ${n}, or none`).toBe(b === undefined)
    if (a === undefined || b === undefined) continue
    for (const half of [a, b]) expect(Buffer.compare(half, contentOf(n, bytes)), `${n}`).toBe(0)
  }
})
