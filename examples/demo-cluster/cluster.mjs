// @ts-check
/** Three nodes, each with its executors: started, killed, started again. */
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { VirgaError } from 'virga'
import { folder, kill, startTalking } from '../support/processes.mjs'

/** @typedef {import('./executor-process.mjs').Task} Task */
/** @typedef {import('./executor-process.mjs').Done} Done */
/** @typedef {import('node:child_process').ChildProcess} ChildProcess */
/** @typedef {Readonly<Record<string, number | string>>} Counters */

/** @param {string} name */
const script = (name) => fileURLToPath(new URL(name, import.meta.url))
const STORAGE_PROCESS = script('../support/shared-storage/process.mjs')
const EXECUTORS = 2
const READ_MS_MAX = 15_000
const READ_AGAIN_MS = 100

/**
 * What nodes are told to use: any engine that many processes can share, as it is; an LMDB folder through a process that
 * has it open.
 *
 * @param {string | undefined} url
 */
export async function openStorage(url) {
  if (url !== undefined && !url.startsWith('lmdb:')) return { storage: url, pid: undefined }
  const storage = url ?? `lmdb:${join(folder, 'data')}`
  const shared = join(folder, 'storage.sock')
  const child = startTalking([STORAGE_PROCESS, shared, storage])
  await heard(child, 'the storage process')
  child.once('exit', (code, signal) => {
    throw new Error(`the storage process ended with ${signal ?? code}`)
  })
  return { storage, shared, pid: child.pid }
}

/** One machine, as far as the demo goes: a node, its socket, and the executors there. */
export class Machine {
  name
  #options
  /** @type {ChildProcess | undefined} */
  #node
  /** @type {Executor[]} */
  #executors = []
  #turn = 0
  /** Sums over the incarnations that are dead. @type {Map<string, number>} */
  #past = new Map()
  /** @type {Counters} */
  counters = {}

  /** @param {string} name @param {{ storage: string, shared?: string }} storage */
  constructor(name, { storage, shared }) {
    this.name = name
    this.#options = { nodeId: `demo-${name}`, socket: join(folder, name, 's'), storage, shared }
  }

  get isUp() {
    return this.#node !== undefined
  }

  get pid() {
    return this.#node?.pid
  }

  /** Functions that run here now. */
  get running() {
    return this.#executors.reduce((sum, { running }) => sum + running, 0)
  }

  /** Resolves when the node serves, with the executors of the machine if they don't run yet. */
  async start() {
    const node = startTalking([script('node-process.mjs'), JSON.stringify(this.#options)])
    node.on('message', (/** @type {{ counters: Counters }} */ { counters }) => {
      this.counters = counters
    })
    await heard(node, `node ${this.name}`)
    this.#node = node
    node.once('exit', () => {
      if (this.#node === node) throw new Error(`node ${this.name} ended, and nobody killed it`)
    })
    while (this.#executors.length < EXECUTORS) await this.startExecutor()
  }

  /** kill -9 of the node. Its executors live on. */
  async kill() {
    const node = this.#node
    if (node === undefined) return
    this.#node = undefined
    await kill(node)
    for (const [name, value] of Object.entries(this.counters)) {
      if (typeof value === 'number') this.#past.set(name, (this.#past.get(name) ?? 0) + value)
    }
    this.counters = {}
  }

  async startExecutor() {
    this.#executors.push(await Executor.start(/** @type {string} */ (this.#options.socket)))
  }

  /** kill -9 of one executor, with what runs in it. */
  async killExecutor() {
    const busiest = [...this.#executors].sort((one, other) => other.running - one.running)[0]
    const executor = /** @type {Executor} */ (busiest)
    this.#executors = this.#executors.filter((each) => each !== executor)
    const { pid, running } = executor
    await executor.kill()
    return { pid, running }
  }

  /** A counter of the node, over all its incarnations. @param {string} name */
  count(name) {
    return (this.#past.get(name) ?? 0) + Number(this.counters[name] ?? 0)
  }

  /** Runs a function in one of the executors. @param {Task} task @returns {Promise<Done>} */
  async run(task) {
    return this.#next().ask({ task })
  }

  /** The same, again where that may help, for a while: of what only reads. @param {Task} task @returns {Promise<Done>} */
  async read(task) {
    for (const until = performance.now() + READ_MS_MAX; ; await sleep(READ_AGAIN_MS)) {
      try {
        return await this.run(task)
      } catch (error) {
        if (!VirgaError.is(error) || !error.retryable || performance.now() > until) throw error
      }
    }
  }

  /** @param {string} id @returns {Promise<import('virga').TransactionStatus>} */
  async status(id) {
    return this.#next().ask({ status: id })
  }

  #next() {
    const executor = this.#executors[this.#turn++ % this.#executors.length]
    if (executor === undefined) throw gone()
    return executor
  }
}

/** A process that runs functions. */
class Executor {
  #child
  #calls = 0
  /** @type {Map<number, { resolve: (value: any) => void, reject: (error: Error) => void }>} */
  #waiting = new Map()

  /** @param {string} socket */
  static async start(socket) {
    const child = startTalking([script('executor-process.mjs')], { VIRGA_SOCKET: socket })
    await heard(child, 'an executor')
    return new Executor(child)
  }

  /** @param {ChildProcess} child */
  constructor(child) {
    this.#child = child
    child.on('message', (/** @type {any} */ { call, value, error }) => {
      const waiting = this.#waiting.get(call)
      this.#waiting.delete(call)
      if (error === undefined) waiting?.resolve(value)
      else waiting?.reject(error.code ? new VirgaError(error.code, error.message) : new Error(error.message))
    })
    child.once('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(gone())
      this.#waiting.clear()
    })
  }

  get pid() {
    return this.#child.pid
  }

  get running() {
    return this.#waiting.size
  }

  /** @param {object} question @returns {Promise<any>} */
  ask(question) {
    return new Promise((resolve, reject) => {
      if (!this.#child.connected) return reject(gone())
      const call = ++this.#calls
      this.#waiting.set(call, { resolve, reject })
      this.#child.send({ call, ...question })
    })
  }

  kill() {
    return kill(this.#child)
  }
}

/** What a caller knows of an executor that died: as much as of a node that died. */
function gone() {
  return new VirgaError('SessionLost', 'the executor died', { outcome: 'indefinite' })
}

/** The first message of a process. @param {ChildProcess} child @param {string} name */
async function heard(child, name) {
  await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code, signal]) => {
      throw new Error(`${name} did not start: it ended with ${signal ?? code}`)
    }),
  ])
}
