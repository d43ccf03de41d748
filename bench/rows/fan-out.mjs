// @ts-check

import { startCluster } from '../cluster.mjs'
import { connectTo } from '../connect.mjs'
import { sideBySide } from '../histogram.mjs'
import { startRedis } from '../processes.mjs'

const WIDTHS = [2, 4, 8, 16, 32, 64]

/** @typedef {import('virga').Virga} Virga */

/**
 * A function hands off to many, which run at once, each a read and a write; one joins them, reads what all have written, and
 * commits. On one node, and with every second branch on another.
 */
export async function fanOut(/** @type {import('../sections.mjs').Options} */ { quick, dice }) {
  const redis = await startRedis()
  const [a, b] = await startCluster(redis.url, 2)
  if (a === undefined || b === undefined) throw new Error('there are no nodes')
  const again = await connectTo(a.socket)
  await a.virga.transaction((tx) => tx.put('fan:root', 0))
  /** @type {Record<string, () => Promise<unknown>>} */
  const things = {}
  for (const width of WIDTHS) {
    things[`same ${width}`] = () => fannedOut(a.virga, [a.virga, again], width)
    things[`other ${width}`] = () => fannedOut(a.virga, [a.virga, b.virga], width)
  }
  const times = await sideBySide(things, { rounds: quick ? 5 : 60, each: 1, warmup: quick ? 2 : 15, dice })
  await again.close()
  const line = (/** @type {string} */ where, /** @type {'p50Us' | 'p99Us'} */ figure) =>
    WIDTHS.map((width) => (times[`${where} ${width}`]?.[figure] ?? 0) / 1_000)
  const lines = [
    { name: 'on one node, p50', cells: line('same', 'p50Us') },
    { name: 'over two nodes, p50', cells: line('other', 'p50Us') },
    { name: 'on one node, p99', cells: line('same', 'p99Us') },
    { name: 'over two nodes, p99', cells: line('other', 'p99Us') },
  ]
  return {
    tables: [
      {
        title: 'From the first begin to the commit, so many branches',
        unit: 'ms',
        columns: WIDTHS.map(String),
        lines,
      },
    ],
    charts: [
      {
        kind: /** @type {const} */ ('lines'),
        id: 'fan-out',
        title: 'Fan-out and join',
        subtitle: 'one function hands off to many, one joins them and commits; Redis',
        x: { label: 'branches', scale: /** @type {const} */ ('log') },
        y: { label: 'ms from begin to commit', scale: /** @type {const} */ ('log') },
        series: lines.map(({ name, cells }) => ({
          name,
          points: WIDTHS.map((width, i) => /** @type {const} */ ([width, cells[i] ?? 0])),
        })),
      },
    ],
  }
}

/** @param {Virga} root @param {readonly Virga[]} workers @param {number} width */
async function fannedOut(root, workers, width) {
  const first = await root.step(undefined, (tx) => tx.put('fan:start', width))
  const branches = await Promise.all(
    Array.from({ length: width }, (_, i) =>
      /** @type {Virga} */ (workers[i % workers.length]).step(first.context, async (tx) => {
        await tx.get('fan:root')
        tx.put(`fan:${i}`, i)
      }),
    ),
  )
  const joined = await root.resume(branches.map(({ context }) => context))
  const written = await joined.getMany(branches.map((_, i) => `fan:${i}`))
  if (!written.every((value, i) => value === i)) throw new Error('a branch is missing from the join')
  joined.put('fan:end', width)
  await joined.commit()
}
