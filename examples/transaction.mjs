// @ts-check
/**
 * One function, one transaction, with an idempotency key.
 *
 * The callback may be run several times, but what it writes is applied once: together, or not at all. The id is made from
 * what the request carries, so whoever tries again, from wherever, names the same transaction and gets the same result.
 */
import { connect, transactionId } from 'virga'
import { nodeForExample } from './support/node.mjs'

const node = await nodeForExample()
const virga = await connect({ socket: node.socket })

/** A request as it may come from a queue, which delivers it at least once. */
const request = { number: `A-${process.pid}`, from: 'ann', to: 'bob', amount: 30, sentAt: Date.now() }

await virga.transaction((tx) => {
  tx.put('balance:ann', 100)
  tx.put('balance:bob', 5)
})

async function transfer() {
  const { number, from, to, amount, sentAt } = request
  return virga.transaction(
    async (tx) => {
      const [ours = 0, theirs = 0] = await tx.getMany([`balance:${from}`, `balance:${to}`])
      if (Number(ours) < amount) throw new Error(`${from} has only ${ours}`)
      tx.put(`balance:${from}`, Number(ours) - amount)
      tx.put(`balance:${to}`, Number(theirs) + amount)
      return { left: Number(ours) - amount }
    },
    { id: transactionId(number, sentAt) },
  )
}

console.log('first delivery: ', await transfer())
console.log('second delivery:', await transfer())
console.log('balances:       ', await virga.get('balance:ann'), await virga.get('balance:bob'))

// A function that throws leaves nothing behind.
request.number += '-again'
request.amount = 1_000
await transfer().catch((error) => console.log('too much:       ', error.message))
console.log('balances:       ', await virga.get('balance:ann'), await virga.get('balance:bob'))

await virga.close()
await node.stop()
