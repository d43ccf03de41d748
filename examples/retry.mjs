// @ts-check
/**
 * Trying again, asking, and giving up: all by the transaction's id.
 *
 * Any attempt under an id that has committed gets the recorded result, and what it wrote is not applied. An id can also be
 * cancelled: then no attempt under it will ever commit.
 */
import { connect, transactionId, VirgaError } from 'virga'
import { nodeForExample } from './support/node.mjs'

const node = await nodeForExample()
const virga = await connect({ socket: node.socket })

const id = transactionId(`ticket-${process.pid}`, Date.now())
console.log('before:   ', (await virga.status(id)).status)

/** Draws a number: no two runs would get the same one. @param {import('virga').Transaction} tx */
async function draw(tx) {
  const next = /** @type {number | undefined} */ (await tx.get('ticket:next')) ?? 1
  tx.put('ticket:next', next + 1)
  return `number ${next}`
}

const first = await virga.begin({ id })
const receipt = await first.commit({ result: await draw(first) })
console.log('first:    ', receipt.replayed ? 'recorded' : 'made', receipt.result)

const second = await virga.begin({ id })
const again = await second.commit({ result: await draw(second) })
console.log('second:   ', again.replayed ? 'recorded' : 'made', again.result)

const { status, result } = await virga.status(id)
console.log('status:   ', status, result)

// A transaction that nobody wants any more.
const unwanted = transactionId(`unwanted-${process.pid}`, Date.now())
const tx = await virga.begin({ id: unwanted })
tx.put('ticket:next', 0)
await virga.cancel(unwanted)
await tx.commit().catch((error) => console.log('cancelled:', VirgaError.is(error) && error.code))
console.log('status:   ', (await virga.status(unwanted)).status)

// What has committed can't be taken back.
await virga.cancel(id).catch((error) => console.log('too late: ', VirgaError.is(error) && error.code))

await virga.close()
await node.stop()
