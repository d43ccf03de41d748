import type { Tag, Violation } from '../checkers/history.js'
import { Order } from '../checkers/order.js'
import type { Machine } from './machine.js'
import type { SimCluster } from './sim-cluster.js'
import { tagIn } from './witness.js'

const LOOK_EVERY_MS = 500
const READ_KEYS_MAX = 5

/** I8: within a bound of time these nodes read the newest of all that was decided of these keys. */
export async function checkConvergence(
  cluster: SimCluster,
  keys: readonly string[],
  machines: readonly Machine[],
  msMax: number,
  when: string,
): Promise<Violation[]> {
  const endMs = cluster.clock.monotonic() + msMax
  const behind = new Map<Machine, string>()
  for (;;) {
    behind.clear()
    const order = new Order(cluster.recorder)
    for (const machine of machines) {
      const values = await cluster.clock.until(readAll(machine, keys)).catch(describe)
      const lag =
        typeof values === 'string'
          ? values
          : keys.flatMap((key, i) => {
              const due = order.newest(key)
              const expected = due?.writes.get(key) ?? null
              return values[i] === expected
                ? []
                : [`${key} is ${values[i]} and not ${expected} of ${due?.txn}`]
            })[0]
      if (lag !== undefined) behind.set(machine, lag)
    }
    if (behind.size === 0) return []
    if (cluster.clock.monotonic() >= endMs) break
    await cluster.clock.advance(LOOK_EVERY_MS)
  }
  return [...behind].map(([{ name }, lag]) => ({
    rule: 'I8 convergence',
    what: `${name}, ${msMax} ms ${when}: ${lag}`,
  }))
}

async function readAll(machine: Machine, keys: readonly string[]): Promise<readonly Tag[]> {
  const executor = machine.executors[0] ?? machine.addExecutor()
  const values = await executor.virga.transaction(async (tx) => {
    const all: unknown[] = []
    // In reads as large as the tightest limit allows.
    for (let i = 0; i < keys.length; i += READ_KEYS_MAX)
      all.push(...(await tx.getMany(keys.slice(i, i + READ_KEYS_MAX))))
    return all
  })
  return values.map((value) => (value === undefined ? null : tagIn(value)))
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
