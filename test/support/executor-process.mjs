/**
 * An executor that does what its parent says: to be killed or stopped at any stage of a transaction. Transactions and
 * clients have names that the parent gives them.
 */
import { existsSync } from 'node:fs'
import { connect, VirgaError } from 'virga'

const options = JSON.parse(process.argv[2])
const clients = new Map()
const transactions = new Map()

const client = (name) => clients.get(name) ?? fail(`no client ${name}`)
const tx = (name) => transactions.get(name) ?? fail(`no transaction ${name}`)

const OPS = {
  async connect(name, more) {
    clients.set(name, await connect({ ...options, ...more }))
  },
  async begin(name, of, more) {
    transactions.set(name, await client(of).begin(more))
  },
  async resume(name, of, contexts, more) {
    transactions.set(name, await client(of).resume(contexts, more))
  },
  get: (name, key) => tx(name).get(key),
  getMany: (name, keys) => tx(name).getMany(keys),
  put: (name, key, value) => tx(name).put(key, value),
  delete: (name, key) => tx(name).delete(key),
  handoff: (name, more) => tx(name).handoff(more),
  commit: (name, more) => tx(name).commit(more),
  abort: (name) => tx(name).abort(),
  read: (of, key) => client(of).get(key),
  status: (of, id) => client(of).status(id),
  close: (of) => client(of).close(),
  /** Writes the entries under one id, with retries, as a function would. */
  transaction: (of, entries, result, more) =>
    client(of).transaction((t) => {
      for (const [key, value] of entries) t.put(key, value)
      return result
    }, more),
  /** Begins the operation, lets its message leave, and dies. */
  dieDuring(turns, op, ...args) {
    Promise.resolve(OPS[op](...args)).catch(() => undefined)
    let left = turns
    const turn = () => (left-- > 0 ? setImmediate(turn) : process.kill(process.pid, 'SIGKILL'))
    turn()
    return new Promise(() => {})
  },
  /** Single reads, one after the other, for a while. Gives how long each took, in milliseconds. */
  async readFor(of, keys, forMs) {
    const tookMs = []
    const end = performance.now() + forMs
    for (let i = 0; performance.now() < end; i++) {
      const start = performance.now()
      await client(of).get(keys[i % keys.length])
      tookMs.push(performance.now() - start)
    }
    return tookMs
  },
  /** Reads a key of a transaction, or of a client's newest, and sleeps in the turn in which it has looked, until there is a file. */
  async readAsleep(name, key, gate) {
    const value = name === undefined ? client('c').get(key) : tx(name).get(key)
    while (!existsSync(gate)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
    return value
  },
  /** A function that reads a key and then computes for so long without letting its process do anything else. */
  async busyStep(of, key, forMs) {
    const { context, result } = await client(of).step(undefined, async (t) => {
      const value = await t.get(key)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, forMs)
      t.put('computed', value)
      return value
    })
    await client(of).commit(context)
    return result
  },
  /** Reads that nobody waits for. */
  async ask(of, keys, times) {
    for (let i = 0; i < times; i++)
      client(of)
        .get(keys[i % keys.length])
        .catch(() => undefined)
    await new Promise((resolve) => setImmediate(resolve))
  },
}

function fail(message) {
  throw new Error(message)
}

process.on('disconnect', () => process.exit(0))
process.on('message', async ({ request, op, args }) => {
  try {
    const value = await OPS[op](...args)
    process.send({ request, value })
  } catch (error) {
    if (!VirgaError.is(error)) process.send({ request, error: { message: `${error.stack}` } })
    else
      process.send({ request, error: { code: error.code, outcome: error.outcome, message: error.message } })
  }
})
process.send({ ready: true })
