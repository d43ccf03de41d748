/** The command line as its users have it: real processes of what was built. None outlives the test that started it. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { tempFolder } from './temp.js'
import { until } from './until.js'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const MAIN = join(ROOT, 'dist', 'cli', 'main.js')
const RUN_MS_MAX = 30_000

export type Env = Readonly<Record<string, string>>

/** This process's environment without virga's variables, which would be taken for options. */
export function cleanEnv(more: Env = {}): NodeJS.ProcessEnv {
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith('VIRGA_'))
  return { ...Object.fromEntries(others), ...more }
}

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: Buffer
  readonly stderr: string
}

/** Runs a program of Node's to its end. One that takes too long is killed, which `signal` tells. */
export async function run(
  script: string,
  args: readonly string[],
  options: { readonly env?: Env; readonly input?: string | Uint8Array } = {},
): Promise<Ended> {
  const started = start(script, args, options.env)
  started.child.stdin.end(options.input)
  const timer = setTimeout(() => started.child.kill('SIGKILL'), RUN_MS_MAX)
  try {
    return await started.ended
  } finally {
    clearTimeout(timer)
  }
}

/** Runs `virga` to its end. */
export function virga(
  args: readonly string[],
  options: { readonly env?: Env; readonly input?: string | Uint8Array } = {},
): Promise<Ended> {
  return run(MAIN, args, options)
}

export interface Started {
  readonly child: ChildProcessWithoutNullStreams
  readonly ended: Promise<Ended>
  /** What it has said up to now. */
  stdout(): string
  stderr(): string
}

/** Starts `virga`, and leaves it running. */
export function startVirga(args: readonly string[], env?: Env): Started {
  return start(MAIN, args, env)
}

export interface Serving extends Started {
  readonly socket: string
}

/** Starts `virga serve`, by default in memory; resolves when it says that it serves. */
export async function serving(
  args: readonly string[] = [],
  options: { readonly socket?: string; readonly env?: Env } = {},
): Promise<Serving> {
  const socket = options.socket ?? join(tempFolder(), 'run', 's')
  const storage = args.includes('--storage') ? [] : ['--storage', 'memory:']
  const started = startVirga(['serve', '--socket', socket, ...storage, ...args], options.env)
  await until('virga serves', () => {
    if (started.child.exitCode !== null) throw new Error(`it did not start: ${started.stderr()}`)
    return started.stdout().includes('\n')
  })
  return { ...started, socket }
}

/** Starts a program of Node's, and leaves it running. */
export function start(script: string, args: readonly string[], env: Env = {}): Started {
  const child = spawn(process.execPath, [script, ...args], { cwd: tempFolder(), env: cleanEnv(env) })
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
  // A program may end without having read its input.
  child.stdin.on('error', () => undefined)
  const stdout = (): string => Buffer.concat(out).toString()
  const stderr = (): string => Buffer.concat(err).toString()
  const ended = once(child, 'close').then(([code, signal]: unknown[]): Ended => {
    return {
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
      stdout: Buffer.concat(out),
      stderr: stderr(),
    }
  })
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return { child, ended, stdout, stderr }
}
