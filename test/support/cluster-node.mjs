/**
 * A node of a cluster in a process of its own. First argument, as JSON: `options` of the node; `hosts`, the addresses that
 * names of other nodes have for this one; `clockOffsetMs`, how wrong its machine's clock is. Its parent tells it what to do.
 */
import dns from 'node:dns/promises'
import { syncBuiltinESMExports } from 'node:module'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const { options, hosts, clockOffsetMs } = JSON.parse(process.argv[2])

const realNow = Date.now
let offsetMs = clockOffsetMs ?? 0
Date.now = () => realNow() + offsetMs

const realLookup = dns.lookup
dns.lookup = (name, ...rest) => realLookup(hosts?.[name] ?? name, ...rest)
syncBuiltinESMExports()

const { startNode } = await import('virga/node')
const { openStorage } = await import('../../dist/compose/open-storage.js')

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc')

const LOGGED_MAX = 2_000
const logged = []
const log = { debug() {}, info() {} }
for (const level of ['info', 'warn', 'error']) {
  log[level] = (fields, message) => {
    const { err, ...rest } = fields
    const text = err === undefined ? '' : `${err.stack ?? err}`
    if (logged.length < LOGGED_MAX) logged.push({ level, message, fields: rest, error: text })
  }
}

/** What is to happen at an operation of storage: `{ operation, bucket, moment, fate }`. The first that fits is used up. */
const strikes = []
let struck = 0

const FATES = {
  die: () => process.kill(process.pid, 'SIGKILL'),
  stop: () => process.kill(process.pid, 'SIGSTOP'),
}

function strikeAt(operation, buckets, moment) {
  const at = strikes.findIndex(
    (strike) =>
      strike.operation === operation &&
      strike.moment === moment &&
      buckets.some((bucket) => bucket.startsWith(strike.bucket)),
  )
  if (at < 0) return
  const [{ fate }] = strikes.splice(at, 1)
  struck++
  FATES[fate]()
}

function bucketsOf(operation, [first]) {
  if (operation === 'list') return [first]
  return (Array.isArray(first) ? first : [first]).map(({ bucket }) => bucket)
}

/** A storage that strikes before an operation, or after its effect and before its answer. */
function striking(storage) {
  const made = { durability: storage.durability, close: () => storage.close() }
  made.list = (...args) => storage.list(...args)
  for (const operation of ['get', 'put', 'compareAndSwap', 'delete']) {
    made[operation] = async (...args) => {
      const buckets = bucketsOf(operation, args)
      strikeAt(operation, buckets, 'before')
      const result = await storage[operation](...args)
      strikeAt(operation, buckets, 'after')
      return result
    }
  }
  return made
}

const { storage } = await openStorage(options.storage, log)
const node = await startNode({ ...options, storage: striking(storage), log })

const answers = {
  inspect: () => node.inspect(),
  logged: () => logged,
  struck: () => struck,
  strike: (strike) => void strikes.push(strike),
  /** Sets the clock of its machine, forwards or back. */
  setClock(ms) {
    offsetMs = ms
  },
  /** Processor time used so far, in milliseconds. */
  cpu: () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1_000
  },
  memory: () => {
    collect()
    const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage()
    return { rss, heapUsed, external, arrayBuffers }
  },
}

process.on('disconnect', () => process.exit(0))
process.on('message', async ({ request, op, args }) => {
  if (op !== 'stop') {
    process.send({ request, value: answers[op](...args) })
    return
  }
  await node.stop()
  process.send({ request }, () => process.exit(0))
})
process.send({ ready: true })
