// @ts-check
/**
 * What virga is for, in one run: an order goes through six functions in six processes; one of them is killed half-way,
 * the node is killed right after the commit, and the impatient customer sends everything again. The order is applied once.
 *
 *   npm run demo
 *
 * Every line that begins with `true` was checked. The first one that is false ends the demo with exit code 1.
 */
import { connect, transactionId } from 'virga'
import { claim, claimsMade, event, heading, say, table } from './narrator.mjs'
import { runFunction, socket, startNode } from './processes.mjs'

/** @typedef {Record<string, unknown>} State */

const order = {
  number: '1001',
  customer: 'ann',
  lines: [
    { item: 'keyboard', count: 1, price: 40 },
    { item: 'lamp', count: 1, price: 15 },
    { item: 'mug', count: 3, price: 2 },
  ],
}
const SHOP = {
  'stock:keyboard': 10,
  'stock:lamp': 4,
  'stock:mug': 25,
  'wallet:ann': 200,
  'books:income': 0,
}
const KEYS = [...Object.keys(SHOP), 'order:1001']
const APPLIED = {
  'stock:keyboard': 9,
  'stock:lamp': 3,
  'stock:mug': 22,
  'wallet:ann': 139,
  'books:income': 61,
  'order:1001': { status: 'confirmed', customer: 'ann', total: 61 },
}

/** How often each function was run, killed runs too. @type {Map<string, number>} */
const runs = new Map()

/** @param {string} name */
function count(name) {
  runs.set(name, (runs.get(name) ?? 0) + 1)
}

/** The functions up to the fan-in: what the customer's request starts with. @param {string} id */
async function openAndReserve(id) {
  count('open')
  const opened = await runFunction({ name: 'open', input: order, id })
  event('open', opened.pid, `began the transaction, handed off a context of ${opened.context.length} bytes`)
  return Promise.all(
    order.lines.map(async (line) => {
      count('reserve')
      const { pid, context } = await runFunction({ name: 'reserve', input: line, contexts: [opened.context] })
      event(`reserve ${line.item}`, pid, `took ${line.count} from the stock that it sees, handed off`)
      return context
    }),
  )
}

/** @param {readonly string[]} reserved */
async function charge(reserved) {
  count('charge')
  return runFunction({ name: 'charge', input: order, contexts: reserved })
}

/** @param {string} charged */
async function confirm(charged) {
  count('confirm')
  return runFunction({ name: 'confirm', input: order, contexts: [charged], commit: true })
}

/** What anybody else sees: all keys, in one snapshot. @returns {Promise<State>} */
async function look() {
  const values = await virga.transaction((tx) => tx.getMany(KEYS))
  return Object.fromEntries(KEYS.map((key, index) => [key, values[index]]))
}

/** What a function would see that went on from here. @param {readonly string[]} contexts @returns {Promise<State>} */
async function lookInside(contexts) {
  const tx = await virga.resume(contexts)
  const values = await tx.getMany(KEYS)
  await tx.abort()
  return Object.fromEntries(KEYS.map((key, index) => [key, values[index]]))
}

const startedAt = performance.now()
say(`
An order for Ann: 1 keyboard, 1 lamp, 3 mugs; 61 in all. Each function is a process of its own:

            +-- reserve keyboard --+
   open ----+-- reserve lamp ------+---- charge ---- confirm
            +-- reserve mug -------+`)

heading('1. A node starts, on LMDB in a temporary folder')
let node = await startNode()
event('node', node.pid, 'serves')
const virga = await connect({ socket })
await virga.transaction((tx) => {
  for (const [key, value] of Object.entries(SHOP)) tx.put(key, value)
})
const before = await look()
say('')
table(KEYS, { 'before the order': before })

// The id is made from what the request carries, so that every retry, from anywhere, makes the same one.
const id = transactionId(`order-${order.number}`, Date.now())
heading(`2. The order runs, as transaction ${id}`)
const reserved = await openAndReserve(id)
count('charge')
/** @type {unknown[]} */
const written = []
const hanging = { name: /** @type {const} */ ('charge'), input: order, contexts: reserved, hang: true }
await runFunction(hanging, async ({ key, value }, { pid, kill }) => {
  await kill()
  written.push(key, value)
  event('charge', pid, `wrote ${key} = ${value}, then kill -9, before it wrote books:income`)
})
const outside = await look()
const inside = await lookInside(reserved)
say('')
table(KEYS, { 'before the order': before, 'after the kill': outside, 'inside the transaction': inside })
claim('charge was killed with the money taken and the books not written', written, ['wallet:ann', 139])
claim('nobody outside sees anything of what the five functions wrote', outside, before)
claim('inside, what was handed off is there, and what the killed process wrote is not', inside, {
  ...APPLIED,
  'wallet:ann': 200,
  'books:income': 0,
  'order:1001': { ...APPLIED['order:1001'], status: 'open' },
})
claim('the transaction is still open', (await virga.status(id)).status, 'open')

heading('3. Only the function that failed is run again, from the contexts that it was given')
const charged = await charge(reserved)
event('charge', charged.pid, 'joined the three branches again, charged, handed off')
const confirmed = await confirm(charged.context)
const acknowledgedAt = performance.now()
await node.kill()
const killedMs = performance.now() - acknowledgedAt
event('confirm', confirmed.pid, `committed: receipt ${JSON.stringify(confirmed.receipt?.result)}`)
event('node', node.pid, `kill -9, dead ${killedMs.toFixed(1)} ms after the commit was acknowledged`)

heading('4. The node is started again')
node = await startNode()
event('node', node.pid, 'serves')
const after = await look()
say('')
table(KEYS, { 'before the order': before, 'after the crash': after })
claim('the commit that was acknowledged is there, all of it', after, APPLIED)
claim('each function ran once, the one that was killed twice', Object.fromEntries(runs), {
  open: 1,
  reserve: 3,
  charge: 2,
  confirm: 1,
})

heading('5. The customer never got the answer, and sends the whole order again, under the same id')
const chargedAgain = await charge(await openAndReserve(id))
const again = await confirm(chargedAgain.context)
event('charge', chargedAgain.pid, 'charged 61 more, in its own snapshot')
event('confirm', again.pid, `wanted to commit; got receipt ${JSON.stringify(again.receipt?.result)}`)
const last = await look()
say('')
table(KEYS, { 'before the order': before, 'after the crash': after, 'after the retry': last })
claim('the answer is the receipt of the first run', again.receipt?.result, confirmed.receipt?.result)
claim('and it says that it was recorded, not made', again.receipt?.replayed, true)
claim('the second run changed nothing: the order was applied exactly once', last, APPLIED)
const status = await virga.status(id)
claim(
  'whoever asks later gets the same',
  [status.status, status.result],
  ['committed', again.receipt?.result],
)

await virga.close()
await node.kill()
const tookS = (performance.now() - startedAt) / 1000
say(
  `\nAll ${claimsMade()} claims are true. Two processes killed, nothing lost, nothing done twice; ${tookS.toFixed(1)} s.`,
)
