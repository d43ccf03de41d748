// @ts-check
/**
 * A worker: runs the functions of an order as BullMQ hands them out, against the node of its machine.
 *
 *                +--- line ---+
 *   begin -------+--- line ---+------- join
 *                +--- line ---+
 *
 * BullMQ says which function runs, where, when, and how often: at least once. virga says what that comes to: once. What goes
 * from one function to the next is a context, in a job's data or its return value.
 *
 * @typedef {{ readonly item: string, readonly count: number }} Line
 * @typedef {{ readonly number: number, readonly id: string, readonly lines: readonly Line[] }} Order
 */
import { FlowProducer, Queue, Worker } from 'bullmq'
import { connect, VirgaError } from 'virga'

const { REDIS_URL: url = '', QUEUE: queueName = '' } = process.env
const connection = { url }
const virga = await connect()
const queue = new Queue(queueName, { connection })
const flows = new FlowProducer({ connection })

/** A job whose worker dies, or whose node is away, is run again. */
const opts = { attempts: 50, backoff: { type: 'fixed', delay: 200 }, failParentOnFailure: true }
/** The attempt is over, and running this function again would not mend it: the order begins again, under its id. */
const OVER = new Set([
  'Conflict',
  'SnapshotUnavailable',
  'SnapshotTooOld',
  'WriteSetLost',
  'DeadlineExceeded',
  'AttemptFenced',
  'AlreadyCommitted',
])

/** @type {Readonly<Record<string, (data: any, job: import('bullmq').Job) => Promise<unknown>>>} */
const functions = {
  /** Begins the transaction, and asks for what comes next. @param {{ order: Order }} data */
  async begin({ order }) {
    const { number, id, lines } = order
    const start = (/** @type {import('virga').Transaction} */ tx) => tx.put(`order:${number}`, 'open')
    const { context } = await virga.step(undefined, start, { id, consistency: 'parallel-snapshot' })
    const children = lines.map((line) => ({ name: 'line', queueName, data: { line, number, context }, opts }))
    await flows.add({ name: 'join', queueName, data: { order }, opts, children })
  },

  /** Its context is durable: nothing that dies after it takes it along. */
  async line({ line: { item, count }, number, context }) {
    const reserve = async (/** @type {import('virga').Transaction} */ tx) => {
      const left = Number(await tx.get(`stock:${item}`))
      if (left < count) throw new Error(`only ${left} of ${item} are left`)
      tx.put(`stock:${item}`, left - count)
      await tell('half-way')
      tx.put(`reserved:${number}:${item}`, count)
    }
    return (await virga.step(context, reserve, { durable: true })).context
  },

  /** Sees what all lines wrote, and commits it. @param {{ order: Order }} data */
  async join({ order: { number, lines } }, job) {
    const contexts = Object.values(await job.getChildrenValues())
    if (contexts.includes(null)) throw new VirgaError('SnapshotUnavailable', 'a line could not be run')
    const tx = await virga.resume(contexts)
    const counts = await tx.getMany(lines.map(({ item }) => `reserved:${number}:${item}`))
    const pieces = counts.reduce((/** @type {number} */ sum, count) => sum + Number(count), 0)
    tx.put(`order:${number}`, 'placed')
    const { result } = await tx.commit({ result: { order: number, pieces } })
    await tell('committed')
    return result
  },
}

const worker = new Worker(queueName, perform, {
  connection,
  concurrency: 4,
  // So that you don't wait long for BullMQ to miss a worker that was killed.
  lockDuration: 2_000,
  stalledInterval: 500,
  maxStalledCount: 50,
})
worker.on('error', (error) => console.error(error.message))
process.once('disconnect', () => process.exit())
process.send?.({ at: 'ready' })

/** @param {import('bullmq').Job} job */
async function perform(job) {
  await tell('started', job.name)
  try {
    return await functions[job.name]?.(job.data, job)
  } catch (error) {
    if (!VirgaError.is(error) || !OVER.has(error.code)) throw error
    // The join is told, and begins again for all lines.
    return job.name === 'line' ? null : beginAgain(job.data.order)
  }
}

/** Unless it has committed: then this was one of BullMQ's runs too many. @param {Order} order */
async function beginAgain(order) {
  const { status, result } = await virga.status(order.id)
  if (status === 'committed') return result
  await queue.add('begin', { order }, { ...opts, delay: Math.random() * 300 })
  return undefined
}

/** Gives whoever started this process a moment to kill it. @param {string} at @param {string} [name] */
async function tell(at, name) {
  process.send?.({ at, name })
  await new Promise((resolve) => setTimeout(resolve, 5))
}
