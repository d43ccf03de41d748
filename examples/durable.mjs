// @ts-check
/**
 * Durable handoff: a context that survives the crash of the node, and a failed function that is run again from it.
 *
 * A plain context points at what the node remembers (a small write set travels inside). With `durable: true` everything
 * that it needs is in storage, so expensive work upstream need not be repeated. This example starts its own node, since it
 * has to restart it.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'virga'
import { startNode } from 'virga/node'

const folder = mkdtempSync(join(tmpdir(), 'virga-example-'))
const options = {
  storage: `lmdb:${join(folder, 'data')}`,
  socket: join(folder, 'run', 'node.sock'),
  // A node that stops waits for transactions that are open in it, but this one goes on after the restart.
  drainMsMax: 100,
}

let node = await startNode(options)
let virga = await connect({ socket: options.socket })

let parsed = 0
const parse = await virga.step(
  undefined,
  (tx) => {
    parsed++
    // Too large to travel inside the context.
    tx.put('report:raw', 'line\n'.repeat(10_000))
  },
  { durable: true },
)
console.log('handed off a context of', parse.context.length, 'bytes')

// Node and executor are gone. All that is left is what storage holds, and the context in the caller's queue.
await virga.close()
await node.stop()
node = await startNode(options)
virga = await connect({ socket: options.socket })
console.log('the node was restarted')

let runs = 0
/** Fails the first time. @param {import('virga').Transaction} tx */
async function summarize(tx) {
  runs++
  const raw = /** @type {string} */ (await tx.get('report:raw'))
  tx.put('report:lines', raw.split('\n').length - 1)
  if (runs === 1) throw new Error('out of luck')
}

const trial = await virga.step(parse.context, summarize).catch((error) => {
  console.log('summarize failed:', error.message)
  // Its writes are gone. What was handed off upstream is not: the same step from the same context.
  return virga.step(parse.context, summarize)
})
await virga.commit(trial.context)
console.log(
  `committed ${await virga.get('report:lines')} lines; parsed ${parsed} time, summarized ${runs} times`,
)

await virga.close()
await node.stop()
rmSync(folder, { recursive: true })
