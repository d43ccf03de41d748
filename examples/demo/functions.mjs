// @ts-check
/**
 * The functions of one order. Each runs in a process of its own (function-process.mjs), reads and writes through the
 * transaction that it is given, and knows nothing of crashes and retries: that is virga's part.
 *
 * @typedef {import('virga').Transaction} Transaction
 * @typedef {{ readonly item: string, readonly count: number, readonly price: number }} Line
 * @typedef {{ readonly number: string, readonly customer: string, readonly lines: readonly Line[] }} Order
 * @typedef {{ readonly order: string, readonly total: number, readonly left: number }} Receipt
 * @typedef {(key: string, value: unknown) => Promise<void>} Wrote  tells the demo what was written, and may not return
 */

/** @param {Transaction} tx @param {Order} order */
function open(tx, order) {
  const total = order.lines.reduce((sum, { count, price }) => sum + count * price, 0)
  tx.put(`order:${order.number}`, { status: 'open', customer: order.customer, total })
}

/** @param {Transaction} tx @param {Line} line */
async function reserve(tx, line) {
  const key = `stock:${line.item}`
  const stock = /** @type {number} */ (await tx.get(key))
  if (stock < line.count) throw new Error(`only ${stock} of ${line.item} are left`)
  tx.put(key, stock - line.count)
}

/** Takes the money, then says so in the books: two writes, between which the demo kills it.
 *
 * @param {Transaction} tx @param {Order} order @param {Wrote} wrote
 */
async function charge(tx, order, wrote) {
  const { total } = /** @type {{ total: number }} */ (await tx.get(`order:${order.number}`))
  const wallet = `wallet:${order.customer}`
  const money = /** @type {number} */ (await tx.get(wallet))
  if (money < total) throw new Error(`${order.customer} has ${money}, not ${total}`)
  tx.put(wallet, money - total)
  await wrote(wallet, money - total)
  const income = /** @type {number} */ (await tx.get('books:income'))
  tx.put('books:income', income + total)
}

/** @param {Transaction} tx @param {Order} order @returns {Promise<Receipt>} */
async function confirm(tx, order) {
  const key = `order:${order.number}`
  const placed = /** @type {{ customer: string, total: number }} */ (await tx.get(key))
  tx.put(key, { ...placed, status: 'confirmed' })
  const left = /** @type {number} */ (await tx.get(`wallet:${placed.customer}`))
  return { order: order.number, total: placed.total, left }
}

export const functions = { open, reserve, charge, confirm }
