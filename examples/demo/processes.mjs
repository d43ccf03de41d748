// @ts-check
/** The processes of the demo: a node, and one for each run of a function. */
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { folder, kill, start } from '../support/processes.mjs'

const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const FUNCTION_PROCESS = fileURLToPath(new URL('function-process.mjs', import.meta.url))

export const socket = join(folder, 'run', 'node.sock')
const env = { VIRGA_SOCKET: socket }

/** Resolves when the node serves. */
export async function startNode() {
  const storage = `lmdb:${join(folder, 'data')}`
  const node = start([CLI, 'serve', '--storage', storage, '--log-level', 'warn'], env)
  const [line] = await Promise.race([
    once(createInterface(node.stdout), 'line'),
    once(node, 'exit').then(([code]) => {
      throw new Error(`the node did not start: it ended with ${code}`)
    }),
  ])
  return { pid: node.pid, line, kill: () => kill(node) }
}

/** Runs a function. `onWrote` is told of what it writes; the process may be killed then.
 *
 * @param {import('./function-process.mjs').Task} task
 * @param {(wrote: { key: string, value: unknown }, child: { pid: number | undefined, kill: () => Promise<void> }) => Promise<void>} [onWrote]
 * @returns {Promise<{ pid: number | undefined, context: string, receipt: import('virga').CommitReceipt | undefined }>}
 */
export async function runFunction(task, onWrote) {
  const child = start([FUNCTION_PROCESS], env)
  child.stdin.end(JSON.stringify(task))
  const ended = once(child, 'exit')
  let context = ''
  let receipt
  for await (const line of createInterface(child.stdout)) {
    /** @type {import('./function-process.mjs').Told} */
    const told = JSON.parse(line)
    if ('wrote' in told) await onWrote?.(told.wrote, { pid: child.pid, kill: () => kill(child) })
    else if ('context' in told) context = told.context
    // Whoever waits for the receipt wants it now, not when the process has ended.
    else return { pid: child.pid, context, receipt: told.receipt }
  }
  const [code, signal] = await ended
  if (signal !== 'SIGKILL' && code !== 0) throw new Error(`${task.name} ended with ${signal ?? code}`)
  return { pid: child.pid, context, receipt }
}
