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

/** What is to happen at an operation of storage: `{ operation, bucket, id, moment, fate }`. The first that fits is used up. */
const strikes = []
let struck = 0

const FATES = {
  die: () => process.kill(process.pid, 'SIGKILL'),
  stop: () => process.kill(process.pid, 'SIGSTOP'),
}

/** Operations of storage so far, by their name and the first part of the bucket's. One that has several keys counts once. */
const operations = {}

function count(operation, places) {
  for (const head of new Set(places.map(({ bucket }) => bucket.split('/')[0]))) {
    const name = `${operation} ${head}`
    operations[name] = (operations[name] ?? 0) + 1
  }
}

function strikeAt(operation, places, moment) {
  const at = strikes.findIndex(
    (strike) =>
      strike.operation === operation &&
      strike.moment === moment &&
      places.some(
        ({ bucket, id }) => bucket.startsWith(strike.bucket) && (strike.id === undefined || strike.id === id),
      ),
  )
  if (at < 0) return
  const [{ fate }] = strikes.splice(at, 1)
  struck++
  FATES[fate]()
}

function placesOf([first]) {
  return Array.isArray(first) ? first : [first]
}

/** A storage that strikes before an operation, or after its effect and before its answer. */
function striking(storage) {
  const made = { durability: storage.durability, close: () => storage.close() }
  made.list = (...args) => storage.list(...args)
  for (const operation of ['get', 'put', 'compareAndSwap', 'delete']) {
    made[operation] = async (...args) => {
      const places = placesOf(args)
      count(operation, places)
      strikeAt(operation, places, 'before')
      const result = await storage[operation](...args)
      strikeAt(operation, places, 'after')
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
  operations: () => operations,
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
