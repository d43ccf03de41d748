// @ts-check
/** Starts the processes of the demo, and sees to it that none outlives it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const FUNCTION_PROCESS = fileURLToPath(new URL('function-process.mjs', import.meta.url))

export const folder = mkdtempSync(join(tmpdir(), 'virga-demo-'))
export const socket = join(folder, 'run', 'node.sock')

/** @typedef {import('node:child_process').ChildProcessByStdio<import('node:stream').Writable, import('node:stream').Readable, null>} Child */
/** @type {Set<Child>} */
const children = new Set()

process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.on(signal, () => process.exit(130))

/** @param {readonly string[]} args */
function start(args) {
  // Settings of the user's own node have no place here.
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith('VIRGA_'))
  const env = { ...Object.fromEntries(others), VIRGA_SOCKET: socket }
  const child = spawn(process.execPath, args, { env, stdio: ['pipe', 'pipe', 'inherit'] })
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}

/** Resolves when the node serves. */
export async function startNode() {
  const node = start([CLI, 'serve', '--storage', `lmdb:${join(folder, 'data')}`, '--log-level', 'warn'])
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
  const child = start([FUNCTION_PROCESS])
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

/** @param {Child} child */
async function kill(child) {
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}
