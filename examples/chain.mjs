// @ts-check
/**
 * A chain of functions in processes of their own: load -> price -> save, in one transaction.
 *
 * What goes from one to the next is a context: a string, passed along whatever edge your functions have (here: an
 * argument and standard output). Each function sees what those before it wrote; nobody else sees anything until the last
 * one commits. This file is the caller, and with a step's name as argument it is that function.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { connect } from 'virga'
import { nodeForExample } from './support/node.mjs'

const KEY = 'cart:7'

/** @typedef {{ items: { name: string, price?: number }[], total?: number }} Cart */

/** @type {Readonly<Record<string, (tx: import('virga').Transaction) => Promise<void>>>} */
const steps = {
  async load(tx) {
    tx.put(KEY, { items: [{ name: 'tea' }, { name: 'cup' }] })
  },
  async price(tx) {
    const cart = /** @type {Cart} */ (await tx.get(KEY))
    tx.put(KEY, { items: cart.items.map((item) => ({ ...item, price: item.name.length })) })
  },
  async save(tx) {
    const cart = /** @type {Cart} */ (await tx.get(KEY))
    tx.put(KEY, { ...cart, total: cart.items.reduce((sum, { price = 0 }) => sum + price, 0) })
  },
}

const [name, upstream] = process.argv.slice(2)
if (name === undefined) await call()
else await runStep(name, upstream)

/** The caller: starts a process for each function, and hands on what the one before it printed. */
async function call() {
  const node = await nodeForExample()
  const virga = await connect({ socket: node.socket })
  await virga.transaction((tx) => tx.delete(KEY))
  let context = ''
  for (const step of Object.keys(steps)) {
    const args = [fileURLToPath(import.meta.url), step, ...(context === '' ? [] : [context])]
    const env = { ...process.env, VIRGA_SOCKET: node.socket }
    context = (await promisify(execFile)(process.execPath, args, { env })).stdout
    console.log(`${step} handed off; to everybody else the cart is`, await virga.get(KEY))
  }
  const receipt = await virga.commit(context)
  console.log(`${receipt.status}; the cart is`, JSON.stringify(await virga.get(KEY)))
  await virga.close()
  await node.stop()
}

/** One function in its own process. @param {string} step @param {string | undefined} from */
async function runStep(step, from) {
  const virga = await connect()
  const { context } = await virga.step(from, /** @type {(typeof steps)[string]} */ (steps[step]))
  process.stdout.write(context)
  await virga.close()
}
