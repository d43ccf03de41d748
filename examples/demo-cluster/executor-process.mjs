// @ts-check
/**
 * An executor: runs functions as it is asked, against its machine's node. What it is asked comes as messages from the
 * demo; with you, it would be a queue, a workflow engine or a FaaS platform.
 *
 * @typedef {object} Task
 * @property {keyof typeof functions} name
 * @property {unknown} [input]
 * @property {readonly string[]} [contexts]  what the functions upstream handed off; none: this one begins the transaction
 * @property {import('virga').BeginOptions} [begin]
 * @property {'handoff' | 'durable' | 'commit' | 'leave'} end  `leave` commits, and records no result
 *
 * @typedef {object} Done
 * @property {unknown} result
 * @property {string} [context]
 * @property {import('virga').CommitReceipt} [receipt]
 */
import { connect, VirgaError } from 'virga'
import { functions } from './functions.mjs'

// A node that is dead is given up soon: the same function can run on another one.
const virga = await connect({
  connectTimeoutMs: 2_000,
  requestTimeoutMs: 5_000,
  commitTimeoutMs: 5_000,
  resolveTimeoutMs: 2_000,
})

process.on('message', async (/** @type {any} */ { call, task, status }) => {
  try {
    const value = task === undefined ? await virga.status(status) : await run(task)
    process.send?.({ call, value })
  } catch (error) {
    const { message, code = 'Internal', retryable = false } = /** @type {VirgaError} */ (error)
    process.send?.({ call, error: VirgaError.is(error) ? { code, message, retryable } : { message } })
  }
})
process.once('disconnect', () => process.exit())
process.send?.('ready')

/** @param {Task} task @returns {Promise<Done>} */
async function run({ name, input, contexts, begin, end }) {
  const tx = contexts === undefined ? await virga.begin(begin) : await virga.resume(contexts)
  try {
    const body = /** @type {(tx: import('virga').Transaction, input: any) => unknown} */ (functions[name])
    const result = await body(tx, input)
    if (end === 'commit') return { result, receipt: await tx.commit({ result }) }
    if (end === 'leave') return { result, receipt: await tx.commit() }
    return { result, context: await tx.handoff({ durable: end === 'durable' }) }
  } finally {
    await tx.abort()
  }
}
