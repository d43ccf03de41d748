import { isDeepStrictEqual } from 'node:util'
import type { Virga } from '../../src/client/virga.js'
import { type ClusterNode, within } from './cluster-processes.js'

/** Keys of one read. */
const READ_MAX = 2_000

/** All of `keys` in one snapshot. */
export async function readAll(virga: Virga, keys: readonly string[]): Promise<readonly unknown[]> {
  return virga.transaction(async (tx) => {
    const values: unknown[] = []
    while (values.length < keys.length)
      values.push(...(await tx.getMany(keys.slice(values.length, values.length + READ_MAX))))
    return values
  })
}

/**
 * Waits until all nodes hold the same under every key (I8); fails with what differs when the time is over. Returns what they hold.
 * Nothing may be written meanwhile.
 */
export async function converged(
  nodes: readonly ClusterNode[],
  keys: readonly string[],
  timeoutMs = 10_000,
): Promise<readonly unknown[]> {
  return within(timeoutMs, async () => {
    const held = await Promise.all(nodes.map(({ virga }) => readAll(virga, keys)))
    const [first] = held
    const differing = keys.flatMap((key, i) => {
      const values = held.map((values) => values[i])
      return values.every((value) => isDeepStrictEqual(value, values[0])) ? [] : [{ key, values }]
    })
    if (differing.length === 0) return first!
    const shown = differing.slice(0, 5).map(({ key, values }) => `${key}: ${JSON.stringify(values)}`)
    throw new Error(`${differing.length} of ${keys.length} keys differ between nodes: ${shown.join('; ')}`)
  })
}
