// @ts-check
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { connectTo } from './connect.mjs'

/** @type {(() => unknown)[]} */
const cleanups = []

/** Has it done when what was started is ended. @param {() => unknown} cleanup */
export function cleanUpBy(cleanup) {
  cleanups.push(cleanup)
}

export function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'virga-bench-'))
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Ends everything that was started, latest first. */
export async function cleanUp() {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
}

const TRIES_MAX = 5

/** As the container image has them. */
const NODE_ENVIRONMENT = { MALLOC_TRIM_THRESHOLD_: '131072', MALLOC_MMAP_THRESHOLD_: '131072' }
const NODE_FLAGS = ['--single-threaded-gc', '--max-semi-space-size=16']

/**
 * Starts a module of this folder in a process of its own and waits for the line that it prints when it is ready.
 *
 * @param {string} file @param {readonly string[]} args
 */
export async function startModule(file, args) {
  const path = fileURLToPath(new URL(file, import.meta.url))
  const child = spawn(process.execPath, [...flags(file), path, ...args], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    env: { ...process.env, ...(file === 'node-process.mjs' ? NODE_ENVIRONMENT : {}) },
  })
  const lines = createInterface({ input: /** @type {import('node:stream').Readable} */ (child.stdout) })
  const ended = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`${file} ended before it was ready: ${signal ?? `exit code ${code}`}`)
  })
  const ready = await Promise.race([once(lines, 'line'), ended])
  // Later on, whoever asks it for something is told.
  ended.catch(() => {})
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
  cleanups.push(stop)
  /** Sends it something to do, and resolves to what it reports: one at a time. @param {import('node:child_process').Serializable} task */
  const ask = async (task) => {
    const done = new AbortController()
    const { signal } = done
    try {
      const exit = once(child, 'exit', { signal }).then(() => {
        throw new Error(`${file} ended over what it had to do`)
      })
      child.send(task)
      const [report] = await Promise.race([once(child, 'message', { signal }), exit])
      return report
    } finally {
      done.abort()
    }
  }
  return { ready: String(ready[0]), stop, ask, pid: /** @type {number} */ (child.pid) }
}

/**
 * `VIRGA_BENCH_PROFILE=folder` writes a CPU profile of each process there; `VIRGA_BENCH_NODE_FLAGS` gives the nodes flags of
 * Node.js.
 *
 * @param {string} file
 */
function flags(file) {
  const all = []
  if (file === 'node-process.mjs')
    all.push(
      '--expose-gc',
      ...NODE_FLAGS,
      ...(process.env.VIRGA_BENCH_NODE_FLAGS ?? '').split(' ').filter(Boolean),
    )
  const folder = process.env.VIRGA_BENCH_PROFILE
  if (folder !== undefined)
    all.push(
      '--cpu-prof',
      `--cpu-prof-dir=${folder}`,
      `--cpu-prof-name=${basename(file)}.${Date.now()}.cpuprofile`,
    )
  return all
}

/**
 * A node on a storage, in a process of its own, and a client of it here.
 *
 * @param {string} storage @param {string} [nodeId]
 */
export async function startNodeAndClient(storage, nodeId = 'bench') {
  const socket = join(temporaryFolder(), 'node.sock')
  const node = await startModule('node-process.mjs', [socket, storage, nodeId])
  const virga = await connectTo(socket)
  const stop = async () => {
    await virga.close()
    await node.stop()
  }
  cleanups.push(stop)
  return { virga, stop, socket, pid: node.pid, ask: node.ask }
}

/** A redis-server of our own, without persistence: what is measured is not its disk. */
export async function startRedis() {
  const folder = temporaryFolder()
  // Between finding a free port and using it somebody else may take it.
  for (let tries = 1; ; tries++) {
    const port = await freePort()
    const args = ['--port', String(port), '--save', '', '--appendonly', 'no', '--dir', folder]
    const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const stop = async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    cleanups.push(stop)
    /** @type {string[]} */
    const said = []
    for await (const line of createInterface({ input: child.stdout })) {
      said.push(line)
      if (line.includes('Ready to accept connections')) break
    }
    if (said.at(-1)?.includes('Ready to accept connections')) {
      child.stdout.resume()
      return { url: `redis://127.0.0.1:${port}`, stop, pid: /** @type {number} */ (child.pid) }
    }
    if (tries === TRIES_MAX) throw new Error(`redis-server did not start:\n${said.join('\n')}`)
  }
}

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  server.close()
  await once(server, 'close')
  return port
}

/** Resident bytes of a process. @param {number} pid */
export function residentBytes(pid) {
  return statusBytes(pid, 'VmRSS')
}

/** Of them those of its own, without what it has mapped of files: code, and the file of LMDB. @param {number} pid */
export function anonymousBytes(pid) {
  return statusBytes(pid, 'RssAnon')
}

/** Of them those that are pages of some files: page cache, which the system takes back when it is short. @param {number} pid @param {string} folder */
export function mappedBytes(pid, folder) {
  let bytes = 0
  let isThere = false
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) isThere = line.includes(` ${folder}/`)
    else if (isThere && line.startsWith('Rss:')) bytes += Number(/\d+/.exec(line)) * 1024
  }
  return bytes
}

/** The most that a process ever was resident with. @param {number} pid */
export function peakResidentBytes(pid) {
  return statusBytes(pid, 'VmHWM')
}

/** @param {number} pid @param {string} field */
function statusBytes(pid, field) {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(match?.[1]) * 1024
}

const TICKS_PER_SECOND = 100

/** Seconds of CPU that a process has used so far, in user space and in the kernel, to a hundredth. @param {number} pid */
export function cpuSeconds(pid) {
  const fields = statFields(pid)
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** The same of a process and of those that it has started itself, and that still run. @param {number} pid */
export function cpuSecondsWithChildren(pid) {
  const others = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  let sum = cpuSeconds(pid)
  for (const other of others) {
    try {
      if (Number(statFields(Number(other))[1]) === pid) sum += cpuSeconds(Number(other))
    } catch {
      // It has ended since the folder was read.
    }
  }
  return sum
}

/** What the kernel tells of a process, from its state on. @param {number} pid */
function statFields(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The second field is the name, in parentheses, and may hold anything.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
}
