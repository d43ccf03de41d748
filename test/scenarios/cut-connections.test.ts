import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { transactionId } from '../../src/compose/transaction-id.js'
import { VirgaError } from '../../src/errors.js'
import { Dice } from '../support/dice.js'
import { ENGINES, storageUrl, testClient, testNode } from '../support/nodes.js'
import { seedFor } from '../support/seed.js'
import { tempFolder } from '../support/temp.js'
import { until } from '../support/until.js'

/** Connections that break while both ends live: what no crash of either brings about. */

interface Wire {
  readonly path: string
  /** Breaks all connections, in the midst of whatever they carry. */
  cut(): void
}

/** Another way to a node's socket. */
async function wireTo(socket: string): Promise<Wire> {
  const open = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(socket)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(from)
      from.on('data', (bytes) => to.write(bytes))
      from.on('error', () => undefined)
      from.on('close', () => {
        open.delete(from)
        to.destroy()
      })
    }
  })
  const path = join(tempFolder(), 'w')
  await new Promise<void>((resolve) => server.listen(path, resolve))
  const cut = (): void => {
    for (const each of open) each.destroy()
  }
  onTestFinished(() => {
    server.close()
    cut()
  })
  return { path, cut }
}

/** A byte that no other value of some others has. */
const fillOf = (client: number, n: number): number => (client * TRANSACTIONS + n) % 256

const CLIENTS = 3
const TRANSACTIONS = 40
const CUTS_MIN = 20

for (const engine of ENGINES) {
  test(`connections break again and again: each transaction applies once, whole, and nothing stays open, on ${engine}`, async (context) => {
    const dice = new Dice(seedFor(context))
    const node = await testNode({ storage: await storageUrl(engine) })
    const direct = await node.connect()
    const wire = await wireTo(node.socket)
    // However slow this machine and this disk: some get through between two cuts.
    const startedAt = performance.now()
    await (await testClient(wire.path)).transaction((tx) => tx.put('first', 1))
    const pauseMsMax = 60 + 4 * (performance.now() - startedAt)
    let cuts = 0
    let isOver = false
    const cutting = (async () => {
      while (!isOver || cuts < CUTS_MIN) {
        await new Promise((resolve) => setTimeout(resolve, dice.between(1, pauseMsMax)))
        wire.cut()
        cuts++
      }
    })()
    const reading = (async () => {
      while (!isOver) {
        await using tx = await direct.begin()
        for (let i = 0; i < CLIENTS; i++) {
          const [one, other] = await tx.getMany<[number, Uint8Array]>([`one ${i}`, `other ${i}`])
          expect(one, 'a pair is whole').toEqual(other)
          if (one !== undefined) expect(one[1].every((byte) => byte === fillOf(i, one[0]))).toBe(true)
        }
      }
    })()
    const writing = Array.from({ length: CLIENTS }, async (_, i) => {
      const virga = await testClient(wire.path, { view: i === 0 ? 'off' : 'auto', spillBytes: 1_000 })
      const bytes = dice.between(0, 3_000)
      for (let n = 1; n <= TRANSACTIONS; n++) {
        const large = new Uint8Array(bytes).fill(fillOf(i, n))
        const id = transactionId(`${engine} ${i} ${n}`, Date.now())
        const told = await persistently(() =>
          virga.transaction(
            async (tx) => {
              const count = ((await tx.get<number>(`count ${i}`)) ?? 0) + 1
              tx.put(`one ${i}`, [n, large])
              tx.put(`count ${i}`, count)
              tx.put(`other ${i}`, [n, large])
              return count
            },
            { id },
          ),
        )
        expect(told, 'each applies once').toBe(n)
      }
    })
    try {
      await Promise.all(writing)
    } finally {
      isOver = true
      await Promise.all([cutting, reading])
    }
    for (let i = 0; i < CLIENTS; i++) expect(await direct.get(`count ${i}`)).toBe(TRANSACTIONS)
    // Nor is anyone kept who never came back.
    await until('nothing is open', () => node.count('transactionsOpen') === 0)
    expect(node.count('sessions')).toBeLessThanOrEqual(2 + CLIENTS)
    expect(node.count('sessionsLost')).toBeGreaterThan(CUTS_MIN / 2)
  })
}

/** Whatever may be tried again is, under the same id. */
async function persistently<T>(run: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await run()
    } catch (error) {
      if (!VirgaError.is(error) || !error.retryable) throw error
    }
  }
}
