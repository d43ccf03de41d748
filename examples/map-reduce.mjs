// @ts-check
/**
 * Map and reduce as one transaction over two nodes: a mapper for each document, a reducer for each share of the words, and
 * a last function that commits. All read the same documents, and nobody sees half an index.
 *
 *   index ---+--- map rain ----+---X---+--- reduce a-m ---+---- publish
 *            +--- map cloud ---+       +--- reduce n-z ---+
 *            +--- map sky -----+
 */
import { nodesForExample } from './support/node.mjs'

const { clients, stop } = await nodesForExample(2)
/** A scheduler would say which machine runs a function. @param {number} n */
const on = (n) => /** @type {import('virga').Virga} */ (clients[n % clients.length])

/** @type {Readonly<Record<string, string>>} */
const DOCUMENTS = {
  rain: 'the rain falls and the river rises',
  cloud: 'the cloud carries the rain',
  sky: 'a cloud in the sky and no rain',
}
const SHARES = ['a-m', 'n-z']
const names = Object.keys(DOCUMENTS)
await on(0).transaction((tx) => {
  for (const name of names) tx.put(`document:${name}`, DOCUMENTS[name])
})

/** Words and how often they were counted. @typedef {Record<string, number>} Counts */
/** @param {Counts} counts @param {string} word @param {number} by */
const add = (counts, word, by) => Object.assign(counts, { [word]: (counts[word] ?? 0) + by })
/** @param {string} word */
const shareOf = (word) => (word < 'n' ? SHARES[0] : SHARES[1])

/** Counts one document, and leaves for each reducer what is its share. @param {string} name */
const map = (name) => async (/** @type {import('virga').Transaction} */ tx) => {
  const text = /** @type {string} */ (await tx.get(`document:${name}`))
  for (const share of SHARES) {
    const words = text.split(' ').filter((word) => shareOf(word) === share)
    const counts = words.reduce((counts, word) => add(counts, word, 1), /** @type {Counts} */ ({}))
    tx.put(`mapped:${name}:${share}`, counts)
  }
}

/** Adds up what all mappers left for it, and takes it away. @param {string} share */
const reduce = (share) => async (/** @type {import('virga').Transaction} */ tx) => {
  const keys = names.map((name) => `mapped:${name}:${share}`)
  /** @type {Counts} */
  const total = {}
  for (const counts of /** @type {Counts[]} */ (await tx.getMany(keys))) {
    for (const [word, count] of Object.entries(counts)) add(total, word, count)
  }
  tx.put(`index:${share}`, total)
  for (const key of keys) tx.delete(key)
}

const root = await on(0).step(undefined, (tx) => tx.put('index', 'being made'))
const mapped = await Promise.all(names.map((name, n) => on(n).step(root.context, map(name))))
const contexts = mapped.map(({ context }) => context)
const reduced = await Promise.all(SHARES.map((share, n) => on(n).step(contexts, reduce(share))))
console.log('before the commit:', await on(1).get('index'))
const last = await on(1).step(
  reduced.map(({ context }) => context),
  (tx) => tx.put('index', { documents: names.length, shares: SHARES }),
)
const { session } = await on(0).commit(last.context)

// On the other node, whether or not it has heard of the commit by now.
await on(1).transaction(
  async (tx) => {
    console.log('the index:        ', await tx.get('index'))
    for (const share of SHARES)
      console.log(`words of ${share}:    `, JSON.stringify(await tx.get(`index:${share}`)))
    console.log('left of the maps: ', await tx.get('mapped:rain:a-m'))
  },
  { after: session },
)
await stop()
