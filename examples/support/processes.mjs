// @ts-check
/** Starts the processes of a demo, and sees to it that none outlives it, nor any file. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Of the demo that runs; its path is short, since sockets are in it. */
export const folder = mkdtempSync(join(tmpdir(), 'virga-demo-'))

/** @typedef {import('node:child_process').ChildProcess} ChildProcess */
/** @type {Set<ChildProcess>} */
const children = new Set()

process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.on(signal, () => process.exit(130))

/** A program of Node's, with pipes to its standard input and output.
 *
 * @param {readonly string[]} args @param {Readonly<Record<string, string>>} [env]
 */
export function start(args, env = {}) {
  const child = spawn(process.execPath, args, { env: clean(env), stdio: ['pipe', 'pipe', 'inherit'] })
  keep(child)
  return child
}

/** A program of Node's that messages are exchanged with.
 *
 * @param {readonly string[]} args @param {Readonly<Record<string, string>>} [env]
 */
export function startTalking(args, env = {}) {
  const stdio = /** @type {const} */ (['ignore', 'inherit', 'inherit', 'ipc'])
  const child = spawn(process.execPath, args, { env: clean(env), stdio: [...stdio] })
  keep(child)
  return child
}

/** SIGKILL. Resolves when it has ended. @param {ChildProcess} child */
export async function kill(child) {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

/** All that still run. */
export async function killAll() {
  for (const child of [...children]) await kill(child)
}

/** @param {ChildProcess} child */
function keep(child) {
  children.add(child)
  child.once('exit', () => children.delete(child))
}

/** Settings of the user's own node have no place in a demo. @param {Readonly<Record<string, string>>} env */
function clean(env) {
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith('VIRGA_'))
  return { ...Object.fromEntries(others), ...env }
}
