// @ts-check
import { seededRandom } from './internals.mjs'

const KEYS = 10_000
const WRITES = 2
const VALUE_BYTES = 100

/**
 * An open loop: each node commits so many transactions of two small writes a second, at moments that know nothing of each
 * other, whatever became of those before.
 *
 * @param {import('./cluster.mjs').SimulatedCluster} cluster
 */
export function loadOf(cluster) {
  const clock = cluster.outside()
  const random = seededRandom(cluster.seed())
  let perSecond = 0
  let generation = 0
  let acknowledged = 0
  /** @type {unknown} */
  let failure
  const key = () => `key-${Math.floor(random.fraction() * KEYS)}`
  /** @param {import('./cluster.mjs').SimulatedNode} node */
  const commit = ({ virga }) => {
    virga
      .transaction((tx) => {
        for (let i = 0; i < WRITES; i++) tx.put(key(), random.bytes(VALUE_BYTES))
      })
      .then(
        () => acknowledged++,
        (error) => {
          failure ??= error
        },
      )
  }
  /** @param {import('./cluster.mjs').SimulatedNode} node @param {number} of */
  const next = (node, of) => {
    const waitMs = (-Math.log(1 - random.fraction()) * 1_000) / perSecond
    clock.timer(waitMs, () => {
      if (of !== generation) return
      commit(node)
      next(node, of)
    })
  }
  return {
    /** So many a second of each node from now on; 0: none. @param {number} rate */
    set(rate) {
      perSecond = rate
      generation++
      if (rate > 0) for (const node of cluster.nodes) next(node, generation)
    },
    get acknowledged() {
      return acknowledged
    },
    /** Throws if a transaction has failed. */
    check() {
      if (failure !== undefined) throw failure
    },
  }
}
