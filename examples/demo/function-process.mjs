// @ts-check
/**
 * Runs one function of the order in this process. What to run comes on standard input as one line of JSON; what happened
 * goes to standard output, a line of JSON each. How contexts travel is the caller's business: here it is pipes.
 *
 * @typedef {object} Task
 * @property {keyof typeof functions} name
 * @property {unknown} input  the function's argument
 * @property {string} [id]  the transaction's id: for the first function, which begins it
 * @property {readonly string[]} [contexts]  what the functions upstream handed off
 * @property {boolean} [commit]  the last function commits instead of handing off
 * @property {boolean} [hang]  never come back from telling of a write, so that there is time to kill this process
 *
 * @typedef {{ readonly wrote: { readonly key: string, readonly value: unknown } }
 *   | { readonly context: string } | { readonly receipt: import('virga').CommitReceipt }} Told
 */
import { text } from 'node:stream/consumers'
import { connect } from 'virga'
import { functions } from './functions.mjs'

/** @type {Task} */
const task = JSON.parse(await text(process.stdin))

const virga = await connect()
const tx =
  task.contexts === undefined ? await virga.begin({ id: task.id }) : await virga.resume(task.contexts)
const run = /** @type {(tx: unknown, input: unknown, wrote: import('./functions.mjs').Wrote) => unknown} */ (
  functions[task.name]
)
const result = await run(tx, task.input, wrote)
if (task.commit) tell({ receipt: await tx.commit({ result }) })
else tell({ context: await tx.handoff() })
await virga.close()

/** @param {Told} told */
function tell(told) {
  process.stdout.write(`${JSON.stringify(told)}\n`)
}

/** @type {import('./functions.mjs').Wrote} */
async function wrote(key, value) {
  tell({ wrote: { key, value } })
  if (task.hang) await new Promise((resolve) => setTimeout(resolve, 60_000))
}
