// @ts-check
/**
 * The functions of the bank. A transfer is four of them, on as many nodes as there are; an audit is two.
 *
 *             +--- debit ----+
 *   open -----+              +---- book
 *             +--- credit ---+
 *
 * Each reads and writes through the transaction that it is given, and knows nothing of nodes, crashes and retries.
 *
 * @typedef {import('virga').Transaction} Transaction
 * @typedef {object} Transfer
 * @property {number} number
 * @property {number} from  account that pays
 * @property {number} to
 * @property {number} amount
 * @property {number} paperBytes  of what `open` files with it; above 4 KiB it stays on its node until the commit
 *
 * @typedef {{ readonly from: number, readonly to: number }} Balances
 */

export const ACCOUNTS = 60
export const BALANCE = 1_000

/** @param {number} number */
export const account = (number) => `account:${String(number).padStart(2, '0')}`
export const accounts = Array.from({ length: ACCOUNTS }, (_, number) => account(number))
const HALF = ACCOUNTS / 2

/** @param {Transaction} tx @param {Transfer} transfer */
const balancesOf = async (tx, { from, to }) => {
  const [paid = 0, got = 0] = /** @type {number[]} */ (await tx.getMany([account(from), account(to)]))
  return { from: paid, to: got }
}

/** @param {Transaction} tx */
function setUp(tx) {
  for (const key of accounts) tx.put(key, BALANCE)
}

/** Tells the balances that it sees: those downstream must see the same. @param {Transaction} tx @param {Transfer} transfer */
async function open(tx, transfer) {
  tx.put(`transfer:${transfer.number}`, { ...transfer, status: 'open' })
  if (transfer.paperBytes > 0) tx.put(`paper:${transfer.number}`, '-'.repeat(transfer.paperBytes))
  return balancesOf(tx, transfer)
}

/** @param {Transaction} tx @param {Transfer} transfer */
async function debit(tx, transfer) {
  const balances = await balancesOf(tx, transfer)
  if (balances.from < transfer.amount) throw new Error(`${account(transfer.from)} has only ${balances.from}`)
  tx.put(account(transfer.from), balances.from - transfer.amount)
  return balances
}

/** @param {Transaction} tx @param {Transfer} transfer */
async function credit(tx, transfer) {
  const balances = await balancesOf(tx, transfer)
  tx.put(account(transfer.to), balances.to + transfer.amount)
  return balances
}

/** The join: sees what all three wrote. @param {Transaction} tx @param {Transfer} transfer */
async function book(tx, transfer) {
  const key = `transfer:${transfer.number}`
  const { status } = /** @type {{ status: string }} */ (await tx.get(key))
  tx.put(key, { ...transfer, status: 'booked' })
  return { ...(await balancesOf(tx, transfer)), status }
}

/** What became of a transfer, for who has its receipt. @param {Transaction} tx @param {Transfer} transfer */
async function look(tx, transfer) {
  const keys = [`transfer:${transfer.number}`, `paper:${transfer.number}`]
  const [placed, paper] = /** @type {[{ status: string } | undefined, string | undefined]} */ (
    await tx.getMany(keys)
  )
  return [placed?.status, paper?.length ?? 0].join()
}

/** @param {readonly unknown[]} balances */
const sum = (balances) => balances.reduce((/** @type {number} */ total, each) => total + Number(each), 0)

/** @param {Transaction} tx */
const auditFirst = async (tx) => sum(await tx.getMany(accounts.slice(0, HALF)))
/** @param {Transaction} tx */
const auditSecond = async (tx) => sum(await tx.getMany(accounts.slice(HALF)))
/** @param {Transaction} tx */
const balances = (tx) => tx.getMany(accounts)
/** @param {Transaction} tx @param {readonly Transfer[]} transfers */
const looks = (tx, transfers) => Promise.all(transfers.map((transfer) => look(tx, transfer)))

/** What `look` must find once the transfer has committed. @param {Transfer} transfer */
export const asBooked = ({ paperBytes }) => `booked,${paperBytes}`

export const functions = {
  setUp,
  open,
  debit,
  credit,
  book,
  look,
  auditFirst,
  auditSecond,
  balances,
  looks,
}
