// @ts-check
/**
 * Fan-out and join: functions that run in parallel read one snapshot, each writes for itself, and the join sees it all.
 *
 * If two branches wrote one key, the join takes the one that was handed off later, or refuses, as you say.
 */
import { connect, VirgaError } from 'virga'
import { nodeForExample } from './support/node.mjs'

const node = await nodeForExample()
const virga = await connect({ socket: node.socket })

await virga.transaction((tx) => {
  for (const word of ['rain', 'cloud', 'sky']) tx.put(`text:${word}`, word)
})

// Three branches, each with a key of its own, and a join that reads all of them.
const root = await virga.step(undefined, (tx) => tx.put('job', 'started'))
const branches = await Promise.all(
  ['rain', 'cloud', 'sky'].map((word) =>
    virga.step(root.context, async (tx) => {
      const text = /** @type {string} */ (await tx.get(`text:${word}`))
      tx.put(`length:${word}`, text.length)
    }),
  ),
)
const joined = await virga.step(
  branches.map(({ context }) => context),
  async (tx) => {
    const lengths = /** @type {number[]} */ (await tx.getMany(['length:rain', 'length:cloud', 'length:sky']))
    tx.put(
      'length:sum',
      lengths.reduce((sum, length) => sum + length),
    )
    return lengths
  },
)
console.log('the join saw:      ', joined.result)
console.log('before the commit: ', await virga.get('length:sum'))
await virga.commit(joined.context)
console.log('after the commit:  ', await virga.get('length:sum'))

// Two branches that write one key.
const fork = await virga.step(undefined, () => {})
const left = await virga.step(fork.context, (tx) => tx.put('winner', 'left'))
const right = await virga.step(fork.context, (tx) => tx.put('winner', 'right'))
const both = [left.context, right.context]
try {
  await virga.commit(both, { onBranchConflict: 'error' })
} catch (error) {
  if (!VirgaError.is(error) || error.code !== 'BranchConflict') throw error
  console.log('refused:           ', error.code)
}
await virga.commit(both, { onBranchConflict: 'latest' })
console.log('the later one wins:', await virga.get('winner'))

await virga.close()
await node.stop()
